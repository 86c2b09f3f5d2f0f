//! The facts of hosts, and all that a preflight looks at.

mod subject;

use std::collections::HashMap;

use slipway_domain::agent::AttemptReport;
use slipway_domain::{AttemptId, HostFacts, HostId, HostName, Observation, RolloutId, StepState, StorePath};
use sqlx::types::Json;
use tracing::{instrument, warn};
use uuid::Uuid;

use crate::commits::note_commit;
use crate::{Store, StoreError, bounded};

pub use subject::PreflightOf;
pub(crate) use subject::of_rollout;

/// The most bytes of facts that are kept; the table refuses a little more.
const MAX_BYTES: usize = 200 * 1024;
/// How long an agent is asked about a closure.
const ASK_SECONDS: f64 = 20.0;

impl Store {
    /// Keeps the facts that an observation carries. Gives the host's rollout if somebody may wait for them: they are the
    /// first ones after a closure was staged.
    #[instrument(name = "db.facts.keep", level = "debug", skip_all, fields(%host))]
    pub async fn keep_facts(
        &self,
        host: HostId,
        seen: &Observation,
    ) -> Result<Option<RolloutId>, StoreError> {
        let Some(facts) = &seen.facts else {
            return Ok(None);
        };
        let bytes = serde_json::to_string(facts).map_or(usize::MAX, |text| text.len());
        if bytes > MAX_BYTES {
            warn!(bytes, "the host sent facts that are too long; they are not kept");
            return Ok(None);
        }
        // Those of an attempt that is not the host's own say nothing to anybody.
        let attempt = seen.report.as_ref().map(|AttemptReport { attempt, .. }| attempt);
        let attempt = facts.attempt.filter(|of| Some(of) == attempt);
        bounded(async {
            note_commit();
            let rollout = sqlx::query_scalar!(
                r#"WITH before AS (SELECT facts->>'attempt' AS attempt FROM host_facts WHERE host_id = $1),
                        kept AS (
                            INSERT INTO host_facts (host_id, facts) VALUES ($1, $2)
                            ON CONFLICT (host_id) DO UPDATE SET facts = excluded.facts, at = now())
                   SELECT s.rollout_id AS "rollout: RolloutId"
                   FROM (SELECT rollout_id, attempt, state FROM steps WHERE host_id = $1 ORDER BY seq DESC LIMIT 1) s
                   WHERE s.attempt = $3 AND s.state = ANY($4)
                     AND NOT EXISTS (SELECT FROM before b WHERE b.attempt = $3::text)"#,
                host.as_uuid(),
                Json(facts) as Json<&HostFacts>,
                attempt.map(AttemptId::as_uuid),
                &[StepState::Staging, StepState::Staged].map(StepState::as_str) as _
            )
            .fetch_optional(&self.pool)
            .await?;
            Ok(rollout)
        })
        .await
    }

    /// Asks the agents of these hosts about closures. Gives those that can be asked: their agents have sent facts.
    #[instrument(name = "db.facts.ask", level = "debug", skip_all, fields(hosts = closures.len()))]
    pub async fn ask_facts(&self, closures: &HashMap<HostId, StorePath>) -> Result<Vec<HostId>, StoreError> {
        let (hosts, paths): (Vec<Uuid>, Vec<&str>) = closures
            .iter()
            .map(|(host, path)| (host.as_uuid(), path.as_str()))
            .unzip();
        bounded(async {
            note_commit();
            let asked = sqlx::query_scalar!(
                r#"UPDATE host_facts f SET probe = c.closure, probe_asked_at = now()
                   FROM unnest($1::uuid[], $2::text[]) AS c (host_id, closure), hosts h
                   WHERE f.host_id = c.host_id AND h.id = c.host_id
                     AND h.last_seen_at > now() - make_interval(secs => $3)
                   RETURNING f.host_id AS "host: HostId""#,
                &hosts,
                &paths as _,
                crate::fleet::offline_after()
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(asked)
        })
        .await
    }

    /// The names of these hosts, at most so many.
    #[instrument(name = "db.host.names", level = "debug", skip_all, fields(hosts = hosts.len()))]
    pub async fn names_of(&self, hosts: &[HostId], most: usize) -> Result<Vec<HostName>, StoreError> {
        let ids: Vec<Uuid> = hosts.iter().take(most).copied().map(HostId::as_uuid).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        bounded(async {
            let names = sqlx::query_scalar!(
                r#"SELECT name AS "name: HostName" FROM hosts WHERE id = ANY($1) ORDER BY name"#,
                &ids
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(names)
        })
        .await
    }

    /// The closures that agents of these hosts are to look for, and have not yet.
    #[instrument(name = "db.facts.probes", level = "debug", skip_all, fields(hosts = hosts.len()))]
    pub async fn find_probes(&self, hosts: &[HostId]) -> Result<HashMap<HostId, StorePath>, StoreError> {
        let ids: Vec<Uuid> = hosts.iter().copied().map(HostId::as_uuid).collect();
        bounded(async {
            let rows = sqlx::query!(
                r#"SELECT host_id AS "host: HostId", probe AS "probe!" FROM host_facts
                   WHERE host_id = ANY($1) AND probe IS NOT NULL
                     AND (at < probe_asked_at OR facts->'closure'->>'path' IS DISTINCT FROM probe)
                     AND probe_asked_at > now() - make_interval(secs => $2)"#,
                &ids,
                ASK_SECONDS
            )
            .fetch_all(&self.pool)
            .await?;
            // One that cannot be read was written by hand.
            let probes = rows
                .into_iter()
                .filter_map(|row| Some((row.host, row.probe.parse().ok()?)));
            Ok(probes.collect())
        })
        .await
    }
}
