//! How hosts stand: counted, by name, and the worst first. The database tells by its function `host_standing`.

use slipway_domain::{
    EnvironmentId, EnvironmentName, HostId, HostName, ReleaseId, ReleaseName, Standing, TokenLimits,
};
use slipway_wire::fleet::Host;
use slipway_wire::standing::{Fleet, FleetHosts, HostCount, HostStanding};
use tracing::instrument;
use uuid::Uuid;

use super::hosts::{hosts_of, offline_after};
use crate::agent::quiet_after;
use crate::releases::label;
use crate::row::Count;
use crate::{Store, StoreError, Stored, bounded, page_limit};

/// Which hosts are wanted.
#[derive(Debug, Clone)]
pub struct HostsOf<'a> {
    /// What the token that asks may see.
    pub limits: &'a TokenLimits,
    /// Of this environment alone.
    pub environment: Option<EnvironmentId>,
    /// Of these standings alone.
    pub standings: Vec<Standing>,
    /// Each must be part of the name, of a label, or of what is live.
    pub words: Vec<&'a str>,
}

impl Store {
    /// How many hosts there are of those that a token may see, by environment, standing and release.
    #[instrument(name = "db.fleet.count", level = "debug", skip_all)]
    pub async fn count_fleet(&self, limits: &TokenLimits) -> Result<Fleet, StoreError> {
        let (environments, hosts) = named(limits);
        bounded(async {
            let rows = sqlx::query!(
                r#"SELECT h.environment AS "environment!: EnvironmentName", h.standing AS "standing!: Standing",
                          l.id AS "release?: ReleaseId", l.seq AS "seq?", l.name AS "name?: ReleaseName", l.rev AS "rev?",
                          count(*) AS "hosts!: Count", count(*) FILTER (WHERE h.drifts) AS "drifting!: Count"
                   FROM (SELECT e.name AS environment, host_standing(h, s.state, $1, $2) AS standing,
                                h.drift <> '[]' AS drifts, live.release_id
                         FROM hosts h
                         JOIN environments e ON e.id = h.environment_id
                         LEFT JOIN LATERAL (
                             SELECT state FROM steps WHERE steps.host_id = h.id ORDER BY seq DESC LIMIT 1
                         ) s ON true
                         LEFT JOIN LATERAL (
                             SELECT rollouts.release_id FROM steps JOIN rollouts ON rollouts.id = steps.rollout_id
                             WHERE steps.host_id = h.id AND steps.closure = h.live
                               AND steps.state IN ('activating', 'verifying', 'verified', 'committed')
                             ORDER BY steps.seq DESC LIMIT 1
                         ) live ON true
                         WHERE h.retired_at IS NULL AND ($3::text[] IS NULL OR e.name = ANY($3))
                           AND ($4::text[] IS NULL OR h.name = ANY($4))) h
                   LEFT JOIN releases l ON l.id = h.release_id
                   GROUP BY h.environment, h.standing, l.id
                   ORDER BY h.environment, array_position($5::text[], h.standing), l.seq DESC NULLS LAST"#,
                offline_after(),
                quiet_after(),
                environments as _,
                hosts as _,
                &order() as _
            )
            .fetch_all(&self.pool)
            .await?;
            let counts = rows.into_iter().map(|row| HostCount {
                environment: row.environment,
                standing: row.standing,
                release: row.release.zip(row.seq).map(|(id, seq)| label(id, seq, row.name, row.rev)),
                hosts: row.hosts.into(),
                drifting: row.drifting.into(),
            });
            Ok(Fleet {
                counts: counts.collect(),
            })
        })
        .await
    }

