//! Reading rollouts.

use std::collections::BTreeMap;

use slipway_domain::agent::AttemptReport;
use slipway_domain::snapshot::{CommandKind, RevertScope};
use slipway_domain::{
    AttemptId, EnvironmentId, EnvironmentName, HostId, HostName, PrincipalName, ReleaseId, RolloutId,
    RolloutState, StepId, StepState, StorePath, Strategy, Timestamp,
};
use sqlx::PgConnection;
use sqlx::types::Json;
use tracing::instrument;

use crate::fleet::offline_after;
use crate::row::{self, Count, LenientJson};
use crate::{Store, StoreError, bounded, page_limit};

/// A rollout without its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutSummary {
    /// Its id.
    pub id: RolloutId,
    /// Where.
    pub environment: EnvironmentName,
    /// The id of that environment.
    pub environment_id: EnvironmentId,
    /// What.
    pub release: ReleaseId,
    /// How.
    pub strategy: Strategy,
    /// Where it stands.
    pub state: RolloutState,
    /// Since when.
    pub since: Timestamp,
    /// Which hosts go back, or went back.
    pub scope: Option<RevertScope>,
    /// Why it is in this state, when that is not plain.
    pub reason: Option<String>,
    /// Who started it.
    pub author: PrincipalName,
    /// Who approved it.
    pub approver: Option<PrincipalName>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// How many of its steps are in each state; states without a step are left out.
    pub counts: BTreeMap<StepState, u32>,
}

/// A rollout with its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutDetail {
    /// The rollout.
    pub summary: RolloutSummary,
    /// Its steps, by wave and then by host name.
    pub steps: Vec<StepInfo>,
    /// What was asked of it and not taken yet, the oldest first.
    pub pending_commands: Vec<CommandKind>,
}

/// A step and its host as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepInfo {
    /// Its id.
    pub id: StepId,
    /// The host's id.
    pub host: HostId,
    /// The host's name.
    pub name: HostName,
    /// 0 is the canary.
    pub wave: u32,
    /// Where it stands.
    pub state: StepState,
    /// Since when.
    pub since: Timestamp,
    /// The attempt under way or last made.
    pub attempt: Option<AttemptId>,
    /// How often it failed.
    pub failures: u32,
    /// The release's closure for the host.
    pub closure: StorePath,
    /// What ran before.
    pub prior: Option<StorePath>,
    /// Why it is in this state, when that is not plain.
    pub reason: Option<String>,
    /// Whether the host was heard of lately.
    pub online: bool,
    /// When it was last heard of.
    pub last_seen_at: Option<Timestamp>,
    /// What runs.
    pub live: Option<StorePath>,
    /// What the next boot would run.
    pub boot_default: Option<StorePath>,
    /// What its agent is at.
    pub report: Option<AttemptReport>,
}

/// Which rollouts to read.
struct RolloutFilter {
    id: Option<RolloutId>,
    environment: Option<EnvironmentId>,
    before: i64,
    limit: i64,
}

impl Store {
    /// A rollout with its steps.
    #[instrument(name = "db.rollout.get", level = "debug", skip_all, fields(%id))]
    pub async fn get_rollout(&self, id: RolloutId) -> Result<RolloutDetail, StoreError> {
        bounded(async {
            let filter = RolloutFilter {
                id: Some(id),
                environment: None,
                before: i64::MAX,
                limit: 1,
            };
            let mut tx = self.begin_one_moment().await?;
            let summary = select_rollouts(&mut tx, filter).await?.pop();
            let summary = summary.ok_or_else(|| StoreError::not_found("rollout", &id))?;
            let steps = select_steps(&mut tx, id).await?;
            let pending_commands = sqlx::query_scalar!(
                r#"SELECT kind AS "kind: CommandKind" FROM rollout_commands
                   WHERE rollout_id = $1 AND applied_at IS NULL ORDER BY seq"#,
                id.as_uuid()
            )
            .fetch_all(&mut *tx)
            .await?;
            tx.rollback().await?;
            Ok(RolloutDetail {
                summary,
                steps,
                pending_commands,
            })
        })
        .await
    }

    /// Rollouts, the newest first: of one environment, or all. `after` is the last of the page before.
    #[instrument(name = "db.rollout.list", level = "debug", skip_all)]
    pub async fn list_rollouts(
        &self,
        environment: Option<EnvironmentId>,
        after: Option<RolloutId>,
        limit: u32,
    ) -> Result<Vec<RolloutSummary>, StoreError> {
        bounded(async {
            let before = match after {
                None => i64::MAX,
                Some(id) => sqlx::query_scalar!("SELECT seq FROM rollouts WHERE id = $1", id.as_uuid())
                    .fetch_optional(&self.pool)
                    .await?
                    .ok_or_else(|| StoreError::not_found("rollout", &id))?,
            };
            let filter = RolloutFilter {
                id: None,
                environment,
                before,
                limit: page_limit(limit),
            };
            let mut connection = self.pool.acquire().await?;
            select_rollouts(&mut connection, filter).await
        })
        .await
    }

