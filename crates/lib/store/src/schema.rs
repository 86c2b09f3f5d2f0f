//! The migrations, and whether a database has them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use slipway_settings::DatabaseSettings;
use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPoolOptions;
use tracing::instrument;

use crate::{Store, StoreError, bounded, connect, grants};

/// Every migration, in the order of their versions. Files are only ever added.
pub static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// How long a migration waits for another one, or for a lock, in milliseconds.
const LOCK_TIMEOUT_MS: u32 = 60_000;
/// How long all migrations together may take.
const MIGRATE_LIMIT: Duration = Duration::from_hours(1);

/// Whether a database has the schema that this program was built for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// Exactly that.
    Current,
    /// These migrations are missing.
    Pending(Vec<i64>),
    /// All that, and migrations of a later version. They only added, so this program runs on it; one that was gone back
    /// to must.
    Newer(Vec<i64>),
    /// The database has migrations that this program does not know, and lacks some that it does: it belongs to another
    /// line of versions.
    Unknown(Vec<i64>),
    /// This migration was begun and did not finish.
    Dirty(i64),
    /// These migrations were applied with another content than this program has.
    ChecksumMismatch(Vec<i64>),
}

impl SchemaState {
    /// Whether this program can work on it.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        matches!(self, Self::Current | Self::Newer(_))
    }
}

impl fmt::Display for SchemaState {
    /// What is so, and what to do about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("the schema is current"),
            Self::Newer(versions) => write!(
                f,
                "the schema is newer than this program: it has {} migrations more (the newest is {})",
                versions.len(),
                versions.last().copied().unwrap_or_default()
            ),
            Self::Pending(versions) => write!(
                f,
                "{} migrations are missing (the first is {}): run `slipway-api migrate`",
                versions.len(),
                versions.first().copied().unwrap_or_default()
            ),
            Self::Unknown(versions) => write!(
                f,
                "the database has migrations that this program does not know (the newest is {}): run the version that the database belongs to, or a newer one",
                versions.last().copied().unwrap_or_default()
            ),
            Self::Dirty(version) => write!(
                f,
                "migration {version} was begun and did not finish: undo what it did by hand, delete its row from _sqlx_migrations, and run `slipway-api migrate`"
            ),
            Self::ChecksumMismatch(versions) => write!(
                f,
                "migration {} was applied with another content than this program has: run the version that the database belongs to",
                versions.first().copied().unwrap_or_default()
            ),
        }
    }
}

impl Store {
    /// Whether the database has the schema that this program was built for.
    pub async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        schema_state(&self.pool).await
    }
}

/// Whether the database has the schema that this program was built for. Changes nothing.
#[instrument(name = "db.schema.read", level = "debug", skip_all)]
pub async fn schema_state(pool: &PgPool) -> Result<SchemaState, StoreError> {
    bounded(read_state(pool, &MIGRATOR)).await
}

/// As [`schema_state`], for any set of migrations.
async fn read_state<'c, E>(database: E, migrator: &Migrator) -> Result<SchemaState, StoreError>
where
    E: sqlx::Acquire<'c, Database = sqlx::Postgres>,
{
    let mut connection = database.acquire().await?;
    // The one table that is not there before the first migration, so no query on it can be checked at compile time.
    let there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    let rows: Vec<(i64, bool, Vec<u8>)> = if there {
        sqlx::query_as("SELECT version, success, checksum FROM _sqlx_migrations ORDER BY version")
            .fetch_all(&mut *connection)
            .await?
    } else {
        Vec::new()
    };
    if let Some((version, ..)) = rows.iter().find(|(_, success, _)| !success) {
        return Ok(SchemaState::Dirty(*version));
    }
    let mut known: BTreeMap<i64, &[u8]> = migrator
        .iter()
        .filter(|migration| !migration.migration_type.is_down_migration())
        .map(|migration| (migration.version, migration.checksum.as_ref()))
        .collect();
    let (mut changed, mut unknown) = (Vec::new(), Vec::new());
    for (version, _, checksum) in &rows {
        match known.remove(version) {
            Some(expected) if expected == checksum.as_slice() => {}
            Some(_) => changed.push(*version),
            None => unknown.push(*version),
        }
    }
    if !changed.is_empty() {
        return Ok(SchemaState::ChecksumMismatch(changed));
    }
    Ok(match (unknown.is_empty(), known.is_empty()) {
        (true, true) => SchemaState::Current,
        (true, false) => SchemaState::Pending(known.into_keys().collect()),
        (false, true) => SchemaState::Newer(unknown),
        (false, false) => SchemaState::Unknown(unknown),
    })
}

