//! Applies migrations without blocking the running programs.
//!
//! A statement that waits for a lock on a table blocks all later ones, readers too. So a migration waits only
//! briefly, lets the others through and tries again.

use std::error::Error;
use std::time::Duration;

use slipway_settings::DatabaseSettings;
use sqlx::PgConnection;
use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPoolOptions;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, instrument};

use super::{MIGRATOR, SchemaState, read_state};
use crate::{StoreError, connect, grants};

/// How long all migrations together may take.
const MIGRATE_LIMIT: Duration = Duration::from_hours(1);

/// How long a migration waits for others: for another migrator, and for transactions that hold what it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// One wait. All later statements wait as long, so it is far below their own limit of 10 s.
    pub one_wait: Duration,
    /// The pause between two waits, for the other statements.
    pub pause: Duration,
    /// All waits for the same thing, pauses included.
    pub all_waits: Duration,
}

impl Default for Patience {
    /// Outlasts a dump of a large database, and stays below what the modules give to migrations (10 minutes).
    fn default() -> Self {
        Self {
            one_wait: Duration::from_secs(2),
            pause: Duration::from_secs(3),
            all_waits: Duration::from_mins(5),
        }
    }
}

/// What [`migrate`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The versions that were applied.
    pub applied: Vec<i64>,
    /// The role of the processes, with only the rights that they need. None in an installation with one role, where
    /// they could change the audit log.
    pub process_role: Option<String>,
}

/// Applies every missing migration, and gives the processes' role its rights if there is one. On a newer schema there is
/// nothing to do.
///
/// One connection of its own, without a limit on statements. Only one migrator is at work at a time, by an advisory
/// lock.
pub async fn migrate(settings: &DatabaseSettings) -> Result<Migrated, StoreError> {
    migrate_with(settings, Patience::default()).await
}

/// As [`migrate`], with another patience.
#[instrument(name = "db.schema.migrate", level = "debug", skip_all)]
pub async fn migrate_with(settings: &DatabaseSettings, patience: Patience) -> Result<Migrated, StoreError> {
    let options = connect::options(settings, "slipway-migrate").options([
        ("statement_timeout", "0".to_owned()),
        ("lock_timeout", patience.one_wait.as_millis().to_string()),
        ("tcp_keepalives_idle", "20".to_owned()),
        // Ends a migration whose program was killed, and releases its locks.
        ("client_connection_check_interval", "5s".to_owned()),
    ]);
    let limited = timeout(MIGRATE_LIMIT, async {
        // A pool, because it waits for a starting server.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(settings.acquire_timeout)
            .connect_lazy_with(options);
        let mut connection = pool.acquire().await?;
        let done = run_patiently(&mut connection, settings.process_role.as_deref(), patience).await;
        // The lock goes with the connection, also when a migration failed.
        connection.close().await.ok();
        done
    });
    limited
        .await
        .map_err(|_| StoreError::Unavailable(sqlx::Error::PoolTimedOut))?
}

/// [`run`], again and again while something else holds a lock.
async fn run_patiently(
    connection: &mut PgConnection,
    process_role: Option<&str>,
    patience: Patience,
) -> Result<Migrated, StoreError> {
    let before = applied(connection).await?;
    let (mut reached, mut waits_since) = (before.len(), Instant::now());
    loop {
        let error = match run(connection, &MIGRATOR, process_role).await {
            Ok(process_role) => {
                let mut applied = applied(connection).await?;
                applied.retain(|version| !before.contains(version));
                return Ok(Migrated {
                    applied,
                    process_role,
                });
            }
            Err(error) if waited_for_a_lock(&error) => error,
            Err(error) => return Err(error),
        };
        let now = applied(connection).await?.len();
        if now > reached {
            (reached, waits_since) = (now, Instant::now());
        }
        if waits_since.elapsed() + patience.pause > patience.all_waits {
            return Err(StoreError::LocksHeld {
                seconds: waits_since.elapsed().as_secs(),
                source: Box::new(error),
            });
        }
        info!("another transaction holds what a migration needs; trying again");
        sleep(patience.pause).await;
    }
}

/// Whether a lock was not available (`lock_not_available`), or two transactions waited for each other
/// (`deadlock_detected`).
fn waited_for_a_lock(error: &StoreError) -> bool {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = source {
        let code = error
            .downcast_ref::<sqlx::Error>()
            .and_then(sqlx::Error::as_database_error)
            .and_then(DatabaseError::code);
        if code.is_some_and(|code| code == "55P03" || code == "40P01") {
            return true;
        }
        source = error.source();
    }
    false
}

/// Applies missing migrations, grants rights, and returns the processes' role.
async fn run(
    connection: &mut PgConnection,
    migrator: &Migrator,
    process_role: Option<&str>,
) -> Result<Option<String>, StoreError> {
    match read_state(&mut *connection, migrator).await? {
        // Rights that a newer program granted stay, since it knows more tables.
        SchemaState::Newer(_) => {}
        // Also as a role that may not change the schema: then a host that is up to date already goes on.
        SchemaState::Current => grant(connection, process_role).await?,
        _ => {
            apply(connection, migrator).await?;
            grant(connection, process_role).await?;
        }
    }
    Ok(match process_role {
        None if !grants::can_change_events(connection).await? => Some(current_role(connection).await?),
        role => role.map(ToOwned::to_owned),
    })
}

async fn grant(connection: &mut PgConnection, role: Option<&str>) -> Result<(), StoreError> {
    match role {
        Some(role) => grants::grant(connection, role).await,
        None => Ok(()),
    }
}

async fn apply(connection: &mut PgConnection, migrator: &Migrator) -> Result<(), StoreError> {
    let may: bool = sqlx::query_scalar("SELECT has_schema_privilege(current_schema(), 'CREATE')")
        .fetch_one(&mut *connection)
        .await?;
    if !may {
        return Err(StoreError::Role {
            role: current_role(connection).await?,
            problem: "may not change the schema; migrate as the role that owns the tables".to_owned(),
        });
    }
    migrator.run_direct(connection).await.map_err(explain)
}

async fn current_role(connection: &mut PgConnection) -> Result<String, StoreError> {
    Ok(sqlx::query_scalar("SELECT current_user::text")
        .fetch_one(connection)
        .await?)
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, StoreError> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !there {
        return Ok(Vec::new());
    }
    Ok(
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version")
            .fetch_all(connection)
            .await?,
    )
}

fn explain(error: MigrateError) -> StoreError {
    let problem = match &error {
        MigrateError::VersionMissing(version) => SchemaState::Unknown(vec![*version]).to_string(),
        MigrateError::VersionMismatch(version) => SchemaState::ChecksumMismatch(vec![*version]).to_string(),
        MigrateError::Dirty(version) => SchemaState::Dirty(*version).to_string(),
        MigrateError::Execute(_) => "the database refused; see the cause and run it again".to_owned(),
        MigrateError::ExecuteMigration(_, version) => {
            format!("migration {version} failed and was undone; see the cause")
        }
        _ => "see the cause".to_owned(),
    };
    StoreError::Migrate {
        problem,
        source: Box::new(error),
    }
}
