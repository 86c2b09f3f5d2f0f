//! The signed manifests of releases: what was signed, byte for byte.

use slipway_domain::digest::Digest;
use slipway_domain::{EnvironmentId, EnvironmentName, HostId, HostName, ReleaseId, Timestamp};
use slipway_release::Signature;
use slipway_wire::release::{ManifestSummary, ReleaseManifest, SignatureSummary};
use sqlx::PgConnection;
use tracing::instrument;

use super::{label_of, number};
use crate::error::OnConstraint as _;
use crate::row::Count;
use crate::{Store, StoreError, bounded};

/// A manifest to be kept. The caller has read it; nobody here knows who signed it.
#[derive(Debug, Clone)]
pub struct NewManifest {
    /// The only environment that it is for.
    pub environment: EnvironmentName,
    /// No other release of the environment has it, and no host there has committed a higher one.
    pub number: i64,
    /// No host activates it from then on.
    pub expires: Timestamp,
    /// The digest of its text.
    pub digest: Digest,
    /// The text that was signed.
    pub text: String,
    /// What the signing tools wrote.
    pub signatures: Vec<String>,
}

impl Store {
    /// A release's manifest as it was signed.
    #[instrument(name = "db.manifest.get", level = "debug", skip_all, fields(%release))]
    pub async fn get_manifest(&self, release: ReleaseId) -> Result<ReleaseManifest, StoreError> {
        bounded(async {
            let row = sqlx::query!(
                "SELECT manifest, signatures FROM release_manifests WHERE release_id = $1",
                release.as_uuid()
            )
            .fetch_optional(&self.pool)
            .await?;
            if let Some(row) = row {
                return as_signed(row.manifest, row.signatures);
            }
            let mut connection = self.pool.acquire().await?;
            let release = label_of(&mut connection, release).await?.to_string();
            Err(StoreError::Unsigned { release })
        })
        .await
    }

    /// The same for a host, if the release names it.
    #[instrument(name = "db.manifest.get_for_host", level = "debug", skip_all, fields(%release, %host))]
    pub async fn get_manifest_for_host(
        &self,
        release: ReleaseId,
        host: HostId,
    ) -> Result<ReleaseManifest, StoreError> {
        bounded(async {
            let row = sqlx::query!(
                "SELECT m.manifest, m.signatures FROM release_manifests m
                 JOIN release_closures c ON c.release_id = m.release_id AND c.host_id = $2
                 WHERE m.release_id = $1",
                release.as_uuid(),
                host.as_uuid()
            )
            .fetch_optional(&self.pool)
            .await?
            .ok_or_else(|| StoreError::not_found("signed manifest for this host of release", &release))?;
            as_signed(row.manifest, row.signatures)
        })
        .await
    }
}

/// Bytes that are no text were changed after they came in.
fn as_signed(manifest: Vec<u8>, signatures: Vec<String>) -> Result<ReleaseManifest, StoreError> {
    let manifest = String::from_utf8(manifest).map_err(|error| StoreError::Corrupt {
        what: "manifest",
        detail: error.to_string(),
    })?;
    Ok(ReleaseManifest { manifest, signatures })
}

/// What a release's manifest says, if it has one.
pub(super) async fn summary(
    connection: &mut PgConnection,
    release: ReleaseId,
) -> Result<Option<ManifestSummary>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT e.id AS "of: EnvironmentId", e.name AS "environment: EnvironmentName", m.number, m.expires_at, m.digest,
                  m.manifest, m.signatures
           FROM release_manifests m JOIN environments e ON e.id = m.environment_id WHERE m.release_id = $1"#,
        release.as_uuid()
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    // What cannot be read was refused when the release was registered.
    let signatures = row.signatures.iter().filter_map(|text| text.parse().ok());
    let signatures: Vec<Signature> = signatures.collect();
    let trusting = trusting(connection, row.of, &signatures).await?;
    let signatures = signatures.iter().zip(trusting);
    let signatures = signatures.map(|(signature, trusting)| SignatureSummary {
        key: signature.key_name(),
        algorithm: signature.algorithm().to_owned(),
        fits: signature.fits(&row.manifest),
        trusted_by: trusting.into(),
    });
    Ok(Some(ManifestSummary {
        environment: row.environment,
        number: row.number.unsigned_abs(),
        expires: row.expires_at,
        digest: crate::row::parse("digest", &row.digest)?,
        signatures: signatures.collect(),
    }))
}

