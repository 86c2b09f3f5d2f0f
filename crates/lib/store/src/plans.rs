//! What switches would change on hosts, by the digests that agents report.

use std::collections::BTreeMap;

use slipway_domain::digest::Digest;
use slipway_domain::{
    EnvironmentName, HostId, HostName, HostPlan, Observation, PlanReport, ReleaseId, ReleaseName, RolloutId,
    RolloutState, StepState,
};
use slipway_wire::plan::{PlannedChangeOf, ReleaseHostPlans, RolloutHostPlans, SharedPlan, UnplannedHost};
use sqlx::PgConnection;
use tracing::{instrument, warn};

use crate::audit::digests;
use crate::commits::note_commit;
use crate::fleet::offline_after;
use crate::releases::{label, label_of, number};
use crate::row::{self, LenientJson};
use crate::{Store, StoreError, bounded};

/// The most bytes of a plan that are kept; the table refuses more.
const MAX_BYTES: usize = 512 * 1024;
/// The days for which a plan stays once no open rollout names it.
const KEEP_DAYS: i32 = 90;
/// The most plans that one call removes; the next call takes more.
const AT_ONCE: i64 = 200;
/// The most different plans that one answer carries. Of the others it has the digests.
const MAX_WHOLE: usize = 20;

/// A host with what is known of its plan.
struct HostRow {
    name: HostName,
    state: Option<StepState>,
    online: bool,
    plan: Option<LenientJson<PlanReport>>,
}

impl Store {
    /// Keeps the plan that an observation carries, under the digest of what it says. Only one plan of the attempt that the
    /// host was told to make is kept, so that nobody fills the database.
    #[instrument(name = "db.plan.keep", level = "debug", skip_all, fields(%host))]
    pub async fn keep_plan(&self, host: HostId, seen: &Observation) -> Result<(), StoreError> {
        let (Some(plan), Some(report)) = (&seen.plan, &seen.report) else {
            return Ok(());
        };
        let digest = plan.digest();
        if report.plan.as_ref().map(|plan| plan.digest) != Some(digest) {
            warn!(%digest, "the host sent a plan that its report does not name; it is not kept");
            return Ok(());
        }
        let text = serde_json::to_string(plan).unwrap_or_default();
        if text.len() > MAX_BYTES {
            warn!(%digest, bytes = text.len(), "the host sent a plan that is too long; it is not kept");
            return Ok(());
        }
        self.transaction(async |tx| {
            // One that is kept already counts as new: nobody collects it before the worker has taken it.
            sqlx::query!(
                "UPDATE host_plans SET created_at = now() WHERE digest = $3 AND created_at < now() - interval '1 hour'
                    AND EXISTS (SELECT FROM steps WHERE host_id = $1 AND attempt = $2 AND state = ANY($4))",
                host.as_uuid(),
                report.attempt.as_uuid(),
                digest.to_string(),
                &[StepState::Staging, StepState::Staged].map(StepState::as_str) as _
            )
            .execute(&mut *tx)
            .await?;
            // Until a worker has looked, the newest plan of the attempt counts; then the one that it took.
            sqlx::query!(
                "DELETE FROM host_plans p WHERE p.attempt = $2 AND p.digest <> $3
                    AND EXISTS (SELECT FROM steps WHERE host_id = $1 AND attempt = $2 AND plan IS NULL)
                    AND NOT EXISTS (SELECT FROM steps WHERE plan ->> 'digest' = p.digest)",
                host.as_uuid(),
                report.attempt.as_uuid(),
                digest.to_string()
            )
            .execute(&mut *tx)
            .await?;
            sqlx::query!(
                "INSERT INTO host_plans (digest, plan, attempt)
                 SELECT $3, $4, $2
                 FROM (SELECT attempt, state, plan FROM steps WHERE host_id = $1 ORDER BY seq DESC LIMIT 1) s
                 WHERE s.attempt = $2 AND s.state = ANY($5) AND coalesce(s.plan ->> 'digest', $3) = $3
                 ON CONFLICT DO NOTHING",
                host.as_uuid(),
                report.attempt.as_uuid(),
                digest.to_string(),
                text,
                &[StepState::Staging, StepState::Staged].map(StepState::as_str) as _
            )
            .execute(&mut *tx)
            .await?;
            Ok(())
        })
        .await
    }

