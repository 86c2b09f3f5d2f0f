//! The database that a dump is restored into, until it is complete.
//!
//! A role without rights owns it while the dump's code may run: [`ROLE`], which only this restore can log in as. A
//! superuser then closes the database, and gives each object to whom it belonged. A killed restore leaves the role and its
//! database to the next one.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnection;
use tokio::time::{Instant, sleep};

use super::same;
use crate::config::Config;
use crate::content::{self, Table};
use crate::database::{DatabaseLogin, query_failed, quoted};
use crate::dumps::Dumps;
use crate::entries::{Entries, Restore};
use crate::failure::{BackupFailure, Result};
use crate::secret::Hidden;
use crate::toc::Entry;
use crate::{clock, files};

/// The role that runs the dump's code.
pub(crate) const ROLE: &str = "slipway-restore";
/// Parallel sessions of one restore.
const JOBS: u32 = 2;
/// As many sessions may the role have: those of `pg_restore`, its leader, and ours.
const SESSIONS: u32 = 2 * JOBS + 2;
/// Until all sessions of the role have ended.
const ENDED: Duration = Duration::from_mins(1);
/// What Postgres says of a role that something depends on.
const DEPENDED_ON: &str = "2BP01";
/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(100);

/// A new role without rights, and its password.
pub(crate) struct Guest {
    password: Hidden,
}

impl Guest {
    /// Makes the role, whose password is good for `limit`. What a killed restore has left is removed first.
    pub(crate) async fn make(admin: &mut PgConnection, limit: Duration) -> Result<Self> {
        clear(admin).await?;
        // It may have to stay, see there.
        let make = if is_there(admin).await? { "ALTER" } else { "CREATE" };
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| BackupFailure::new(format!("no random numbers for a password: {error}")))?;
        let password = Hidden::new(hex::encode(bytes));
        let statements = [
            // The password must be in no log and in no statistics.
            "SET LOCAL log_statement = 'none'".to_owned(),
            "SET LOCAL log_min_error_statement = 'panic'".to_owned(),
            "SET LOCAL log_min_duration_statement = -1".to_owned(),
            "SET LOCAL log_min_duration_sample = -1".to_owned(),
            "SET LOCAL log_transaction_sample_rate = 0".to_owned(),
            "SET LOCAL track_activities = off".to_owned(),
            "SET LOCAL pg_stat_statements.track = 'none'".to_owned(),
            "SET LOCAL password_encryption = 'scram-sha-256'".to_owned(),
            format!(
                // Rows that policies hide are restored too.
                "{make} ROLE {} LOGIN BYPASSRLS NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION \
                 CONNECTION LIMIT {SESSIONS} VALID UNTIL '{}' PASSWORD '{}'",
                quoted(ROLE),
                (clock::now() + limit).format("%Y-%m-%d %H:%M:%S+00"),
                password.expose()
            ),
        ];
        #[expect(
            clippy::disallowed_methods,
            reason = "the connection is this restore's own, and the settings end with the transaction"
        )]
        let mut transaction = admin
            .begin()
            .await
            .map_err(query_failed("make a role without rights"))?;
        for statement in statements {
            execute(&mut transaction, &statement, "make a role without rights").await?;
        }
        transaction
            .commit()
            .await
            .map_err(query_failed("make a role without rights"))?;
        Ok(Self { password })
    }

    /// Restores the dump into `name`, an empty database of the role's, and gives everything to whom it belonged: what is
    /// the role's own to `owner`. Returns the tables that were found in it.
    pub(crate) async fn fill(
        &self,
        config: &Config,
        dumps: &Dumps,
        id: &str,
        name: &str,
        owner: &str,
        limit: Duration,
    ) -> Result<Vec<Table>> {
        let folder = config.state_dir.join("restore");
        files::remove(&folder)?;
        files::folder(&folder)?;
        let filled = async {
            let superuser = DatabaseLogin::admin(config, name)?;
            let guest = DatabaseLogin::role(config, ROLE, &self.password, name)?;
            let restore = Restore {
                config,
                dump: dumps.file(id),
                folder: &folder,
                superuser: &superuser,
                owner: &guest,
                owner_role: ROLE,
                jobs: JOBS,
                limit,
            };
            reach(&guest).await?;
            let mut session = superuser.connect().await?;
            let entries = restore.begin().await?;
            need_owners(&mut session, &entries).await?;
            restore.fill(&entries).await?;
            let found = read(&guest, &mut session, name, limit).await?;
            restore.close(&mut session, &entries).await?;
            same::check(config, &superuser, &mut session, &folder, &entries, owner, limit).await?;
            hand_over(&mut session, name, &entries, owner).await?;
            let _ = session.close().await;
            restore.finish(&entries).await?;
            Ok(found)
        };
        let filled = filled.await;
        files::remove(&folder)?;
        filled
    }
}