/// How many hosts of the environment trust the key of each of these signatures. Nobody here has keys, but hosts say which ones
/// they trust.
async fn trusting(
    connection: &mut PgConnection,
    environment: EnvironmentId,
    signatures: &[Signature],
) -> Result<Vec<Count>, StoreError> {
    let keys: Vec<String> = signatures.iter().map(ToString::to_string).collect();
    Ok(sqlx::query_scalar!(
        r#"SELECT count(h.id) AS "hosts!: Count"
           FROM unnest($2::text[]) WITH ORDINALITY AS k (key, place)
           LEFT JOIN (host_facts f JOIN hosts h
                      ON h.id = f.host_id AND h.environment_id = $1 AND h.retired_at IS NULL)
                  ON f.facts->'release_keys' ? k.key
           GROUP BY k.place ORDER BY k.place"#,
        environment.as_uuid(),
        &keys
    )
    .fetch_all(connection)
    .await?)
}

/// The highest number of a manifest of the environment that a host committed.
///
/// What was only registered counts for nothing: nobody here knows who signed it, so anybody could use up all numbers.
pub(crate) async fn committed_number(
    tx: &mut PgConnection,
    environment: EnvironmentId,
) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT max(m.number) FROM release_manifests m
         WHERE m.environment_id = $1 AND EXISTS (
             SELECT FROM rollouts r JOIN steps s ON s.rollout_id = r.id
             WHERE r.release_id = m.release_id AND s.state = 'committed')",
        environment.as_uuid()
    )
    .fetch_one(tx)
    .await?)
}

/// Keeps the manifest of a release whose closures are there already.
pub(super) async fn insert(
    tx: &mut PgConnection,
    release: ReleaseId,
    new: &NewManifest,
) -> Result<(), StoreError> {
    // One at a time in an environment, so that another one with the same number is seen.
    let environment = sqlx::query_scalar!(
        r#"SELECT id AS "id: EnvironmentId" FROM environments WHERE name = $1 AND deleted_at IS NULL FOR NO KEY UPDATE"#,
        new.environment.as_str()
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| StoreError::not_found("environment", &new.environment))?;
    let last = committed_number(tx, environment).await?;
    if let Some(last) = last.filter(|last| new.number < *last) {
        return Err(StoreError::NumberPassed {
            environment: new.environment.clone(),
            number: new.number,
            last,
        });
    }
    let elsewhere = sqlx::query_scalar!(
        r#"SELECT h.name AS "name: HostName" FROM release_closures c JOIN hosts h ON h.id = c.host_id
           WHERE c.release_id = $1 AND h.environment_id <> $2 ORDER BY h.name"#,
        release.as_uuid(),
        environment.as_uuid()
    )
    .fetch_all(&mut *tx)
    .await?;
    if !elsewhere.is_empty() {
        return Err(StoreError::UnknownHosts {
            problem: format!(
                "the manifest is for the environment `{}`, and these hosts are not in it",
                new.environment
            ),
            names: elsewhere,
        });
    }
    sqlx::query!(
        "INSERT INTO release_manifests (release_id, environment_id, number, expires_at, digest, manifest, signatures)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        release.as_uuid(),
        environment.as_uuid(),
        new.number,
        new.expires,
        new.digest.to_string(),
        new.text.as_bytes(),
        &new.signatures
    )
    .execute(tx)
    .await
    .on_constraint("release_manifests_environment_id_number_key", || StoreError::NumberUsed {
        environment: new.environment.clone(),
        number: new.number,
    })?;
    Ok(())
}

/// Whether a rollout of the release may begin there now. Hosts ask again by themselves; here it is told before anything
/// begins.
pub(crate) async fn check_rollout(
    tx: &mut PgConnection,
    release: ReleaseId,
    environment: EnvironmentId,
) -> Result<(), StoreError> {
    let row = sqlx::query!(
        r#"SELECT e.name AS "environment: EnvironmentName", m.environment_id = $2 AS "here!", m.expires_at,
                  m.expires_at <= now() AS "expired!", l.seq
           FROM release_manifests m JOIN environments e ON e.id = m.environment_id JOIN releases l ON l.id = m.release_id
           WHERE m.release_id = $1"#,
        release.as_uuid(),
        environment.as_uuid()
    )
    .fetch_optional(tx)
    .await?;
    match row {
        Some(row) if !row.here => Err(StoreError::OtherEnvironment {
            number: number(row.seq),
            environment: row.environment,
        }),
        Some(row) if row.expired => Err(StoreError::ReleaseExpired {
            number: number(row.seq),
            expires: row.expires_at,
        }),
        _ => Ok(()),
    }
}
