//! Hosts: machines with an agent.

use std::collections::BTreeSet;

use slipway_domain::agent::AttemptReport;
use slipway_domain::drift::Drift;
use slipway_domain::event::NewEvent;
use slipway_domain::lives::{Doubt, UNCOUNTED};
use slipway_domain::plan::{Fleet, FleetHost};
use slipway_domain::{
    AttemptId, EnvironmentId, EnvironmentName, HostId, HostName, Labels, OFFLINE_AFTER_SECONDS, ReleaseId,
    ReleaseName, RolloutId, StepState, StorePath, Timestamp,
};
use slipway_wire::fleet::{Accepted, Host, HostDrift, HostStep, ReleasedPath};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use tracing::instrument;
use uuid::Uuid;

use crate::agent::quiet_after;
use crate::audit::{actor, kind};
use crate::releases::{label, number};
use crate::row::LenientJson;
use crate::{Store, StoreError, Stored, bounded, page_limit};

/// Which hosts to read.
#[derive(Default)]
struct HostFilter<'a> {
    name: Option<&'a HostName>,
    /// Of these alone.
    ids: Option<&'a [Uuid]>,
    environment: Option<EnvironmentId>,
    retired: bool,
    after: Option<&'a HostName>,
    /// All when not said.
    limit: Option<u32>,
    /// With what was accepted of each, which is looked up in the audit log.
    accepted: bool,
}

impl Store {
    /// The host of this name, retired or not.
    #[instrument(name = "db.host.find", level = "debug", skip_all, fields(%name))]
    pub async fn find_host_by_name(
        &self,
        name: &HostName,
    ) -> Result<Option<Stored<HostId, Host>>, StoreError> {
        let filter = HostFilter {
            name: Some(name),
            retired: true,
            accepted: true,
            ..HostFilter::default()
        };
        Ok(bounded(select_hosts(&self.pool, filter)).await?.pop())
    }

    /// The host of this name, retired or not.
    pub async fn get_host_by_name(&self, name: &HostName) -> Result<Stored<HostId, Host>, StoreError> {
        self.find_host_by_name(name)
            .await?
            .ok_or_else(|| StoreError::not_found("host", name))
    }

    /// A page of hosts that are not retired, by name: of one environment, or all, and those after this name.
    #[instrument(name = "db.host.list", level = "debug", skip_all)]
    pub async fn list_hosts(
        &self,
        environment: Option<EnvironmentId>,
        after: Option<&HostName>,
        limit: u32,
    ) -> Result<Vec<Host>, StoreError> {
        let filter = HostFilter {
            environment,
            after,
            limit: Some(limit),
            accepted: true,
            ..HostFilter::default()
        };
        let found = bounded(select_hosts(&self.pool, filter)).await?;
        Ok(found.into_iter().map(|host| host.value).collect())
    }

