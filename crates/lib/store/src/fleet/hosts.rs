//! Hosts: machines with an agent.

use std::collections::{BTreeMap, BTreeSet};

use slipway_domain::agent::AttemptReport;
use slipway_domain::{
    AttemptId, EnvironmentId, EnvironmentName, HostId, HostName, OFFLINE_AFTER_SECONDS, RolloutId, StepState,
    StorePath, Timestamp,
};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use tracing::instrument;

use crate::agent::quiet_after;
use crate::row::{self, LenientJson};
use crate::{Store, StoreError, TokenHash, bounded, page_limit};

/// A machine with an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// Its name.
    pub name: HostName,
    /// The environment it belongs to.
    pub environment: EnvironmentName,
    /// The id of that environment.
    pub environment_id: EnvironmentId,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// Since when.
    pub created_at: Timestamp,
    /// Since when it is no longer part of the fleet.
    pub retired_at: Option<Timestamp>,
    /// Whether it was heard of lately.
    pub online: bool,
    /// When it was last heard of.
    pub last_seen_at: Option<Timestamp>,
    /// Its agent's version.
    pub agent_version: Option<String>,
    /// By how many seconds its clock is ahead; negative when it is behind.
    pub clock_skew_seconds: Option<i64>,
    /// Its kernel's boot id.
    pub boot_id: Option<String>,
    /// What runs.
    pub live: Option<StorePath>,
    /// What the next boot would run.
    pub boot_default: Option<StorePath>,
    /// What its agent is at, or was last.
    pub report: Option<AttemptReport>,
    /// The attempt that its agent began and did not settle: the host is out.
    pub unsettled: Option<AttemptId>,
    /// What is wrong with its agent's journal.
    pub journal_trouble: Option<String>,
    /// Whether two machines were heard of lately that use its token.
    pub two_lives: bool,
    /// Whether its agent counts its observations.
    pub counts: bool,
    /// When what its agent sees last changed.
    pub observed_at: Option<Timestamp>,
    /// Its newest step.
    pub step: Option<HostStep>,
}

/// A host's newest step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostStep {
    /// Its rollout.
    pub rollout: RolloutId,
    /// Where it stands.
    pub state: StepState,
    /// The release's closure for the host.
    pub closure: StorePath,
    /// Why it is in this state, when that is not plain.
    pub reason: Option<String>,
}

/// A host to be made.
#[derive(Debug, Clone)]
pub struct NewHost {
    /// Its name.
    pub name: HostName,
    /// The environment it belongs to.
    pub environment: EnvironmentName,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// The hash of its agent's first token.
    pub token: TokenHash,
}

/// Which hosts to read.
#[derive(Default)]
struct HostFilter<'a> {
    name: Option<&'a HostName>,
    environment: Option<EnvironmentId>,
    retired: bool,
    after: Option<&'a HostName>,
    /// All when not said.
    limit: Option<u32>,
}

impl Store {
    /// The host of this name, retired or not.
    #[instrument(name = "db.host.find", level = "debug", skip_all, fields(%name))]
    pub async fn find_host_by_name(&self, name: &HostName) -> Result<Option<Host>, StoreError> {
        let filter = HostFilter {
            name: Some(name),
            retired: true,
            ..HostFilter::default()
        };
        Ok(bounded(select_hosts(&self.pool, filter)).await?.pop())
    }

    /// The host of this name, retired or not.
    pub async fn get_host_by_name(&self, name: &HostName) -> Result<Host, StoreError> {
        self.find_host_by_name(name)
            .await?
            .ok_or_else(|| StoreError::not_found("host", name))
    }

    /// Hosts that are not retired, by name: of one environment, or all.
    #[instrument(name = "db.host.list", level = "debug", skip_all)]
    pub async fn list_hosts(&self, environment: Option<EnvironmentId>) -> Result<Vec<Host>, StoreError> {
        let filter = HostFilter {
            environment,
            ..HostFilter::default()
        };
        bounded(select_hosts(&self.pool, filter)).await
    }

