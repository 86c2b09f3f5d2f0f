//! What metrics say of the fleet: hosts, and rollouts that wait for a person.

use std::collections::BTreeSet;

use slipway_domain::drift::{Drift, DriftKind};
use slipway_domain::{EnvironmentName, HostName, RolloutId, RolloutState, StepState, Timestamp};
use tracing::instrument;

use crate::row::LenientJson;
use crate::{Store, StoreError};

/// The most rollouts that are read; those that have waited longest.
const MOST_WAITING: i64 = 200;

/// The fleet at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WatchedFleet {
    /// Open rollouts that go on only when a person acts, or a host has a verdict.
    pub waiting: Vec<WaitingRollout>,
    /// Hosts that are not retired.
    pub hosts: Vec<WatchedHost>,
}

/// A rollout that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitingRollout {
    /// The rollout.
    pub rollout: RolloutId,
    /// Where.
    pub environment: EnvironmentName,
    /// What for.
    pub reason: Waiting,
    /// Since how many seconds.
    pub seconds: f64,
}

/// Each kind once.
fn kinds(drift: Vec<Drift>) -> Vec<DriftKind> {
    let kinds: BTreeSet<_> = drift.into_iter().map(|drift| drift.kind).collect();
    kinds.into_iter().collect()
}

/// What a rollout waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// An approval.
    Approval,
    /// A person who resumes or aborts it.
    Paused,
    /// Checks of a host that say something; it then goes on by itself.
    Verdict,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedHost {
    /// The host.
    pub name: HostName,
    /// Where it is.
    pub environment: EnvironmentName,
    /// When it was last heard of.
    pub last_seen_at: Option<Timestamp>,
    /// The state of its newest step if a rollout has it out.
    pub out: Option<StepState>,
    /// What drifts on it; `None` before the first look.
    pub drift: Option<Vec<DriftKind>>,
}

impl WatchedHost {
    /// Whether going back failed, so that a person must look.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.out == Some(StepState::Stuck)
    }
}

impl Store {
    /// What metrics say of the fleet: two statements of one moment, with a look-up by index for each host.
    #[instrument(name = "db.fleet.watch", level = "debug", skip_all)]
    pub async fn watch_fleet(&self) -> Result<WatchedFleet, StoreError> {
        crate::bounded(async {
            let mut tx = self.begin_one_moment().await?;
            let waiting = sqlx::query!(
                r#"SELECT r.id AS "id: RolloutId", e.name AS "environment: EnvironmentName", r.state AS "state: RolloutState",
                          coalesce(r.awaits_verdict_since = r.since, false) AS "awaits_verdict!",
                          greatest(extract(epoch FROM now() - r.since)::float8, 0) AS "seconds!"
                   FROM rollouts r JOIN environments e ON e.id = r.environment_id
                   WHERE r.finished_at IS NULL AND r.state IN ('pending_approval', 'paused')
                   ORDER BY r.since LIMIT $1"#,
                MOST_WAITING
            )
            .fetch_all(&mut *tx)
            .await?;
            let hosts = sqlx::query!(
                r#"SELECT h.name AS "name!: HostName", e.name AS "environment!: EnvironmentName",
                          h.last_seen_at, s.state AS "state?: StepState",
                          h.drift AS "drift!: LenientJson<Vec<Drift>>"
                   FROM hosts h
                   JOIN environments e ON e.id = h.environment_id
                   LEFT JOIN LATERAL (
                       SELECT state FROM steps WHERE steps.host_id = h.id ORDER BY seq DESC LIMIT 1
                   ) s ON true
                   WHERE h.retired_at IS NULL
                   ORDER BY h.name"#
            )
            .fetch_all(&mut *tx)
            .await?;
            tx.rollback().await?;
            let waiting = waiting.into_iter().map(|row| WaitingRollout {
                rollout: row.id,
                environment: row.environment,
                reason: match (row.state, row.awaits_verdict) {
                    (RolloutState::PendingApproval, _) => Waiting::Approval,
                    (_, true) => Waiting::Verdict,
                    (_, false) => Waiting::Paused,
                },
                seconds: row.seconds,
            });
            let hosts = hosts.into_iter().map(|row| WatchedHost {
                name: row.name,
                environment: row.environment,
                last_seen_at: row.last_seen_at,
                out: row.state.filter(|state| state.is_out()),
                drift: Option::<Vec<Drift>>::from(row.drift).map(kinds),
            });
            Ok(WatchedFleet {
                waiting: waiting.collect(),
                hosts: hosts.collect(),
            })
        })
        .await
    }
}
