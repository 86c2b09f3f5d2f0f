//! Hosts that are not as Slipway left them: when that begins and ends.
//!
//! What drifts is in the host's row at once. The audit log is told of it by one event, after the host's rest.

mod adopt;
mod facts;
mod told;

use std::collections::HashMap;

use slipway_domain::{HostId, StorePath};
use sqlx::types::Json;
use tracing::instrument;
use uuid::Uuid;

use crate::audit::{append, expected};
use crate::{AuditKey, Store, StoreError, bounded};

use facts::{Known, read_facts};

/// The most hosts that one transaction writes. A check of all hosts leaves the others to the next one.
pub(super) const AT_ONCE: u16 = 500;

impl Store {
    /// Compares these hosts, or all, with what Slipway left on them. What begins to drift and what no longer does is an event.
    /// Gives how many hosts were written. Each change of a live system is an event of its own besides.
    ///
    /// Hosts that a rollout has out are passed over: what drifted on them still does until the attempt is over. A host that
    /// goes to and fro does not fill the log: its events rest longer and longer. The next one says what drifts by then.
    #[instrument(name = "db.host.compare", level = "debug", skip_all)]
    pub async fn note_drift(&self, hosts: Option<&[HostId]>, key: &AuditKey) -> Result<usize, StoreError> {
        let Some(hosts) = hosts else {
            return self.note_some(None, key).await;
        };
        let ids: Vec<Uuid> = hosts.iter().copied().map(HostId::as_uuid).collect();
        let mut written = 0;
        for some in ids.chunks(usize::from(AT_ONCE)) {
            written += self.note_some(Some(some), key).await?;
        }
        Ok(written)
    }

    async fn note_some(&self, only: Option<&[Uuid]>, key: &AuditKey) -> Result<usize, StoreError> {
        self.note_live(only, key).await?;
        let known = bounded(async {
            let mut connection = self.pool.acquire().await?;
            read_facts(&mut connection, only).await
        })
        .await?;
        let changed = known
            .iter()
            .filter(|known| known.is_news())
            .take(usize::from(AT_ONCE));
        let changed: Vec<Uuid> = changed.map(|known| known.id.as_uuid()).collect();
        if changed.is_empty() {
            return Ok(0);
        }
        self.transaction(async |tx| {
            let locked = sqlx::query_scalar!(
                "SELECT id FROM hosts WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED",
                &changed
            )
            .fetch_all(&mut *tx)
            .await?;
            let mut events = Vec::new();
            let mut hosts = 0;
            let mut first_seen = HashMap::new();
            // Somebody may have written them meanwhile.
            for known in read_facts(tx, Some(&locked)).await? {
                if !known.is_news() {
                    continue;
                }
                hosts += 1;
                let now = known.drift();
                let event = known.event(&now);
                sqlx::query!(
                    "UPDATE hosts SET drift = $2, baseline = coalesce(baseline, $3),
                            baseline_boot_default = CASE WHEN baseline IS NULL THEN $4 ELSE baseline_boot_default END,
                            baseline_at = CASE WHEN baseline IS NULL AND $3 IS NOT NULL THEN now() ELSE baseline_at END,
                            drift_told = $5,
                            drift_noted_at = CASE WHEN $6::integer IS NULL THEN drift_noted_at ELSE now() END,
                            drift_rest_seconds = coalesce($6, drift_rest_seconds)
                     WHERE id = $1",
                    known.id.as_uuid(),
                    Json(&now) as _,
                    known.first_seen().map(StorePath::as_str),
                    known.first_seen().and(known.facts.boot_default.as_ref()).map(StorePath::as_str),
                    Json(if event.is_some() { &now } else { &known.told }) as _,
                    event.as_ref().map(|_| known.rest.after(known.now))
                )
                .execute(&mut *tx)
                .await?;
                events.extend(event);
                if known.first_seen().is_some() {
                    first_seen.insert(known.id.as_uuid(), known);
                }
            }
            let firsts: Vec<Uuid> = first_seen.keys().copied().collect();
            for baseline in expected::read(tx, Some(&firsts)).await? {
                let seen = first_seen.get(&baseline.host).map(Known::first_seen_event);
                events.extend(seen.map(|event| event.deciding(&baseline.digest)));
            }
            append(tx, key, &events).await?;
            Ok(hosts)
        })
        .await
    }
}
