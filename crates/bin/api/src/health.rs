//! How well the process and what it depends on are.
//!
//! Anybody may ask, so the database is queried at most once a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use slipway_store::{Store, StoreError};
use slipway_telemetry::error_chain;
use slipway_wake::Wake;
use slipway_wire::monitoring::{Dependency, Health as Shown, Status};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long an answer of the database is good.
const FRESH: Duration = Duration::from_secs(1);
/// After this long without a word of any worker, nobody drives rollouts. Workers speak every 10 s.
const WORKER_SILENCE_SECONDS: u32 = 30;
/// The longest that the database may take with all that is asked of it, to count as there.
const PATIENCE: Duration = Duration::from_secs(2);

/// The last answer of the database, for as long as it is fresh.
#[derive(Debug, Default)]
pub struct HealthCache(Mutex<Option<(Instant, Arc<DatabaseHealth>)>>);

#[derive(Debug)]
enum DatabaseHealth {
    Answered {
        took: Duration,
        /// Workers at work; unknown before the schema is there.
        workers: Option<u32>,
    },
    ReadOnly,
    Away(String),
}

impl DatabaseHealth {
    async fn ask(store: &Store) -> Self {
        let begin = Instant::now();
        let asked = async {
            let writes = store.takes_writes().await?;
            let took = begin.elapsed();
            // Nothing of this is known before the schema is there, which is no fault of the database.
            let workers = store.count_workers(WORKER_SILENCE_SECONDS).await.ok();
            Ok::<_, StoreError>((writes, took, workers))
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok((true, took, workers))) => Self::Answered { took, workers },
            Ok(Ok((false, ..))) => Self::ReadOnly,
            Ok(Err(error)) => Self::Away(error_chain(&error)),
            Err(_) => Self::Away(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }
}

impl HealthCache {
    async fn current(&self, store: &Store) -> Arc<DatabaseHealth> {
        let mut last = self.0.lock().await;
        if let Some((_, health)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Arc::clone(health);
        }
        let health = Arc::new(DatabaseHealth::ask(store).await);
        *last = Some((Instant::now(), Arc::clone(&health)));
        health
    }

    /// Why the database cannot be used, if it cannot; for the log.
    pub(crate) async fn database_problem(&self, store: &Store) -> Option<String> {
        match &*self.current(store).await {
            DatabaseHealth::Answered { .. } => None,
            DatabaseHealth::ReadOnly => Some("the database takes no writes".to_owned()),
            DatabaseHealth::Away(why) => Some(why.clone()),
        }
    }

    /// The overall state, which anybody may see: no address, no secret, no cause.
    pub(crate) async fn report(&self, store: &Store, wake: &Wake) -> Shown {
        let health = self.current(store).await;
        let database = match &*health {
            DatabaseHealth::Answered { took, .. } => Dependency { latency_ms: Some(millis(*took)), ..well() },
            DatabaseHealth::ReadOnly => Dependency {
                status: Status::Down,
                detail: Some(
                    "the database answers and takes no writes: it is a standby, or set read-only; nothing is lost: hosts \
                     go on with what they run. Let the DATABASE_ settings name the primary, or set \
                     default_transaction_read_only off"
                        .to_owned(),
                ),
                ..well()
            },
            DatabaseHealth::Away(_) => Dependency {
                status: Status::Down,
                detail: Some(
                    "the database does not answer; nothing can be done without it, and nothing is lost: hosts go on \
                     with what they run. Check Postgres and the DATABASE_ settings"
                        .to_owned(),
                ),
                ..well()
            },
        };
        let mut dependencies = BTreeMap::from([("database".to_owned(), database)]);
        if let DatabaseHealth::Answered {
            workers: Some(workers),
            ..
        } = &*health
        {
            dependencies.insert("workers".to_owned(), at_work(*workers));
        }
        if let Some(redis) = redis(wake).await {
            dependencies.insert("redis".to_owned(), redis);
        }
        let status = dependencies
            .values()
            .map(|dependency| dependency.status)
            .max()
            .unwrap_or(Status::Ok);
        Shown {
            status,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            dependencies,
        }
    }
}

fn at_work(workers: u32) -> Dependency {
    if workers > 0 {
        return well();
    }
    Dependency {
        status: Status::Degraded,
        detail: Some(format!(
            "no worker was seen for {WORKER_SILENCE_SECONDS} s; rollouts and commands wait until one runs, and nothing \
             is lost. Start slipway-worker, or look at its log"
        )),
        ..well()
    }
}

async fn redis(wake: &Wake) -> Option<Dependency> {
    if !wake.is_configured() {
        return None;
    }
    Some(match wake.ping().await {
        Ok(took) => Dependency {
            latency_ms: Some(millis(took)),
            ..well()
        },
        Err(_) => Dependency {
            status: Status::Degraded,
            detail: Some(
                "Redis is away; nothing is lost, but agents and operators hear of changes up to 2 s later. \
                 Check Redis and the REDIS_ settings"
                    .to_owned(),
            ),
            ..well()
        },
    })
}

const fn well() -> Dependency {
    Dependency {
        status: Status::Ok,
        latency_ms: None,
        detail: None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
