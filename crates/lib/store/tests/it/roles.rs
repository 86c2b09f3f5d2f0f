//! Two roles: the one that migrates owns the tables, and the one that serves can only add to the audit log.

use slipway_domain::RolloutState;
use slipway_settings::DatabaseSettings;
use slipway_store::schema::migrate;
use slipway_store::{MIGRATOR, SchemaState, Store, StoreError};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::support::{Fleet, agents, claim, drive, settings, sql, store};

const PASSWORD: &str = "of-a-test-alone";

/// The names of a test's two roles: roles belong to the whole server.
struct Roles {
    owner: String,
    processes: String,
    settings: DatabaseSettings,
    options: PgConnectOptions,
}

impl Roles {
    async fn create(pool: &PgPool) -> Self {
        let options = pool.connect_options().as_ref().clone();
        let database = options.get_database().unwrap().to_owned();
        // A name has at most 63 bytes, which the database's own may have already.
        let own = &database[database.len().saturating_sub(40)..];
        let (owner, processes) = (format!("{own}_owner"), format!("{own}_processes"));
        for role in [&owner, &processes] {
            // A run that was killed may have left it.
            sql(pool, &format!("DROP ROLE IF EXISTS \"{role}\"")).await;
            sql(
                pool,
                &format!("CREATE ROLE \"{role}\" LOGIN PASSWORD '{PASSWORD}'"),
            )
            .await;
        }
        sql(
            pool,
            &format!(
                "ALTER DATABASE \"{database}\" OWNER TO \"{owner}\"; REVOKE ALL ON DATABASE \"{database}\" FROM PUBLIC"
            ),
        )
        .await;
        Self {
            settings: settings(&options, None),
            owner,
            processes,
            options,
        }
    }

    fn as_role(&self, role: &str, process_role: Option<&str>) -> DatabaseSettings {
        DatabaseSettings {
            user: role.to_owned(),
            password: Some(PASSWORD.to_owned().into()),
            process_role: process_role.map(ToOwned::to_owned),
            ..self.settings.clone()
        }
    }

    /// Roles outlive a test's database otherwise.
    async fn drop(self, pool: &PgPool) {
        for role in [&self.owner, &self.processes] {
            sql(
                pool,
                &format!("REASSIGN OWNED BY \"{role}\" TO CURRENT_USER; DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\""),
            )
            .await;
        }
    }
}

/// What somebody with the processes' password would try.
const ATTACKS: [&str; 19] = [
    "UPDATE events SET cause = 'x'",
    "DELETE FROM events",
    "TRUNCATE events",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "DROP TRIGGER events_append_only ON events",
    "DROP TABLE events",
    "ALTER TABLE events ADD COLUMN more text",
    "CREATE RULE hide AS ON SELECT TO events DO INSTEAD NOTHING",
    "CREATE TRIGGER skip BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse_event_change()",
    "CREATE OR REPLACE FUNCTION refuse_event_change() RETURNS trigger LANGUAGE sql AS 'SELECT 1'",
    "DO $$ BEGIN LOCK TABLE events IN ACCESS EXCLUSIVE MODE; END $$",
    "DELETE FROM event_head",
    "UPDATE release_closures SET closure = 'x'",
    "UPDATE releases SET message = 'x'",
    "DELETE FROM steps",
    "INSERT INTO _sqlx_migrations SELECT * FROM _sqlx_migrations",
    "CREATE TABLE mine (n integer)",
    "SET session_replication_role = replica",
    "ALTER DEFAULT PRIVILEGES FOR ROLE CURRENT_USER GRANT ALL ON TABLES TO PUBLIC; ALTER TABLE events OWNER TO CURRENT_USER",
];