    /// A page of hosts that are not retired, by name: of one environment, or all, and those after this name.
    #[instrument(name = "db.host.list_page", level = "debug", skip_all)]
    pub async fn list_hosts_page(
        &self,
        environment: Option<EnvironmentId>,
        after: Option<&HostName>,
        limit: u32,
    ) -> Result<Vec<Host>, StoreError> {
        let filter = HostFilter {
            environment,
            after,
            limit: Some(limit),
            ..HostFilter::default()
        };
        bounded(select_hosts(&self.pool, filter)).await
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

    /// The hosts of an environment that are online.
    #[instrument(name = "db.host.list_online", level = "debug", skip_all)]
    pub async fn list_online_hosts(
        &self,
        environment: EnvironmentId,
    ) -> Result<BTreeSet<HostName>, StoreError> {
        bounded(async {
            let names = sqlx::query_scalar!(
                r#"SELECT name AS "name: HostName" FROM hosts WHERE environment_id = $1 AND retired_at IS NULL
                   AND last_seen_at > now() - make_interval(secs => $2)"#,
                environment.as_uuid(),
                offline_after()
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(names.into_iter().collect())
        })
        .await
    }

    /// How many hosts are not retired, and how many of them are online: for metrics.
    #[instrument(name = "db.host.count", level = "debug", skip_all)]
    pub async fn count_hosts(&self) -> Result<(u32, u32), StoreError> {
        bounded(async {
            let row = sqlx::query!(
                r#"SELECT count(*) AS "known!",
                          count(*) FILTER (WHERE last_seen_at > now() - make_interval(secs => $1)) AS "online!"
                   FROM hosts WHERE retired_at IS NULL"#,
                offline_after()
            )
            .fetch_one(&self.pool)
            .await?;
            Ok((
                row::count("number of hosts", row.known)?,
                row::count("number of hosts", row.online)?,
            ))
        })
        .await
    }
}

/// The host of this name as a transaction leaves it: what it answers must not take another read once it is committed.
pub(super) async fn host_within(tx: &mut PgConnection, name: &HostName) -> Result<Host, StoreError> {
    let filter = HostFilter {
        name: Some(name),
        retired: true,
        ..HostFilter::default()
    };
    let host = select_hosts(tx, filter).await?.pop();
    host.ok_or_else(|| StoreError::not_found("host", name))
}

async fn select_hosts(
    executor: impl PgExecutor<'_>,
    filter: HostFilter<'_>,
) -> Result<Vec<Host>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT h.id AS "id: HostId", h.name AS "name: HostName", e.name AS "environment: EnvironmentName",
                  h.environment_id AS "environment_id: EnvironmentId",
                  h.labels AS "labels: Json<BTreeMap<String, String>>", h.created_at, h.retired_at,
                  coalesce(h.last_seen_at > now() - make_interval(secs => $4), false) AS "online!",
                  h.last_seen_at, h.agent_version, h.clock_skew_seconds, h.boot_id, h.live AS "live: StorePath",
                  h.boot_default AS "boot_default: StorePath", h.report AS "report!: LenientJson<AttemptReport>",
                  h.unsettled AS "unsettled: AttemptId", h.journal_trouble, h.observed_at,
                  coalesce(h.second_life_at > now() - make_interval(secs => $7), false) AS "two_lives!",
                  h.boot_counter IS NOT NULL AS "counts!", s.rollout_id AS "rollout?: RolloutId",
                  s.state AS "state?: StepState", s.closure AS "closure?: StorePath", s.reason AS "reason?"
           FROM hosts h
           JOIN environments e ON e.id = h.environment_id
           LEFT JOIN LATERAL (
               SELECT * FROM steps WHERE steps.host_id = h.id ORDER BY seq DESC LIMIT 1
           ) s ON true
           WHERE ($1::text IS NULL OR h.name = $1) AND ($2::uuid IS NULL OR h.environment_id = $2)
             AND ($3 OR h.retired_at IS NULL) AND ($5::text IS NULL OR h.name > $5)
           ORDER BY h.name LIMIT $6"#,
        filter.name.map(HostName::as_str),
        filter.environment.map(EnvironmentId::as_uuid),
        filter.retired,
        offline_after(),
        filter.after.map(HostName::as_str),
        filter.limit.map(page_limit),
        quiet_after()
    )
    .fetch_all(executor)
    .await?;
    let hosts = rows.into_iter().map(|row| {
        let step = match (row.rollout, row.state, row.closure) {
            (Some(rollout), Some(state), Some(closure)) => Some(HostStep {
                rollout,
                state,
                closure,
                reason: row.reason,
            }),
            _ => None,
        };
        Host {
            id: row.id,
            name: row.name,
            environment: row.environment,
            environment_id: row.environment_id,
            labels: row.labels.0,
            created_at: row.created_at,
            retired_at: row.retired_at,
            online: row.online,
            last_seen_at: row.last_seen_at,
            agent_version: row.agent_version,
            clock_skew_seconds: row.clock_skew_seconds,
            boot_id: row.boot_id,
            live: row.live,
            boot_default: row.boot_default,
            report: row.report.into(),
            unsettled: row.unsettled,
            journal_trouble: row.journal_trouble,
            two_lives: row.two_lives,
            counts: row.counts,
            observed_at: row.observed_at,
            step,
        }
    });
    Ok(hosts.collect())
}

/// [`OFFLINE_AFTER_SECONDS`] as `make_interval` wants it.
#[expect(clippy::cast_precision_loss, reason = "a small constant")]
pub(crate) const fn offline_after() -> f64 {
    OFFLINE_AFTER_SECONDS as f64
}
