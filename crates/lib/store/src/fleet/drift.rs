//! Hosts that are not as Slipway left them: when that begins and ends.

mod adopt;
mod facts;

use slipway_domain::drift::{self, Drift};
use slipway_domain::event::{Actor, NewEvent};
use slipway_domain::{HostId, StorePath};
use sqlx::types::Json;
use tracing::instrument;
use uuid::Uuid;

use crate::audit::{append, kind};
use crate::{AuditKey, Store, StoreError, bounded};

use facts::{Known, read_facts};

/// The most hosts that one check writes; the next check takes more.
const AT_ONCE: usize = 500;

impl Store {
    /// Compares this host, or all, with what Slipway left on it. Each thing that begins to drift or no longer does is an
    /// event. Gives how many hosts changed. Each change of a live system is an event of its own besides.
    ///
    /// Hosts that a rollout has out are passed over: what drifted on them still does until the attempt is over. A host is
    /// written at most every 10 s, so that one that goes to and fro does not fill the log.
    #[instrument(name = "db.host.compare", level = "debug", skip_all)]
    pub async fn note_drift(&self, host: Option<HostId>, key: &AuditKey) -> Result<usize, StoreError> {
        self.note_live(host, key).await?;
        let only = host.map(|host| vec![host.as_uuid()]);
        let known = bounded(async {
            let mut connection = self.pool.acquire().await?;
            read_facts(&mut connection, only.as_deref(), true).await
        })
        .await?;
        let changed = known.iter().filter(|known| known.is_news()).take(AT_ONCE);
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
            // Somebody may have written them meanwhile.
            for known in read_facts(tx, Some(&locked), true).await? {
                if !known.is_news() {
                    continue;
                }
                hosts += 1;
                let now = known.drift();
                events.extend(known.events(&now));
                let before = known.before.as_deref().unwrap_or_default();
                sqlx::query!(
                    "UPDATE hosts SET drift = $2, baseline = coalesce(baseline, $3),
                            baseline_boot_default = CASE WHEN baseline IS NULL THEN $4 ELSE baseline_boot_default END,
                            baseline_at = CASE WHEN baseline IS NULL AND $3 IS NOT NULL THEN now() ELSE baseline_at END,
                            drift_noted_at = CASE WHEN $5 THEN now() ELSE drift_noted_at END
                     WHERE id = $1",
                    known.id.as_uuid(),
                    Json(&now) as _,
                    known.first_seen().map(StorePath::as_str),
                    known.first_seen().and(known.facts.boot_default.as_ref()).map(StorePath::as_str),
                    now != before
                )
                .execute(&mut *tx)
                .await?;
            }
            append(tx, key, &events).await?;
            Ok(hosts)
        })
        .await
    }
}

impl Known {
    /// Whether the row does not say what is so.
    fn is_news(&self) -> bool {
        self.first_seen().is_some() || self.before.as_ref() != Some(&self.drift())
    }

    /// What begins and what ends. A host whose baseline is taken now has nothing that ends.
    fn events(&self, now: &[Drift]) -> Vec<NewEvent> {
        let before = self.before.as_deref().unwrap_or_default();
        let begun = drift::beyond(now, before).map(|drift| {
            let cause = drift.kind.words();
            self.event(Actor::Host(self.name.clone()), kind::HOST_DRIFTED, drift, cause)
        });
        let ended = drift::beyond(before, now).map(|drift| {
            let cause = self.why_ended(drift);
            self.event(Actor::Rules, kind::HOST_DRIFT_ENDED, drift, cause)
        });
        begun.chain(ended).collect()
    }

    fn why_ended(&self, drift: &Drift) -> &'static str {
        if drift.found == self.facts.live.as_str() && self.facts.live == self.facts.expected_live {
            "a rollout brought the host to what runs"
        } else if self.committed {
            "a rollout put the host right, or it is as expected again"
        } else {
            "the host is as expected again"
        }
    }

    fn event(&self, actor: Actor, kind: &str, drift: &Drift, cause: &str) -> NewEvent {
        NewEvent {
            environment: Some(self.environment),
            host: Some(self.id),
            from: Some(drift.expected.clone()),
            to: Some(drift.found.clone()),
            ..NewEvent::new(actor, kind, cause)
        }
    }
}