/// What [`migrate`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The versions that were applied.
    pub applied: Vec<i64>,
    /// The role that the processes come as, which may do what they need and no more; none in an installation with one
    /// role, where they could change the audit log.
    pub process_role: Option<String>,
}

/// Applies every missing migration, and gives the processes' role its rights if there is one. On a newer schema there is
/// nothing to do.
///
/// One connection of its own, without a limit on statements. Only one migrator is at work at a time: the others wait
/// for its advisory lock, at most a minute.
#[instrument(name = "db.schema.migrate", level = "debug", skip_all)]
pub async fn migrate(settings: &DatabaseSettings) -> Result<Migrated, StoreError> {
    let options = connect::options(settings, "slipway-migrate").options([
        ("statement_timeout", "0".to_owned()),
        ("lock_timeout", LOCK_TIMEOUT_MS.to_string()),
        ("tcp_keepalives_idle", "20".to_owned()),
        // A migration whose program was killed ends then, and lets go of its locks.
        ("client_connection_check_interval", "5s".to_owned()),
    ]);
    let limited = tokio::time::timeout(MIGRATE_LIMIT, async {
        // A pool, because it waits for a server that is about to come up.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(settings.acquire_timeout)
            .connect_lazy_with(options);
        let mut connection = pool.acquire().await?;
        let done = run(&mut connection, &MIGRATOR, settings.process_role.as_deref()).await;
        // The lock goes with the connection, also when a migration failed.
        connection.close().await.ok();
        done
    });
    limited
        .await
        .map_err(|_| StoreError::Unavailable(sqlx::Error::PoolTimedOut))?
}

async fn run(
    connection: &mut sqlx::PgConnection,
    migrator: &Migrator,
    process_role: Option<&str>,
) -> Result<Migrated, StoreError> {
    let applied = match read_state(&mut *connection, migrator).await? {
        // What a newer program granted stays: it knows of more tables.
        SchemaState::Newer(_) => Vec::new(),
        // Also as a role that may not change the schema: then a host that is up to date already goes on.
        SchemaState::Current => {
            grant(connection, process_role).await?;
            Vec::new()
        }
        _ => {
            let applied = apply(connection, migrator).await?;
            grant(connection, process_role).await?;
            applied
        }
    };
    Ok(Migrated {
        applied,
        process_role: match process_role {
            None if !grants::can_change_events(connection).await? => Some(current_role(connection).await?),
            role => role.map(ToOwned::to_owned),
        },
    })
}

async fn grant(connection: &mut sqlx::PgConnection, role: Option<&str>) -> Result<(), StoreError> {
    match role {
        Some(role) => grants::grant(connection, role).await,
        None => Ok(()),
    }
}

async fn apply(connection: &mut sqlx::PgConnection, migrator: &Migrator) -> Result<Vec<i64>, StoreError> {
    let may: bool = sqlx::query_scalar("SELECT has_schema_privilege(current_schema(), 'CREATE')")
        .fetch_one(&mut *connection)
        .await?;
    if !may {
        return Err(StoreError::Role {
            role: current_role(connection).await?,
            problem: "may not change the schema; migrate as the role that owns the tables".to_owned(),
        });
    }
    let before = applied(connection).await?;
    migrator.run_direct(connection).await.map_err(explain)?;
    let mut after = applied(connection).await?;
    after.retain(|version| !before.contains(version));
    Ok(after)
}

async fn current_role(connection: &mut sqlx::PgConnection) -> Result<String, StoreError> {
    Ok(sqlx::query_scalar("SELECT current_user::text")
        .fetch_one(connection)
        .await?)
}

async fn applied(connection: &mut sqlx::PgConnection) -> Result<Vec<i64>, StoreError> {
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
        MigrateError::Execute(_) => {
            let seconds = LOCK_TIMEOUT_MS / 1000;
            format!(
                "the database refused, or another migration held the lock for {seconds} s; see the cause and run it again"
            )
        }
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