    /// Removes plans that nobody needs: of the last 90 days neither they nor a rollout that names them, and no open rollout
    /// does. Gives how many. Their digests stay, in steps and in the audit log.
    #[instrument(name = "db.plan.collect", level = "debug", skip_all)]
    pub async fn collect_plans(&self) -> Result<u64, StoreError> {
        bounded(async {
            note_commit();
            let gone = sqlx::query!(
                "DELETE FROM host_plans WHERE digest IN (
                     SELECT p.digest FROM host_plans p
                     WHERE p.created_at < now() - make_interval(days => $1)
                       AND NOT EXISTS (
                           SELECT FROM steps s JOIN rollouts r ON r.id = s.rollout_id
                           WHERE s.plan ->> 'digest' = p.digest AND s.plan IS NOT NULL
                             AND coalesce(r.finished_at > now() - make_interval(days => $1), true))
                     ORDER BY p.created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
                KEEP_DAYS,
                AT_ONCE
            )
            .execute(&self.pool)
            .await?;
            Ok(gone.rows_affected())
        })
        .await
    }

    /// The plan with this digest.
    #[instrument(name = "db.plan.get", level = "debug", skip_all, fields(%digest))]
    pub async fn get_plan(&self, digest: Digest) -> Result<HostPlan, StoreError> {
        bounded(async {
            let mut connection = self.pool.acquire().await?;
            let found = read_plans(&mut connection, &[digest.to_string()]).await?;
            let plan = found.into_values().next();
            plan.ok_or_else(|| StoreError::not_found("plan", &digest))
        })
        .await
    }

    /// What a rollout changes on its hosts.
    #[instrument(name = "db.plan.of_rollout", level = "debug", skip_all, fields(rollout_id = %id))]
    pub async fn get_rollout_plans(&self, id: RolloutId) -> Result<RolloutHostPlans, StoreError> {
        bounded(async {
            let mut tx = self.begin_one_moment().await?;
            let row = sqlx::query!(
                r#"SELECT e.name AS "environment: EnvironmentName", r.release_id AS "release: ReleaseId",
                          r.state AS "state: RolloutState", r.approved_plan, r.seq, l.seq AS release_seq,
                          l.name AS "release_name: ReleaseName", l.rev
                   FROM rollouts r JOIN environments e ON e.id = r.environment_id JOIN releases l ON l.id = r.release_id
                   WHERE r.id = $1"#,
                id.as_uuid()
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::not_found("rollout", &id))?;
            let digest = digests::host_plans(&mut tx, id).await?;
            let hosts = sqlx::query_as!(
                HostRow,
                r#"SELECT h.name AS "name: _", s.state AS "state?: _", s.plan AS "plan: _",
                          coalesce(h.last_seen_at > now() - make_interval(secs => $2), false) AS "online!"
                   FROM steps s JOIN hosts h ON h.id = s.host_id WHERE s.rollout_id = $1 ORDER BY h.name"#,
                id.as_uuid(),
                offline_after()
            )
            .fetch_all(&mut *tx)
            .await?;
            let (plans, unknown) = shared(&mut tx, hosts).await?;
            tx.rollback().await?;
            Ok(RolloutHostPlans {
                rollout: id,
                environment: row.environment,
                release: row.release,
                state: row.state,
                digest,
                approved: row::parse_opt("approved plan", row.approved_plan.as_deref())?,
                plans,
                unknown,
                rollout_number: Some(number(row.seq)),
                release_label: Some(label(row.release, row.release_seq, row.release_name, row.rev)),
                approval_refused: None,
            })
        })
        .await
    }

