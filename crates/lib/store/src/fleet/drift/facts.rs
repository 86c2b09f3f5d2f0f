//! What is known of hosts, and what is expected of them.

use std::collections::BTreeSet;

use slipway_domain::drift::{self, Drift, DriftFacts, Override, Wanted};
use slipway_domain::{EnvironmentId, HostId, ReleaseId, StepState, StorePath, Timestamp};
use sqlx::PgConnection;
use tracing::warn;
use uuid::Uuid;

use crate::fleet::rest::Rest;
use crate::row::LenientJson;
use crate::{StoreError, row};

/// A host that no attempt is under way on.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: HostId,
    pub(super) name: String,
    pub(super) environment: EnvironmentId,
    /// What the row says drifts; `None` before the first look.
    pub(super) before: Option<Vec<Drift>>,
    /// What drifts by the audit log.
    pub(super) told: Vec<Drift>,
    /// Since when the log says so, and how long it says nothing else.
    pub(super) rest: Rest,
    pub(super) facts: DriftFacts,
    /// Whether what is expected is what a step committed.
    pub(super) committed: bool,
    /// Whether nothing was expected, so that what runs now is from now on.
    first: bool,
    /// The newest release that succeeded in the environment and had the host in its rollout.
    pub(super) release: Option<ReleaseId>,
    pub(super) now: Timestamp,
}

impl Known {
    /// What drifts on it.
    pub(super) fn drift(&self) -> Vec<Drift> {
        let before = self.before.as_deref().unwrap_or_default();
        drift::find(&self.facts, before, self.now)
    }

    /// What runs, where that becomes what is expected.
    pub(super) const fn first_seen(&self) -> Option<&StorePath> {
        if self.first { Some(&self.facts.live) } else { None }
    }
}

/// Those of these hosts, or of all, that no attempt is under way on and of which something was seen. A row that cannot be read
/// is left out, and keeps no other from being looked at.
pub(super) async fn read_facts(
    connection: &mut PgConnection,
    only: Option<&[Uuid]>,
) -> Result<Vec<Known>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT h.id AS "id: HostId", h.name, h.environment_id AS "environment: EnvironmentId",
                  h.live AS "live!", h.boot_default,
                  h.overrides AS "overrides!: LenientJson<Vec<Override>>", h.baseline,
                  h.baseline_boot_default,
                  h.accepted_overrides AS "accepted!: LenientJson<Vec<Override>>", h.accepted_release,
                  h.drift AS "drift!: LenientJson<Vec<Drift>>",
                  coalesce(h.drift_told, h.drift) AS "told!: LenientJson<Vec<Drift>>",
                  h.drift_noted_at, h.drift_rest_seconds, c.closure AS "committed?",
                  r.release_id AS "release_id?", now() AS "now!",
                  (SELECT closure FROM release_closures k
                   WHERE k.release_id = r.release_id AND k.host_id = h.id) AS "wanted?",
                  EXISTS (SELECT FROM steps t JOIN rollouts o ON o.id = t.rollout_id
                          WHERE t.host_id = h.id AND o.environment_id = h.environment_id AND o.finished_at IS NULL
                            AND (t.state = 'committed'
                                 OR (o.state IN ('staging', 'rolling', 'reverting') AND o.hold IS NULL))) AS "changing!"
           FROM hosts h
           LEFT JOIN LATERAL (
               SELECT state FROM steps WHERE steps.host_id = h.id ORDER BY seq DESC LIMIT 1
           ) s ON true
           LEFT JOIN LATERAL committed_since_baseline(h) c ON true
           LEFT JOIN LATERAL (
               SELECT o.release_id FROM steps t JOIN rollouts o ON o.id = t.rollout_id
               WHERE t.host_id = h.id AND o.environment_id = h.environment_id AND o.state = 'succeeded'
               ORDER BY t.seq DESC LIMIT 1
           ) r ON true
           WHERE h.retired_at IS NULL AND h.live IS NOT NULL AND h.unsettled IS NULL
             AND coalesce(s.state <> ALL($2), true) AND ($1::uuid[] IS NULL OR h.id = ANY($1))
           ORDER BY h.id"#,
        only,
        &StepState::OUT.map(StepState::as_str) as _
    )
    .fetch_all(connection)
    .await?;
    let known = rows.into_iter().filter_map(|row| {
        let (id, name) = (row.id, row.name.clone());
        let read = row.read();
        read.inspect_err(|error| warn!(%id, host = %name, %error, "it is not known whether the host drifts"))
            .ok()
    });
    Ok(known.collect())
}

struct Row {
    id: HostId,
    name: String,
    environment: EnvironmentId,
    live: String,
    boot_default: Option<String>,
    overrides: LenientJson<Vec<Override>>,
    baseline: Option<String>,
    baseline_boot_default: Option<String>,
    accepted: LenientJson<Vec<Override>>,
    accepted_release: Option<Uuid>,
    drift: LenientJson<Vec<Drift>>,
    told: LenientJson<Vec<Drift>>,
    drift_noted_at: Option<Timestamp>,
    drift_rest_seconds: Option<i32>,
    committed: Option<String>,
    release_id: Option<Uuid>,
    now: Timestamp,
    wanted: Option<String>,
    changing: bool,
}

impl Row {
    fn read(self) -> Result<Known, StoreError> {
        let path = |text: Option<&str>| row::parse_opt("store path", text);
        let live: StorePath = row::parse("store path", &self.live)?;
        let boot_default = path(self.boot_default.as_deref())?;
        let committed: Option<StorePath> = path(self.committed.as_deref())?;
        let baseline = path(self.baseline.as_deref())?;
        let is_committed = committed.is_some();
        let first = !is_committed && baseline.is_none();
        let (expected_live, expected_boot_default) = match (committed, baseline) {
            (Some(closure), _) => (closure.clone(), Some(closure)),
            (None, Some(baseline)) => (baseline, path(self.baseline_boot_default.as_deref())?),
            (None, None) => (live.clone(), boot_default.clone()),
        };
        // A rollout that waits for people or for a time may do so for weeks, and hides nothing meanwhile. A host that it has
        // brought to its release is not behind the one before.
        let wanted = match path(self.wanted.as_deref())? {
            _ if self.changing => Wanted::Changing,
            Some(_) if self.accepted_release.is_some() && self.accepted_release == self.release_id => {
                Wanted::Nothing
            }
            Some(wanted) => Wanted::Closure(wanted),
            None => Wanted::Nothing,
        };
        let accepted: Option<Vec<Override>> = self.accepted.into();
        let overrides: Option<Vec<Override>> = self.overrides.into();
        Ok(Known {
            id: self.id,
            name: self.name,
            environment: self.environment,
            before: self.drift.into(),
            told: Option::from(self.told).unwrap_or_default(),
            rest: Rest {
                noted_at: self.drift_noted_at,
                seconds: self.drift_rest_seconds,
            },
            facts: DriftFacts {
                live,
                boot_default,
                overrides: overrides.unwrap_or_default(),
                expected_live,
                expected_boot_default,
                accepted: accepted.map(BTreeSet::from_iter).unwrap_or_default(),
                wanted,
            },
            committed: is_committed,
            first,
            release: self.release_id.map(ReleaseId::from_uuid),
            now: self.now,
        })
    }
}