    /// Every rollout that is not over, the oldest first.
    #[instrument(name = "db.rollout.find_open", level = "debug", skip_all)]
    pub async fn find_open_rollouts(&self) -> Result<Vec<RolloutId>, StoreError> {
        bounded(async {
            let ids = sqlx::query_scalar!("SELECT id FROM rollouts WHERE finished_at IS NULL ORDER BY seq")
                .fetch_all(&self.pool)
                .await?;
            Ok(ids.into_iter().map(RolloutId::from_uuid).collect())
        })
        .await
    }

    /// How many rollouts there are in each state, for metrics. Every state is there.
    #[instrument(name = "db.rollout.count", level = "debug", skip_all)]
    pub async fn count_rollouts(&self) -> Result<BTreeMap<RolloutState, u32>, StoreError> {
        bounded(async {
            let mut counts: BTreeMap<RolloutState, u32> =
                RolloutState::ALL.iter().map(|state| (*state, 0)).collect();
            let rows = sqlx::query!(r#"SELECT state, count(*) AS "count!" FROM rollouts GROUP BY state"#)
                .fetch_all(&self.pool)
                .await?;
            for row in rows {
                // One that only a newer program knows is not among those that are shown.
                if let Ok(state) = row.state.parse() {
                    counts.insert(state, row::count("number of rollouts", row.count)?);
                }
            }
            Ok(counts)
        })
        .await
    }
}

async fn select_rollouts(
    tx: &mut PgConnection,
    filter: RolloutFilter,
) -> Result<Vec<RolloutSummary>, StoreError> {
    Ok(sqlx::query_as!(
        RolloutSummary,
        r#"SELECT r.id AS "id: _", e.name AS "environment: _", r.environment_id AS "environment_id: _",
                  r.release_id AS "release: _", r.strategy AS "strategy: _", r.state AS "state: _", r.since,
                  r.scope AS "scope: _", r.reason, author.name AS "author: _", approver.name AS "approver: _",
                  r.created_at, r.finished_at,
                  coalesce((SELECT jsonb_object_agg(c.state, c.steps)
                            FROM (SELECT s.state, count(*) AS steps FROM steps s
                                  WHERE s.rollout_id = r.id GROUP BY s.state) c), '{}') AS "counts!: Counts"
           FROM rollouts r
           JOIN environments e ON e.id = r.environment_id
           JOIN principals author ON author.id = r.author_id
           LEFT JOIN principals approver ON approver.id = r.approver_id
           WHERE ($1::uuid IS NULL OR r.id = $1) AND ($2::uuid IS NULL OR r.environment_id = $2)
             AND r.seq < $3
           ORDER BY r.seq DESC LIMIT $4"#,
        filter.id.map(RolloutId::as_uuid),
        filter.environment.map(EnvironmentId::as_uuid),
        filter.before,
        filter.limit
    )
    .fetch_all(tx)
    .await?)
}

async fn select_steps(tx: &mut PgConnection, rollout: RolloutId) -> Result<Vec<StepInfo>, StoreError> {
    Ok(sqlx::query_as!(
        StepInfo,
        r#"SELECT s.id AS "id: _", s.host_id AS "host: _", h.name AS "name: _", s.wave AS "wave: Count",
                  s.state AS "state: _", s.since, s.attempt AS "attempt: _", s.failures AS "failures: Count",
                  s.closure AS "closure: _", s.prior AS "prior: _", s.reason,
                  coalesce(h.last_seen_at > now() - make_interval(secs => $2), false) AS "online!",
                  h.last_seen_at, h.live AS "live: _", h.boot_default AS "boot_default: _",
                  h.report AS "report!: LenientJson<AttemptReport>"
           FROM steps s JOIN hosts h ON h.id = s.host_id
           WHERE s.rollout_id = $1 ORDER BY s.wave, h.name"#,
        rollout.as_uuid(),
        offline_after()
    )
    .fetch_all(tx)
    .await?)
}

/// Steps by state, as Postgres counts them.
#[derive(sqlx::Type)]
#[sqlx(transparent)]
struct Counts(Json<BTreeMap<StepState, u32>>);

impl From<Counts> for BTreeMap<StepState, u32> {
    fn from(counts: Counts) -> Self {
        counts.0.0
    }
}