    /// Those of these hosts that exist and are not retired.
    #[instrument(name = "db.host.find_known", level = "debug", skip_all, fields(names = names.len()))]
    pub async fn find_known_hosts(&self, names: &[HostName]) -> Result<BTreeSet<HostName>, StoreError> {
        let names: Vec<&str> = names.iter().map(HostName::as_str).collect();
        bounded(async {
            let known = sqlx::query_scalar!(
                r#"SELECT name AS "name: HostName" FROM hosts WHERE name = ANY($1) AND retired_at IS NULL"#,
                &names as _
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(known.into_iter().collect())
        })
        .await
    }

    /// The hosts of an environment as a rollout of this release is planned over them. Retired ones are not among them.
    #[instrument(name = "db.host.list_fleet", level = "debug", skip_all, fields(%release, %environment))]
    pub async fn list_fleet(
        &self,
        release: ReleaseId,
        environment: EnvironmentId,
    ) -> Result<Fleet, StoreError> {
        bounded(async {
            let rows = sqlx::query!(
                r#"SELECT h.name AS "name: HostName", h.labels AS "labels: Json<Labels>",
                          coalesce(h.last_seen_at > now() - make_interval(secs => $3), false) AS "online!",
                          c.release_id IS NOT NULL AS "takes_part!"
                   FROM hosts h LEFT JOIN release_closures c ON c.host_id = h.id AND c.release_id = $1
                   WHERE h.environment_id = $2 AND h.retired_at IS NULL"#,
                release.as_uuid(),
                environment.as_uuid(),
                offline_after()
            )
            .fetch_all(&self.pool)
            .await?;
            let hosts = rows.into_iter().map(|row| {
                let host = FleetHost {
                    labels: row.labels.0,
                    online: row.online,
                    takes_part: row.takes_part,
                };
                (row.name, host)
            });
            Ok(hosts.collect())
        })
        .await
    }
}

/// These hosts, by name, without what was accepted of them.
pub(super) async fn hosts_of(
    executor: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> Result<Vec<Stored<HostId, Host>>, StoreError> {
    let filter = HostFilter {
        ids: Some(ids),
        ..HostFilter::default()
    };
    select_hosts(executor, filter).await
}

/// The host of this name as a transaction leaves it: what it answers must not take another read once it is committed.
pub(super) async fn host_within(
    tx: &mut PgConnection,
    name: &HostName,
) -> Result<Stored<HostId, Host>, StoreError> {
    let filter = HostFilter {
        name: Some(name),
        retired: true,
        accepted: true,
        ..HostFilter::default()
    };
    let host = select_hosts(tx, filter).await?.pop();
    host.ok_or_else(|| StoreError::not_found("host", name))
}

async fn select_hosts(
    executor: impl PgExecutor<'_>,
    filter: HostFilter<'_>,
) -> Result<Vec<Stored<HostId, Host>>, StoreError> {
    let rows = sqlx::query_as!(
        HostRow,
        r#"SELECT h.id AS "id: HostId", h.name AS "name: HostName", e.name AS "environment: EnvironmentName",
                  h.labels AS "labels: Json<Labels>", h.created_at, h.retired_at,
                  coalesce(h.last_seen_at > now() - make_interval(secs => $4), false) AS "online!",
                  h.last_seen_at, h.agent_version, h.clock_skew_seconds, h.live AS "live: StorePath",
                  h.boot_default AS "boot_default: StorePath", h.report AS "report!: LenientJson<AttemptReport>",
                  h.unsettled AS "unsettled: AttemptId", h.journal_trouble, h.pending_reboot,
                  coalesce(h.second_life_at > now() - make_interval(secs => $7), false) AS "two_lives!",
                  h.boot_counter IS NOT NULL AS "counts!", s.rollout_id AS "rollout?: RolloutId",
                  s.state AS "state?: StepState", s.closure AS "closure?: StorePath", s.reason AS "reason?",
                  h.drift AS "drift!: LenientJson<Vec<Drift>>", o.seq AS "rollout_seq?",
                  l.id AS "release?: ReleaseId", l.seq AS "release_seq?", l.name AS "release_name?: ReleaseName",
                  l.rev AS "release_rev?", live.id AS "live_id?: ReleaseId", live.seq AS "live_seq?",
                  live.name AS "live_name?: ReleaseName", live.rev AS "live_rev?",
                  drift.releases AS "drift_releases!: LenientJson<Vec<ReleasedPath>>",
                  a.at AS "accepted_at?", a.actor_kind AS "accepted_kind?", a.actor_name AS "accepted_name?",
                  a.cause AS "accepted_cause?", h.baseline AS "baseline: StorePath",
                  h.baseline_boot_default AS "baseline_boot_default: StorePath",
                  h.accepted_release AS "accepted_release: ReleaseId"
           FROM hosts h
           JOIN environments e ON e.id = h.environment_id
           LEFT JOIN LATERAL (
               SELECT * FROM steps WHERE steps.host_id = h.id ORDER BY seq DESC LIMIT 1
           ) s ON true
           LEFT JOIN rollouts o ON o.id = s.rollout_id
           LEFT JOIN releases l ON l.id = o.release_id
           LEFT JOIN LATERAL (
               SELECT release.id, release.seq, release.name, release.rev
               FROM steps JOIN rollouts ON rollouts.id = steps.rollout_id
                    JOIN releases release ON release.id = rollouts.release_id
               WHERE steps.host_id = h.id AND steps.closure = h.live
                 AND steps.state IN ('activating', 'verifying', 'verified', 'committed')
               ORDER BY steps.seq DESC LIMIT 1
           ) live ON true
           LEFT JOIN LATERAL (
               SELECT jsonb_agg(jsonb_build_object('path', closure, 'release',
                          jsonb_build_object('id', id, 'number', seq, 'name', name, 'rev', rev)) ORDER BY closure)
                      AS releases
               FROM (SELECT DISTINCT ON (steps.closure) steps.closure, r.id, r.seq, r.name, r.rev
                     FROM steps JOIN rollouts ON rollouts.id = steps.rollout_id
                          JOIN releases r ON r.id = rollouts.release_id
                     WHERE steps.host_id = h.id
                       AND steps.closure IN (SELECT jsonb_path_query(h.drift, '$[*].*') #>> '{}')
                     ORDER BY steps.closure, steps.seq DESC) named
           ) drift ON h.drift <> '[]'
           LEFT JOIN LATERAL (
               SELECT kind, at, actor_kind, actor_name, cause FROM events
               WHERE $9 AND events.host_id = h.id
                 AND events.kind IN ('host.adopted', 'host.first_seen', 'host.restored')
               ORDER BY number DESC LIMIT 1
           ) a ON a.kind = 'host.adopted' AND NOT EXISTS (SELECT FROM committed_since_baseline(h))
           WHERE ($1::text IS NULL OR h.name = $1) AND ($2::uuid IS NULL OR h.environment_id = $2)
             AND ($3 OR h.retired_at IS NULL) AND ($5::text IS NULL OR h.name > $5)
             AND ($8::uuid[] IS NULL OR h.id = ANY($8))
           ORDER BY h.name LIMIT $6"#,
        filter.name.map(HostName::as_str),
        filter.environment.map(EnvironmentId::as_uuid),
        filter.retired,
        offline_after(),
        filter.after.map(HostName::as_str),
        filter.limit.map(page_limit),
        quiet_after(),
        filter.ids as _,
        filter.accepted
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(HostRow::into_host).collect())
}

struct HostRow {
    id: HostId,
    name: HostName,
    environment: EnvironmentName,
    labels: Json<Labels>,
    created_at: Timestamp,
    retired_at: Option<Timestamp>,
    online: bool,
    last_seen_at: Option<Timestamp>,
    agent_version: Option<String>,
    clock_skew_seconds: Option<i64>,
    live: Option<StorePath>,
    boot_default: Option<StorePath>,
    report: LenientJson<AttemptReport>,
    unsettled: Option<AttemptId>,
    journal_trouble: Option<String>,
    pending_reboot: Option<Vec<String>>,
    two_lives: bool,
    counts: bool,
    rollout: Option<RolloutId>,
    state: Option<StepState>,
    closure: Option<StorePath>,
    reason: Option<String>,
    drift: LenientJson<Vec<Drift>>,
    rollout_seq: Option<i64>,
    release: Option<ReleaseId>,
    release_seq: Option<i64>,
    release_name: Option<ReleaseName>,
    release_rev: Option<String>,
    live_id: Option<ReleaseId>,
    live_seq: Option<i64>,
    live_name: Option<ReleaseName>,
    live_rev: Option<String>,
    drift_releases: LenientJson<Vec<ReleasedPath>>,
    accepted_at: Option<Timestamp>,
    accepted_kind: Option<String>,
    accepted_name: Option<String>,
    accepted_cause: Option<String>,
    baseline: Option<StorePath>,
    baseline_boot_default: Option<StorePath>,
    accepted_release: Option<ReleaseId>,
}

impl HostRow {
    fn into_host(self) -> Stored<HostId, Host> {
        let step = self.rollout.zip(self.state).zip(self.closure);
        let step = step.map(|((rollout, state), closure)| HostStep {
            rollout,
            state,
            closure,
            reason: self.reason,
            rollout_number: self.rollout_seq.map(number),
            release: self
                .release
                .zip(self.release_seq)
                .map(|(id, seq)| label(id, seq, self.release_name, self.release_rev)),
        });
        let uncounted = self.agent_version.is_some() && !self.counts;
        let value = Host {
            name: self.name,
            environment: self.environment,
            labels: self.labels.0,
            online: self.online,
            last_seen_at: self.last_seen_at,
            live: self.live,
            boot_default: self.boot_default,
            agent_version: self.agent_version,
            clock_skew_seconds: self.clock_skew_seconds,
            report: self.report.into(),
            unsettled: self.unsettled,
            journal_trouble: self.journal_trouble,
            pending_reboot: self.pending_reboot.unwrap_or_default(),
            trouble: self.two_lives.then(|| Doubt::TwoLives.words().to_owned()),
            unknown: uncounted.then(|| UNCOUNTED.to_owned()),
            step,
            created_at: self.created_at,
            retired_at: self.retired_at,
            drift: drift(self.drift, self.drift_releases),
            release: self
                .live_id
                .zip(self.live_seq)
                .map(|(id, seq)| label(id, seq, self.live_name, self.live_rev)),
            accepted: accepted(
                self.accepted_at.zip(self.baseline),
                (self.accepted_kind, self.accepted_name, self.accepted_cause),
                self.baseline_boot_default,
                self.accepted_release,
            ),
        };
        Stored { id: self.id, value }
    }
}

/// What somebody accepted, by its event; `None` also if that cannot be read.
fn accepted(
    baseline: Option<(Timestamp, StorePath)>,
    (actor_kind, name, cause): (Option<String>, Option<String>, Option<String>),
    boot_default: Option<StorePath>,
    release: Option<ReleaseId>,
) -> Option<Accepted> {
    let (at, live) = baseline?;
    let by = actor(&actor_kind?, name?).ok()?;
    let event = NewEvent::new(by, kind::HOST_ADOPTED, cause?);
    Some(Accepted {
        at,
        reason: event.cause_text().to_owned(),
        by: event.actor,
        live,
        boot_default,
        release,
    })
}

/// What drifts, with the releases of its paths.
fn drift(items: LenientJson<Vec<Drift>>, releases: LenientJson<Vec<ReleasedPath>>) -> Option<HostDrift> {
    Some(HostDrift {
        releases: Option::from(releases).unwrap_or_default(),
        ..HostDrift::of(Option::from(items).unwrap_or_default())?
    })
}

/// [`OFFLINE_AFTER_SECONDS`] as `make_interval` wants it.
#[expect(clippy::cast_precision_loss, reason = "a small constant")]
pub(crate) const fn offline_after() -> f64 {
    OFFLINE_AFTER_SECONDS as f64
}