#[sqlx::test(migrations = false)]
async fn the_processes_role_does_its_work_and_cannot_change_the_audit_log(pool: PgPool) {
    slipway_testkit::empty(&pool).await;
    let roles = Roles::create(&pool).await;
    let migrations = roles.as_role(&roles.owner, Some(&roles.processes));
    let done = migrate(&migrations).await.unwrap();
    assert_eq!(done.applied.len(), MIGRATOR.iter().count());
    assert_eq!(done.process_role.as_deref(), Some(roles.processes.as_str()));

    // A whole rollout, as api and worker make it.
    let serving = Store::connect(&roles.as_role(&roles.processes, None), "processes");
    assert_eq!(serving.schema_state().await.unwrap(), SchemaState::Current);
    assert!(!serving.can_change_events().await.unwrap());
    let fleet = Fleet::of(2).seed(&serving).await;
    let rollout = fleet.rollout(1).await;
    let mut agents = agents(&fleet);
    drive(&fleet, &mut agents, &claim(&serving, "w").await).await;
    let summary = serving.get_rollout(rollout).await.unwrap().summary;
    assert_eq!(summary.state, RolloutState::Succeeded);
    serving.note_worker("w", "1").await.unwrap();
    serving.forget_worker("w").await.unwrap();

    let options = roles
        .options
        .clone()
        .username(&roles.processes)
        .password(PASSWORD);
    let mut attacker: PgConnection = options.disable_statement_logging().connect().await.unwrap();
    let owner = format!("SET ROLE \"{}\"", roles.owner);
    for attack in ATTACKS.into_iter().chain([owner.as_str()]) {
        let error = sqlx::raw_sql(attack).execute(&mut attacker).await.unwrap_err();
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .map(String::from);
        assert_eq!(code.as_deref(), Some("42501"), "{attack}: {error}");
    }
    // Not refused by Postgres, and without effect: there is nothing it could hand on.
    let hand_on = format!("GRANT UPDATE ON events TO \"{}\"", roles.processes);
    sqlx::raw_sql(&hand_on).execute(&mut attacker).await.unwrap();
    assert!(
        sqlx::raw_sql("UPDATE events SET cause = 'x'")
            .execute(&mut attacker)
            .await
            .is_err()
    );
    attacker.close().await.unwrap();
    assert_eq!(serving.verify_chain(&fleet.key).await.unwrap().problem, None);

    // A table that a migration adds and nobody lists would stop the processes, and is found here.
    let forgotten: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
           AND NOT has_table_privilege($1, oid, 'SELECT')",
    )
    .bind(&roles.processes)
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(forgotten.is_empty(), "not in the list of grants: {forgotten:?}");
    serving.close().await;
    roles.drop(&pool).await;
}

#[sqlx::test(migrations = false)]
async fn migrating_again_takes_back_what_was_given_too_much(pool: PgPool) {
    slipway_testkit::empty(&pool).await;
    let roles = Roles::create(&pool).await;
    let migrations = roles.as_role(&roles.owner, Some(&roles.processes));
    migrate(&migrations).await.unwrap();
    sql(
        &pool,
        &format!(
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO \"{}\"",
            roles.processes
        ),
    )
    .await;
    let serving = Store::connect(&roles.as_role(&roles.processes, None), "processes");
    assert!(serving.can_change_events().await.unwrap());
    let (a, b) = tokio::join!(migrate(&migrations), migrate(&migrations));
    assert!(a.unwrap().applied.is_empty() && b.unwrap().applied.is_empty());
    assert!(!serving.can_change_events().await.unwrap());
    serving.close().await;
    roles.drop(&pool).await;
}

/// A host of the control plane without the database runs `migrate` too, as the processes' role.
#[sqlx::test(migrations = false)]
async fn the_processes_role_may_migrate_when_there_is_nothing_to_do(pool: PgPool) {
    slipway_testkit::empty(&pool).await;
    let roles = Roles::create(&pool).await;
    migrate(&roles.as_role(&roles.owner, Some(&roles.processes)))
        .await
        .unwrap();
    let processes = roles.as_role(&roles.processes, None);
    let done = migrate(&processes).await.unwrap();
    assert!(done.applied.is_empty());
    assert_eq!(done.process_role.as_deref(), Some(roles.processes.as_str()));
    let last = MIGRATOR.iter().last().unwrap().version;
    sql(
        &pool,
        &format!("DELETE FROM _sqlx_migrations WHERE version = {last}"),
    )
    .await;
    let error = migrate(&processes).await.unwrap_err().to_string();
    assert!(
        error.contains("migrate as the role that owns the tables"),
        "{error}"
    );
    roles.drop(&pool).await;
}

#[sqlx::test(migrations = false)]
async fn an_installation_with_one_role_works_and_says_so(pool: PgPool) {
    slipway_testkit::empty(&pool).await;
    let done = migrate(&settings(&pool.connect_options(), None)).await.unwrap();
    assert_eq!(done.process_role, None);
    let store = store(&pool);
    assert!(store.can_change_events().await.unwrap());
    let roles = Roles::create(&pool).await;
    for (role, said) in [
        ("nobody-of-this-name", "does not exist"),
        (roles.settings.user.as_str(), "is the one that migrates"),
    ] {
        let settings = DatabaseSettings {
            process_role: Some(role.to_owned()),
            ..roles.settings.clone()
        };
        let error = migrate(&settings).await.unwrap_err();
        assert!(matches!(error, StoreError::Role { .. }), "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
    }
    // A member of the role that migrates has all its rights.
    sql(
        &pool,
        &format!("GRANT \"{}\" TO \"{}\"", roles.owner, roles.processes),
    )
    .await;
    let member = roles.as_role(&roles.owner, Some(&roles.processes));
    sql(
        &pool,
        &format!(
            "ALTER TABLE _sqlx_migrations OWNER TO \"{}\"; ALTER SCHEMA public OWNER TO \"{}\"",
            roles.owner, roles.owner
        ),
    )
    .await;
    let error = migrate(&member).await.unwrap_err().to_string();
    assert!(error.contains("nothing could be kept from it"), "{error}");
    roles.drop(&pool).await;
}
