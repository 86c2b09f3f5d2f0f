//! What metrics say of the fleet and of the audit log.
//!
//! Every worker looks, so that no alert depends on one of them. The walks through the log lock their rows: one worker at a
//! time does that work.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use slipway_store::audit::{AuditKey, Pace, Walk};
use slipway_store::{Store, StoreError};
use slipway_telemetry::{Family, error_chain};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::families;

/// How often a worker looks.
const EVERY: Duration = Duration::from_secs(10);
/// After so long without a good look nothing is shown: old numbers mislead.
const OLD: Duration = Duration::from_mins(2);
/// For all workers together. At most 10,000 events a minute, and all of them again an hour after the last was seen.
const PACE: Pace = Pace {
    turn_seconds: 55,
    rest_seconds: 3_600,
};

/// What was seen last; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Watched(Arc<RwLock<Option<Seen>>>);

#[derive(Debug)]
struct Seen {
    at: Instant,
    families: Vec<Family>,
}

impl Watched {
    /// For a scrape.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let seen = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match &*seen {
            Some(seen) if seen.at.elapsed() < OLD => seen.families.clone(),
            _ => families::empty(),
        }
    }

    fn set(&self, families: Vec<Family>) {
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(Seen {
            at: Instant::now(),
            families,
        });
    }

    /// Looks until `stop`.
    pub async fn run(self, store: Store, key: AuditKey, stop: CancellationToken) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = look(&store, &key) => looked,
            };
            match looked {
                Ok(families) => self.set(families),
                Err(error) => warn!(
                    error = error_chain(&error),
                    "cannot look at the fleet for metrics; trying again"
                ),
            }
        }
    }
}

async fn look(store: &Store, key: &AuditKey) -> Result<Vec<Family>, StoreError> {
    for walk in Walk::ALL {
        if let Err(error) = store.walk_events(key, walk, PACE).await {
            warn!(
                walk = walk.as_str(),
                error = error_chain(&error),
                "cannot check the audit log; trying again"
            );
        }
    }
    let (fleet, walks) = (store.watch_fleet().await?, store.audit_walks(key).await?);
    let backlogs = store.delivery_backlogs().await?;
    Ok(families::of(&fleet, &walks, &backlogs, store.now().await?))
}
