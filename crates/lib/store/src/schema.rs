//! The migrations, and whether a database has them.

mod migrate;

use std::collections::BTreeMap;
use std::fmt;

use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tracing::instrument;

use crate::{Store, StoreError, bounded};

pub use migrate::{Migrated, Patience, migrate, migrate_with};

/// Every migration, in the order of their versions. Files are only ever added.
pub static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Whether a database has the schema that this program was built for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// Exactly that.
    Current,
    /// These migrations are missing.
    Pending(Vec<i64>),
    /// All of them, and migrations of a later version. Migrations only add, so an older program still runs.
    Newer(Vec<i64>),
    /// The database has migrations that this program does not know, and lacks some that it does: it belongs to another
    /// line of versions.
    Unknown(Vec<i64>),
    /// This migration was begun and did not finish.
    Dirty(i64),
    /// These migrations were applied with other content than this program's.
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