    /// Some of these hosts, the worst first, and how many there are.
    #[instrument(name = "db.fleet.hosts", level = "debug", skip_all)]
    pub async fn list_worst_hosts(
        &self,
        of: &HostsOf<'_>,
        skip: u32,
        limit: u32,
    ) -> Result<FleetHosts, StoreError> {
        let (environments, hosts) = named(of.limits);
        bounded(async {
            let mut connection = self.pool.acquire().await?;
            let rows = sqlx::query!(
                r#"SELECT id AS "id!: Uuid", count(*) OVER () AS "total!: Count"
                   FROM (SELECT h.id, h.name, host_standing(h, s.state, $1, $2) AS standing
                         FROM hosts h
                         JOIN environments e ON e.id = h.environment_id
                         LEFT JOIN LATERAL (
                             SELECT state FROM steps WHERE steps.host_id = h.id ORDER BY seq DESC LIMIT 1
                         ) s ON true
                         WHERE h.retired_at IS NULL AND ($3::text[] IS NULL OR e.name = ANY($3))
                           AND ($4::text[] IS NULL OR h.name = ANY($4)) AND ($5::uuid IS NULL OR e.id = $5)
                           AND NOT EXISTS (
                               SELECT FROM unnest($6::text[]) word
                               WHERE strpos(h.name, word) = 0 AND strpos(coalesce(h.live, ''), word) = 0
                                 AND NOT EXISTS (SELECT FROM jsonb_each_text(h.labels) label
                                                 WHERE strpos(label.key || '=' || label.value, word) > 0))) h
                   WHERE cardinality($7::text[]) = 0 OR standing = ANY($7)
                   ORDER BY array_position($8::text[], standing), name OFFSET $9 LIMIT $10"#,
                offline_after(),
                quiet_after(),
                environments as _,
                hosts as _,
                of.environment.map(EnvironmentId::as_uuid),
                of.words.as_slice() as _,
                &of.standings.iter().map(|one| one.as_str()).collect::<Vec<_>>() as _,
                &order() as _,
                i64::from(skip),
                page_limit(limit)
            )
            .fetch_all(&mut *connection)
            .await?;
            let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
            let mut items = hosts_of(&mut *connection, &ids).await?;
            let place = |host: &Stored<HostId, Host>| ids.iter().position(|id| *id == host.id.as_uuid());
            items.sort_by_key(place);
            Ok(FleetHosts {
                total: rows.into_iter().next().map_or(0, |row| row.total.into()),
                items: items.into_iter().map(|host| host.value).collect(),
            })
        })
        .await
    }

    /// How each host stands of those that a token may see, by name: of one environment, or all, and those after this name.
    #[instrument(name = "db.fleet.standings", level = "debug", skip_all)]
    pub async fn list_standings(
        &self,
        limits: &TokenLimits,
        environment: Option<EnvironmentId>,
        after: Option<&HostName>,
        limit: u32,
    ) -> Result<Vec<HostStanding>, StoreError> {
        let (environments, hosts) = named(limits);
        bounded(async {
            let found = sqlx::query_as!(
                HostStanding,
                r#"SELECT h.name AS "name: HostName", e.name AS "environment: EnvironmentName",
                          host_standing(h, s.state, $1, $2) AS "standing!: Standing"
                   FROM hosts h
                   JOIN environments e ON e.id = h.environment_id
                   LEFT JOIN LATERAL (
                       SELECT state FROM steps WHERE steps.host_id = h.id ORDER BY seq DESC LIMIT 1
                   ) s ON true
                   WHERE h.retired_at IS NULL AND ($3::text[] IS NULL OR e.name = ANY($3))
                     AND ($4::text[] IS NULL OR h.name = ANY($4)) AND ($5::uuid IS NULL OR e.id = $5)
                     AND ($6::text IS NULL OR h.name > $6)
                   ORDER BY h.name LIMIT $7"#,
                offline_after(),
                quiet_after(),
                environments as _,
                hosts as _,
                environment.map(EnvironmentId::as_uuid),
                after.map(HostName::as_str),
                page_limit(limit)
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(found)
        })
        .await
    }
}

/// The standings, the worst first.
fn order() -> Vec<&'static str> {
    Standing::ALL.iter().map(|standing| standing.as_str()).collect()
}

/// The environments and the hosts that a token is limited to; `None` for no limit.
fn named(limits: &TokenLimits) -> (Option<Vec<&str>>, Option<Vec<&str>>) {
    let environments = limits.environments.as_ref();
    let hosts = limits.hosts.as_ref();
    (
        environments.map(|names| names.iter().map(EnvironmentName::as_str).collect()),
        hosts.map(|names| names.iter().map(HostName::as_str).collect()),
    )
}