/// Removes the role and its unfinished databases, if they are there. Only for who has the turn.
pub(crate) async fn clear(admin: &mut PgConnection) -> Result<()> {
    if !is_there(admin).await? {
        return Ok(());
    }
    let role = quoted(ROLE);
    execute(
        admin,
        &format!("ALTER ROLE {role} NOLOGIN PASSWORD NULL; ALTER ROLE {role} RESET ALL"),
        "close the role of restores",
    )
    .await?;
    leave_groups(admin).await?;
    let drafts: Vec<String> = sqlx::query_scalar(
        "SELECT datname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE r.rolname = $1",
    )
    .bind(ROLE)
    .fetch_all(&mut *admin)
    .await
    .map_err(query_failed("look for unfinished databases"))?;
    for draft in drafts {
        drop_database(admin, &draft).await?;
    }
    // Rights to what all databases share.
    execute(admin, &format!("DROP OWNED BY {role}"), "take the role's rights").await?;
    match sqlx::raw_sql(&format!("DROP ROLE {role}"))
        .execute(&mut *admin)
        .await
    {
        Ok(_) => Ok(()),
        // Whoever owns something may give rights to it to any role, and so keep it from being dropped. It cannot log in, and
        // the next restore takes it as it is.
        Err(error)
            if error.as_database_error().and_then(DatabaseError::code).as_deref() == Some(DEPENDED_ON) =>
        {
            tracing::warn!(
                role = ROLE,
                "the role stays, without a login, since somebody gave it rights: {error}"
            );
            Ok(())
        }
        Err(error) => Err(query_failed("drop the role of restores")(error)),
    }
}

/// Until Postgres 16 a role may give itself to others.
async fn leave_groups(admin: &mut PgConnection) -> Result<()> {
    let memberships: Vec<(String, String)> = sqlx::query_as(
        "SELECT r.rolname, m.rolname FROM pg_auth_members JOIN pg_roles r ON r.oid = roleid JOIN pg_roles m ON m.oid = member
         WHERE $1 IN (r.rolname, m.rolname)",
    )
    .bind(ROLE)
    .fetch_all(&mut *admin)
    .await
    .map_err(query_failed("list the members of the role of restores"))?;
    for (role, member) in memberships {
        execute(
            admin,
            &format!("REVOKE {} FROM {}", quoted(&role), quoted(&member)),
            "close the role of restores",
        )
        .await?;
    }
    Ok(())
}

async fn is_there(admin: &mut PgConnection) -> Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(ROLE)
        .fetch_one(admin)
        .await
        .map_err(query_failed("look for the role of restores"))
}

/// Drops a database that a restore has begun, if it is there, whatever its owner has made of it.
pub(crate) async fn drop_database(admin: &mut PgConnection, name: &str) -> Result<()> {
    let is_template: Option<bool> =
        sqlx::query_scalar("SELECT datistemplate FROM pg_database WHERE datname = $1")
            .bind(name)
            .fetch_optional(&mut *admin)
            .await
            .map_err(query_failed("look for the unfinished database"))?;
    let what = format!("drop the unfinished database {name}");
    let name = quoted(name);
    if is_template == Some(true) {
        execute(admin, &format!("ALTER DATABASE {name} IS_TEMPLATE false"), &what).await?;
    }
    // A statement of its own: it runs in no transaction.
    execute(
        admin,
        &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        &what,
    )
    .await
}

/// Nobody but its owner gets into the new database, which is the role's.
pub(crate) async fn close_to_others(admin: &mut PgConnection, name: &str) -> Result<()> {
    let statement = format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", quoted(name));
    execute(admin, &statement, "close the new database").await
}

/// Opens the finished database to those who could connect to a new one.
pub(crate) async fn open(admin: &mut PgConnection, name: &str) -> Result<()> {
    let name = quoted(name);
    for statement in [
        format!("ALTER DATABASE {name} CONNECTION LIMIT -1"),
        format!("GRANT CONNECT, TEMPORARY ON DATABASE {name} TO PUBLIC"),
    ] {
        execute(admin, &statement, "open the restored database").await?;
    }
    Ok(())
}

async fn execute(session: &mut PgConnection, statement: &str, what: &str) -> Result<()> {
    sqlx::raw_sql(statement)
        .execute(session)
        .await
        .map(drop)
        .map_err(query_failed(what))
}

/// Fails where the server does not let the role in.
async fn reach(guest: &DatabaseLogin) -> Result<()> {
    let session = guest.connect().await.map_err(|failure| {
        BackupFailure::new(failure.summary()).cure(format!(
            "let the account that restores in as it, before the other lines of pg_hba.conf: local all \"{ROLE}\" peer \
             map=restore, and in pg_ident.conf: restore postgres \"{ROLE}\"; on NixOS the module does"
        ))
    })?;
    let _ = session.close().await;
    Ok(())
}

/// Fails where a role is missing that owned something, before anything large is restored.
async fn need_owners(session: &mut PgConnection, entries: &Entries) -> Result<()> {
    let names: Vec<&str> = entries.owned().map(|entry| entry.owner.as_str()).collect();
    let missing: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT name FROM unnest($1) AS name WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)",
    )
    .bind(names)
    .fetch_all(session)
    .await
    .map_err(query_failed("look for the owners"))?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(BackupFailure::new(format!(
        "the dump has objects of roles that are not in the server: {}",
        missing.join(", ")
    ))
    .cure("make them first with CREATE ROLE; on NixOS the stack's module makes its own: systemctl restart STACK-database"))
}