    /// What a release changes on its hosts, by the newest staging of the same closure on each.
    #[instrument(name = "db.plan.of_release", level = "debug", skip_all, fields(release = %id))]
    pub async fn get_release_plans(&self, id: ReleaseId) -> Result<ReleaseHostPlans, StoreError> {
        bounded(async {
            let mut tx = self.begin_one_moment().await?;
            let label = label_of(&mut tx, id).await?;
            let hosts = sqlx::query_as!(
                HostRow,
                r#"SELECT h.name AS "name: _", s.state AS "state?: _", s.plan AS "plan: _",
                          coalesce(h.last_seen_at > now() - make_interval(secs => $2), false) AS "online!"
                   FROM release_closures c
                   JOIN hosts h ON h.id = c.host_id
                   LEFT JOIN LATERAL (
                       SELECT state, plan FROM steps
                       WHERE steps.host_id = h.id AND steps.closure = c.closure
                       ORDER BY steps.plan IS NULL, seq DESC LIMIT 1
                   ) s ON true
                   WHERE c.release_id = $1 ORDER BY h.name"#,
                id.as_uuid(),
                offline_after()
            )
            .fetch_all(&mut *tx)
            .await?;
            let (plans, unknown) = shared(&mut tx, hosts).await?;
            tx.rollback().await?;
            Ok(ReleaseHostPlans {
                release: id,
                plans,
                unknown,
                release_label: Some(label),
            })
        })
        .await
    }
}

/// Puts hosts with the same plan together.
async fn shared(
    tx: &mut PgConnection,
    hosts: Vec<HostRow>,
) -> Result<(Vec<SharedPlan>, Vec<UnplannedHost>), StoreError> {
    let mut by_digest: BTreeMap<String, SharedPlan> = BTreeMap::new();
    let mut unknown = Vec::new();
    for HostRow {
        name,
        state,
        online,
        plan,
    } in hosts
    {
        match plan.and_then(Option::<PlanReport>::from) {
            Some(report) => {
                let digest = report.digest;
                let shared = by_digest.entry(digest.to_string()).or_insert_with(|| SharedPlan {
                    digest,
                    plan: None,
                    hosts: Vec::new(),
                });
                shared.hosts.push(PlannedChangeOf { host: name, report });
            }
            None => unknown.push(UnplannedHost {
                host: name,
                state,
                online,
            }),
        }
    }
    let mut plans: Vec<SharedPlan> = by_digest.into_values().collect();
    plans.sort_by_key(|plan| std::cmp::Reverse(plan.hosts.len()));
    let whole = plans.iter().take(MAX_WHOLE);
    let whole: Vec<String> = whole.map(|plan| plan.digest.to_string()).collect();
    let mut found = read_plans(tx, &whole).await?;
    for plan in &mut plans {
        plan.plan = found.remove(&plan.digest.to_string());
    }
    Ok((plans, unknown))
}

/// The plans with these digests. One that does not have its digest was changed by hand, and is left out.
pub(crate) async fn read_plans(
    tx: &mut PgConnection,
    digests: &[String],
) -> Result<BTreeMap<String, HostPlan>, StoreError> {
    let rows = sqlx::query!(
        "SELECT digest, plan FROM host_plans WHERE digest = ANY($1)",
        digests
    )
    .fetch_all(tx)
    .await?;
    let mut plans = BTreeMap::new();
    for row in rows {
        match serde_json::from_str::<HostPlan>(&row.plan) {
            Ok(plan) if plan.digest().to_string() == row.digest => {
                plans.insert(row.digest, plan);
            }
            _ => warn!(
                digest = row.digest,
                "a stored plan is not what its digest says; it is not shown"
            ),
        }
    }
    Ok(plans)
}
