//! The rights of the processes' role, if migrations have a separate role.
//!
//! The migrations' role owns the tables. The processes' role may add and read events. It can neither change nor
//! remove one, nor switch off the protection. It cannot use a table that is not in this list.

use std::fmt::Write as _;

use sqlx::{Acquire, PgConnection};

use crate::StoreError;

/// Every table with what api and worker do with it. A migration that adds one adds a line.
const TABLES: [(&str, &str); 28] = [
    ("environments", "SELECT, INSERT, UPDATE"),
    ("principals", "SELECT, INSERT, UPDATE"),
    ("hosts", "SELECT, INSERT, UPDATE"),
    ("host_boots", "SELECT, INSERT, UPDATE"),
    ("host_facts", "SELECT, INSERT, UPDATE"),
    ("tokens", "SELECT, INSERT, UPDATE"),
    ("releases", "SELECT, INSERT"),
    ("release_closures", "SELECT, INSERT"),
    ("release_manifests", "SELECT, INSERT"),
    ("release_attachments", "SELECT, INSERT, DELETE"),
    ("kept_releases", "SELECT, INSERT, UPDATE, DELETE"),
    ("release_drafts", "SELECT, INSERT, UPDATE, DELETE"),
    ("release_draft_closures", "SELECT, INSERT, UPDATE, DELETE"),
    ("rollouts", "SELECT, INSERT, UPDATE"),
    ("steps", "SELECT, INSERT, UPDATE"),
    ("rollout_commands", "SELECT, INSERT, UPDATE"),
    ("host_plans", "SELECT, INSERT, UPDATE, DELETE"),
    ("host_outputs", "SELECT, INSERT, UPDATE, DELETE"),
    ("output_pieces", "SELECT, INSERT, DELETE"),
    ("events", "SELECT, INSERT"),
    ("event_head", "SELECT, UPDATE"),
    ("audit_walks", "SELECT, UPDATE"),
    ("workers", "SELECT, INSERT, UPDATE, DELETE"),
    ("destinations", "SELECT, INSERT, UPDATE, DELETE"),
    ("deliveries", "SELECT, INSERT, UPDATE, DELETE"),
    ("message_cursor", "SELECT, UPDATE"),
    ("conditions", "SELECT, INSERT, UPDATE, DELETE"),
    ("_sqlx_migrations", "SELECT"),
];

/// Prevents two migrators from granting at once: Postgres refuses the second change of a table's rights.
const LOCK: i64 = 0x736c_6970_7761_7901;

/// Lets `role` do what the processes do, and nothing else.
pub(crate) async fn grant(connection: &mut PgConnection, role: &str) -> Result<(), StoreError> {
    check(connection, role).await?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the connection is the migration's own and is closed after it"
    )]
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *tx)
        .await?;
    let role = quoted(role);
    let (schema, database): (String, String) = sqlx::query_as("SELECT current_schema(), current_database()")
        .fetch_one(&mut *tx)
        .await?;
    let mut statements = format!(
        "GRANT CONNECT ON DATABASE {} TO {role}; GRANT USAGE ON SCHEMA {} TO {role};",
        quoted(&database),
        quoted(&schema)
    );
    for (table, rights) in TABLES {
        // Writing to a String cannot fail.
        let _ = write!(
            statements,
            "REVOKE ALL ON {table} FROM {role}; GRANT {rights} ON {table} TO {role};"
        );
    }
    sqlx::raw_sql(&statements).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Whether this connection's role could change the audit log: it owns the table, or was given too much.
pub(crate) async fn can_change_events(connection: &mut PgConnection) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT pg_has_role(c.relowner, 'USAGE')
                OR has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
         FROM pg_class c WHERE c.oid = to_regclass('events')",
    )
    .fetch_optional(connection)
    .await?
    .unwrap_or(false))
}

async fn check(connection: &mut PgConnection, role: &str) -> Result<(), StoreError> {
    let refuse = |problem: &str| StoreError::Role {
        role: role.to_owned(),
        problem: problem.to_owned(),
    };
    let found: Option<(bool, bool)> = sqlx::query_as(
        "SELECT rolname = current_user, pg_has_role(oid, current_user, 'MEMBER') FROM pg_roles WHERE rolname = $1",
    )
    .bind(role)
    .fetch_optional(connection)
    .await?;
    match found {
        None => Err(refuse(
            "does not exist; make it, or correct DATABASE_PROCESS_ROLE",
        )),
        Some((true, _)) => Err(refuse(
            "is the one that migrates; name that of api and worker in DATABASE_PROCESS_ROLE, or leave it out",
        )),
        Some((_, true)) => Err(refuse(
            "is a superuser or a member of the role that migrates, so nothing could be kept from it; take that away",
        )),
        Some(_) => Ok(()),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