/// Reads the tables as the role, in a transaction that can write nothing, once no other session of it is left.
async fn read(
    guest: &DatabaseLogin,
    superuser: &mut PgConnection,
    name: &str,
    limit: Duration,
) -> Result<Vec<Table>> {
    let mut session = guest.connect().await?;
    content::prepare(&mut session, limit).await?;
    let own: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut session)
        .await
        .map_err(query_failed("ask for this session's number"))?;
    close(superuser, name, own).await?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the connection is this restore's own and is closed after it"
    )]
    let mut transaction = session
        .begin_with("BEGIN READ ONLY")
        .await
        .map_err(query_failed("begin a transaction"))?;
    let found = content::read(&mut transaction, limit).await;
    drop(transaction);
    // A database with a session in it cannot be renamed.
    let _ = session.close().await;
    end_sessions(superuser, name, 0).await?;
    found
}

/// From here on nobody but superusers gets into the database, and no session is left but `kept`.
async fn close(superuser: &mut PgConnection, name: &str, kept: i32) -> Result<()> {
    let (role, database) = (quoted(ROLE), quoted(name));
    for statement in [
        format!("ALTER ROLE {role} NOLOGIN"),
        format!("ALTER DATABASE {database} WITH CONNECTION LIMIT 0 ALLOW_CONNECTIONS true IS_TEMPLATE false"),
        // What the code has set for later sessions.
        format!("ALTER DATABASE {database} RESET ALL"),
        // Autovacuum goes on, and computes the values of indexes with the code of their tables' owners.
        format!("ALTER DATABASE {database} SET default_transaction_read_only = on"),
    ] {
        execute(superuser, &statement, "close the restored database").await?;
    }
    end_sessions(superuser, name, kept).await?;
    leave_groups(superuser).await?;
    let others: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
         FROM pg_database, aclexplode(datacl) WHERE datname = $1 AND grantee <> datdba",
    )
    .bind(name)
    .fetch_all(&mut *superuser)
    .await
    .map_err(query_failed("list who has rights to the restored database"))?;
    for other in others {
        execute(
            superuser,
            &format!("REVOKE ALL ON DATABASE {database} FROM {other} CASCADE"),
            "close the restored database",
        )
        .await?;
    }
    Ok(())
}

/// Ends all sessions of the role, and those in its database that are not a superuser's. Autovacuum's are ended too: what comes
/// later has the settings of [`close`].
async fn end_sessions(superuser: &mut PgConnection, name: &str, kept: i32) -> Result<()> {
    let end = Instant::now() + ENDED;
    loop {
        // Who is starting has read the settings already, and is in no list yet.
        let starting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = objid
             WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND datname = $1
               AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()",
        )
        .bind(name)
        .fetch_one(&mut *superuser)
        .await
        .map_err(query_failed("look for sessions that begin"))?;
        let left: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity LEFT JOIN pg_roles r ON r.oid = usesysid
             WHERE pid <> $1 AND (backend_type = 'client backend' AND (rolname = $2 OR datname = $3 AND NOT rolsuper)
                                  OR backend_type = 'autovacuum worker' AND datname = $3)",
        )
        .bind(kept)
        .bind(ROLE)
        .bind(name)
        .fetch_all(&mut *superuser)
        .await
        .map_err(query_failed("end the sessions in the restored database"))?;
        if starting == 0 && left.is_empty() {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(
                BackupFailure::new(format!("sessions in {name} do not end")).cure("look at pg_stat_activity")
            );
        }
        sleep(PAUSE).await;
    }
}

/// Gives everything to whom it belonged, whole or not at all. None of it runs code of the dump.
async fn hand_over(superuser: &mut PgConnection, name: &str, entries: &Entries, owner: &str) -> Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the connection is this restore's own and is closed after it"
    )]
    let mut transaction = superuser
        .begin()
        .await
        .map_err(query_failed("begin to set owners"))?;
    // A sequence that belongs to a table follows it, and would not go first.
    let (sequences, others): (Vec<&Entry>, Vec<&Entry>) =
        entries.owned().partition(|entry| entry.kind == "SEQUENCE");
    for entry in others.into_iter().chain(sequences) {
        let is_left = entry.owner == owner && entry.kind != "SERVER";
        for object in entry.owned_objects().iter().filter(|_| !is_left) {
            execute(
                &mut transaction,
                &format!("ALTER {object} OWNER TO {}", quoted(&entry.owner)),
                "set an owner",
            )
            .await?;
        }
    }
    let role = quoted(ROLE);
    for statement in [
        format!("REASSIGN OWNED BY {role} TO {}", quoted(owner)),
        format!("DROP OWNED BY {role}"),
        format!("ALTER DATABASE {} RESET ALL", quoted(name)),
    ] {
        execute(&mut transaction, &statement, "set the owner").await?;
    }
    transaction.commit().await.map_err(query_failed("set owners"))
}
