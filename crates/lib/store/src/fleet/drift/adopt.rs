//! Accepting what runs on a host as what is expected of it.

use slipway_domain::drift::{self, Drift, DriftKind};
use slipway_domain::{HostId, HostName, StorePath};
use slipway_wire::fleet::{AdoptHost, Host};
use sqlx::PgConnection;
use tracing::instrument;

use crate::audit::{append, expected, kind};
use crate::fleet::hosts::host_within;
use crate::fleet::membership::lock_active;
use crate::{EventAuthor, Store, StoreError, Stored};

use super::facts::{Known, read_facts};

impl Store {
    /// Accepts what runs on a host, what its profile names and its overrides as what is expected from now on. A host that is
    /// behind may be so until the next release.
    ///
    /// Only what the caller saw: the request carries the digest of it. A system is only accepted if a release names it for
    /// this host, so that it can be had again. Where the environment's release is signed, that one must be too, and a host
    /// of the environment must have committed it.
    #[instrument(name = "db.host.adopt", level = "debug", skip_all, fields(%name))]
    pub async fn adopt_host(
        &self,
        name: &HostName,
        request: &AdoptHost,
        by: &EventAuthor<'_>,
    ) -> Result<Stored<HostId, Host>, StoreError> {
        self.transaction(async |tx| {
            let id = lock_active(tx, name).await?;
            let known = read_facts(tx, Some(&[id.as_uuid()])).await?.pop();
            let known = known.ok_or_else(|| StoreError::HostChanging { host: name.clone() })?;
            let drifts = known.drift();
            if drifts.is_empty() {
                return Err(StoreError::NoDrift { host: name.clone() });
            }
            if drift::digest(&drifts) != request.drift {
                return Err(StoreError::DriftMoved { host: name.clone() });
            }
            let by_hand = [DriftKind::Unit, DriftKind::Boot];
            if drifts.iter().any(|drift| !by_hand.contains(&drift.kind)) {
                let facts = &known.facts;
                for path in [Some(&facts.live), facts.boot_default.as_ref()]
                    .into_iter()
                    .flatten()
                {
                    require_released(tx, name, &known, path).await?;
                }
            }
            for drift in drifts.iter().filter(|drift| drift.kind == DriftKind::Boot) {
                // What is no system, such as a memory test, is in no release.
                let (system, _) = drift.booted();
                if let Ok(path) = system.parse() {
                    require_released(tx, name, &known, &path).await?;
                }
            }
            // Not when the transaction began: a step may have been committed while this waited for the host.
            sqlx::query!(
                "UPDATE hosts SET baseline = live, baseline_boot_default = boot_default, baseline_at = clock_timestamp(),
                        accepted_overrides = overrides, accepted_release = $2, drift = '[]', drift_told = '[]'
                 WHERE id = $1",
                id.as_uuid(),
                known.release.map(slipway_domain::ReleaseId::as_uuid)
            )
            .execute(&mut *tx)
            .await?;
            let mut adopted = by.event(kind::HOST_ADOPTED, request.reason.clone());
            adopted.environment = Some(known.environment);
            adopted.host = Some(id);
            adopted.from = Some(known.facts.expected_live.to_string());
            adopted.to = Some(known.facts.live.to_string());
            let ended: Vec<&Drift> = drifts.iter().collect();
            let ended = known.ended(by.actor.clone(), &ended, "somebody accepted it", &[]);
            let baseline = expected::read(tx, Some(&[id.as_uuid()])).await?.pop();
            let baseline = baseline.ok_or_else(|| StoreError::not_found("host", name))?;
            let events = [adopted.deciding(&baseline.digest), ended];
            append(tx, by.key, &events).await?;
            // After the events, which say who accepted what, and before the commit: what was done is answered.
            host_within(tx, name).await
        })
        .await
    }
}

/// Fails unless a release names the system for this host; a signed one, where the environment's release is signed.
///
/// Nobody here knows who signed a manifest, so one that was only registered vouches for nothing. Hosts find it out before
/// they commit.
async fn require_released(
    tx: &mut PgConnection,
    host: &HostName,
    known: &Known,
    path: &StorePath,
) -> Result<(), StoreError> {
    let found = sqlx::query!(
        r#"SELECT EXISTS (SELECT FROM release_closures WHERE host_id = $1 AND closure = $2) AS "named!",
                  EXISTS (SELECT FROM release_closures c JOIN release_manifests m USING (release_id)
                          JOIN rollouts r USING (release_id) JOIN steps s ON s.rollout_id = r.id
                          WHERE c.host_id = $1 AND c.closure = $2 AND r.environment_id = m.environment_id
                            AND s.state = 'committed') AS "signed!",
                  EXISTS (SELECT FROM release_manifests WHERE release_id = $3) AS "only_signed!""#,
        known.id.as_uuid(),
        path.as_str(),
        known.release.map(slipway_domain::ReleaseId::as_uuid)
    )
    .fetch_one(tx)
    .await?;
    match (found.named, found.signed || !found.only_signed) {
        (true, true) => Ok(()),
        (named, _) => Err(StoreError::NotReleased {
            host: host.clone(),
            path: path.clone(),
            signed: named,
        }),
    }
}
