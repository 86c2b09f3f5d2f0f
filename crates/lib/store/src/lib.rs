//! All SQL of Slipway and its migrations. The api and the worker use this crate. It must never decide what
//! happens to a rollout: it stores what `slipway_domain` decided.
//!
//! Entities are read into the types of `slipway_wire`, so that the api shows what a query gave.
//!
//! Postgres is the truth of the control plane and its only clock. A function that needs an instant takes the database's
//! `now()` inside its own transaction. Lookups named `find_*` give an `Option`, those named `get_*` fail with
//! [`StoreError::NotFound`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`schema`] | the migrations, and whether a database has them |
//! | [`fleet`] | environments and hosts |
//! | [`access`] | principals and tokens |
//! | [`releases`], [`rollouts`] | what is rolled out, and how far it is |
//! | [`agent`] | what the api does at every sync |
//! | [`plans`] | what switches would change on hosts |
//! | [`outputs`] | what switch scripts and hooks print |
//! | [`preflight`] | facts of hosts, and all that a preflight looks at |
//! | [`worker`] | leases, snapshots and the one way in which states change |
//! | [`messages`] | destinations, and the outbox of what goes there |
//! | [`audit`] | the event chain |
//!
//! Queries are checked when this crate is compiled; `docs/database.md` says how.

pub mod access;
pub mod agent;
pub mod audit;
mod commits;
mod connect;
mod error;
pub mod fleet;
mod grants;
pub mod messages;
pub mod outputs;
pub mod plans;
mod pool;
pub mod preflight;
mod references;
pub mod releases;
pub mod rollouts;
mod row;
pub mod schema;
mod stored;
mod transaction;
pub mod worker;

use std::pin::pin;
use std::time::Duration;

use slipway_domain::Timestamp;
use slipway_settings::DatabaseSettings;
use sqlx::PgPool;
use tracing::instrument;

use access::Lookups;
use audit::caller::Proofs;

pub use access::{AuthenticatedPrincipal, Caller, NewToken, SignIn, TokenHash, TokenOwner, TokensOf};
pub use agent::{Assigned, RecordedObservation};
pub use audit::{AuditKey, EventAuthor, EventSearch, EventsOf};
pub use commits::watch_commits;
pub use error::{NoneYet, StoreError};
pub use fleet::{HostsOf, NewFreeze};
pub use outputs::{KeptOutput, OutputSearch};
pub use pool::describe_metrics;
pub use preflight::PreflightOf;
pub use releases::{Document, NewAttachment, NewManifest, NewRelease, StoredDocument};
pub use rollouts::{NewCommand, NewRollout, RolloutsOf};
pub use schema::{MIGRATOR, Migrated, SchemaState};
pub use stored::Stored;
pub use worker::{Applied, Lease};

/// The longest that any function of this crate takes, whatever the network or the server does.
///
/// Longer than the server's own limits on statements and locks, so that it only ends calls that the server
/// cannot.
const CALL_LIMIT: Duration = Duration::from_secs(90);

/// The database. Clones share one pool, lookups of tokens, and what was proved.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    lookups: Lookups,
    proofs: Proofs,
}

impl Store {
    /// A store on these settings. Opens no connection: the first query does, so a start does not wait for Postgres.
    ///
    /// `application` is the name that Postgres shows for the connections, such as `slipway-api`.
    #[must_use]
    pub fn connect(settings: &DatabaseSettings, application: &str) -> Self {
        pool::note_most(settings.max_connections());
        Self::from_pool(connect::pool(settings, application))
    }

    /// The most connections that its pool opens.
    #[must_use]
    pub fn most_connections(&self) -> u32 {
        self.pool.options().get_max_connections()
    }

    /// A store on a pool that exists already.
    #[must_use]
    pub fn from_pool(pool: PgPool) -> Self {
        Self {
            pool,
            lookups: Lookups::default(),
            proofs: Proofs::default(),
        }
    }

    /// Asks the database for an answer, for health checks.
    #[instrument(name = "db.ping", level = "debug", skip_all)]
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.now().await.map(drop)
    }

    /// Whether the database accepts writes. A standby answers but accepts none, and neither does a read-only
    /// database.
    #[instrument(name = "db.takes_writes", level = "debug", skip_all)]
    pub async fn takes_writes(&self) -> Result<bool, StoreError> {
        bounded(async {
            Ok(sqlx::query_scalar!(
                r#"SELECT current_setting('transaction_read_only') = 'off' AND NOT pg_is_in_recovery() AS "writes!""#
            )
            .fetch_one(&self.pool)
            .await?)
        })
        .await
    }

    /// The control plane's instant.
    #[instrument(name = "db.now", level = "debug", skip_all)]
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        bounded(async {
            Ok(sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
                .fetch_one(&self.pool)
                .await?)
        })
        .await
    }

    /// Whether this store's role could change the audit log, as in an installation with one role.
    #[instrument(name = "db.can_change_events", level = "debug", skip_all)]
    pub async fn can_change_events(&self) -> Result<bool, StoreError> {
        bounded(async { grants::can_change_events(&mut *self.pool.acquire().await?).await }).await
    }

    /// Closes every connection once it is idle. Later calls get [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Runs one call with a bound on its time. A transaction that is cut off here is rolled back, unless its commit is under
/// way: then nobody knows.
fn bounded<T>(
    call: impl Future<Output = Result<T, StoreError>>,
) -> impl Future<Output = Result<T, StoreError>> {
    bounded_by(CALL_LIMIT, call)
}

/// As [`bounded`], with this bound.
async fn bounded_by<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let mut call = pin!(tokio::time::timeout(limit, call));
    // It is dropped before the call, which gives its connection back.
    let under_way = pool::Call::begin();
    match call.as_mut().await {
        Ok(result) => {
            under_way.end();
            result
        }
        Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
    }
}

/// Page sizes that a caller may ask for.
fn page_limit(limit: u32) -> i64 {
    i64::from(limit.clamp(1, 1000))
}
