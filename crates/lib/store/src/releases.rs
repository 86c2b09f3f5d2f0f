//! Releases: immutable maps from host to closure.

mod attachments;
mod drafts;
mod kept;
pub(crate) mod manifests;

use std::collections::{BTreeMap, BTreeSet};

use slipway_domain::event::Actor;
use slipway_domain::{HostName, PrincipalId, PrincipalName, ReleaseId, ReleaseName, StorePath};
use slipway_wire::release::{Release, ReleaseLabel, ReleaseSummary, Source};
use sqlx::PgConnection;
use tracing::instrument;
use uuid::Uuid;

use crate::audit::{append, digests, kind};
use crate::error::OnConstraint as _;
use crate::row::Count;
use crate::{AuditKey, EventAuthor, Store, StoreError, bounded, page_limit};

pub use attachments::{Document, NewAttachment, StoredDocument};
pub use manifests::NewManifest;
pub(crate) use manifests::check_rollout;

/// A release to be registered.
#[derive(Debug, Clone)]
pub struct NewRelease {
    /// Its id: new, that of its manifest, or [of its request](crate::AuditKey::derive).
    pub id: ReleaseId,
    /// Where its closures came from.
    pub source: Source,
    /// What it is, for people.
    pub message: Option<String>,
    /// Who registers it.
    pub author: PrincipalId,
    /// What each host is to run.
    pub closures: BTreeMap<HostName, StorePath>,
    /// Its signed manifest, if it has one.
    pub manifest: Option<NewManifest>,
    /// Its name, which no other release may have.
    pub name: Option<ReleaseName>,
}

impl Store {
    /// Registers a release. Fails with every host that does not exist or was retired.
    #[instrument(name = "db.release.create", level = "debug", skip_all)]
    pub async fn create_release(&self, new: &NewRelease, key: &AuditKey) -> Result<Release, StoreError> {
        self.transaction(async |tx| {
            let release = insert(tx, new, key).await?;
            Ok(release)
        })
        .await
    }

    /// A release with its closures.
    #[instrument(name = "db.release.get", level = "debug", skip_all, fields(%id))]
    pub async fn get_release(&self, id: ReleaseId) -> Result<Release, StoreError> {
        bounded(async {
            let mut connection = self.pool.acquire().await?;
            read(&mut connection, id).await
        })
        .await
    }

    /// A release as people say it.
    #[instrument(name = "db.release.label", level = "debug", skip_all, fields(%id))]
    pub async fn get_release_label(&self, id: ReleaseId) -> Result<ReleaseLabel, StoreError> {
        bounded(async {
            let mut connection = self.pool.acquire().await?;
            label_of(&mut connection, id).await
        })
        .await
    }

    /// Releases without their closures, the newest first; `after` is the last of the page before.
    #[instrument(name = "db.release.list", level = "debug", skip_all)]
    pub async fn list_releases(
        &self,
        after: Option<ReleaseId>,
        limit: u32,
    ) -> Result<Vec<ReleaseSummary>, StoreError> {
        bounded(async {
            let before = match after {
                None => i64::MAX,
                Some(id) => sqlx::query_scalar!("SELECT seq FROM releases WHERE id = $1", id.as_uuid())
                    .fetch_optional(&self.pool)
                    .await?
                    .ok_or_else(|| StoreError::not_found("release", &id))?,
            };
            // Releases of earlier programs were not counted when they were made.
            let found = sqlx::query!(
                r#"SELECT r.id AS "id: ReleaseId", r.seq, r.name AS "name: ReleaseName", r.flake_ref, r.rev, r.nar_hash,
                          r.message, p.name AS "author: PrincipalName", r.created_at,
                          coalesce(r.host_count, (SELECT count(*) FROM release_closures c
                                                  WHERE c.release_id = r.id)) AS "hosts!: Count"
                   FROM releases r JOIN principals p ON p.id = r.author_id
                   WHERE r.seq < $1 ORDER BY r.seq DESC LIMIT $2"#,
                before,
                page_limit(limit)
            )
            .fetch_all(&self.pool)
            .await?;
            let releases = found.into_iter().map(|row| ReleaseSummary {
                id: row.id,
                hosts: row.hosts.into(),
                closures: BTreeMap::new(),
                source: Source {
                    flake_ref: row.flake_ref,
                    rev: row.rev,
                    nar_hash: row.nar_hash,
                },
                message: row.message,
                author: row.author,
                created_at: row.created_at,
                number: Some(number(row.seq)),
                name: row.name,
            });
            Ok(releases.collect())
        })
        .await
    }
}

/// A release with its closures.
async fn read(connection: &mut PgConnection, id: ReleaseId) -> Result<Release, StoreError> {
    let row = sqlx::query!(
        r#"SELECT r.seq, r.name AS "name: ReleaseName", r.flake_ref, r.rev, r.nar_hash, r.message,
                  p.name AS "author: PrincipalName", r.created_at
           FROM releases r JOIN principals p ON p.id = r.author_id WHERE r.id = $1"#,
        id.as_uuid()
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| StoreError::not_found("release", &id))?;
    let closures = sqlx::query!(
        r#"SELECT h.name AS "name: HostName", c.closure AS "closure: StorePath"
           FROM release_closures c JOIN hosts h ON h.id = c.host_id WHERE c.release_id = $1"#,
        id.as_uuid()
    )
    .fetch_all(&mut *connection)
    .await?;
    // Few releases have one, and each request that reads a release would carry its state along.
    let manifest = Box::pin(manifests::summary(&mut *connection, id)).await?;
    let kept = kept::kept(connection, id).await?;
    Ok(Release {
        id,
        manifest,
        kept,
        closures: closures.into_iter().map(|row| (row.name, row.closure)).collect(),
        source: Source {
            flake_ref: row.flake_ref,
            rev: row.rev,
            nar_hash: row.nar_hash,
        },
        message: row.message,
        author: row.author,
        created_at: row.created_at,
        number: Some(number(row.seq)),
        name: row.name,
    })
}

/// The number by which people name a release or a rollout: its place in the order. The database has none below 1.
pub(crate) const fn number(seq: i64) -> u64 {
    seq.unsigned_abs()
}

/// A release as people say it.
pub(crate) fn label(id: ReleaseId, seq: i64, name: Option<ReleaseName>, rev: Option<String>) -> ReleaseLabel {
    ReleaseLabel {
        id,
        number: Some(number(seq)),
        name,
        rev,
    }
}

/// A release as people say it, within a transaction. Fails when there is none of this id.
pub(crate) async fn label_of(tx: &mut PgConnection, id: ReleaseId) -> Result<ReleaseLabel, StoreError> {
    let row = sqlx::query!(
        r#"SELECT seq, name AS "name: ReleaseName", rev FROM releases WHERE id = $1"#,
        id.as_uuid()
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| StoreError::not_found("release", &id))?;
    Ok(label(id, row.seq, row.name, row.rev))
}

/// The one place where a release comes to be: with all its closures and its event, in one transaction.
async fn insert(tx: &mut PgConnection, new: &NewRelease, key: &AuditKey) -> Result<Release, StoreError> {
    let id = new.id;
    let hosts = known_hosts(tx, &new.closures).await?;
    let author = sqlx::query_scalar!(
        r#"SELECT name AS "name: PrincipalName" FROM principals WHERE id = $1"#,
        new.author.as_uuid()
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| StoreError::not_found("principal", &new.author))?;
    let seq = sqlx::query_scalar!(
        "INSERT INTO releases (id, flake_ref, rev, nar_hash, message, author_id, host_count, name)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING seq",
        id.as_uuid(),
        new.source.flake_ref,
        new.source.rev,
        new.source.nar_hash,
        new.message,
        new.author.as_uuid(),
        i64::try_from(hosts.len()).unwrap_or(i64::MAX),
        new.name.as_ref().map(ReleaseName::as_str)
    )
    .fetch_one(&mut *tx)
    .await
    .on_constraint("releases_pkey", || StoreError::ReleaseExists { id })
    .on_constraint("releases_name_key", || StoreError::NameTaken {
        what: "release",
        name: new.name.as_ref().map(ToString::to_string).unwrap_or_default(),
    })?;
    let closures: Vec<&str> = new.closures.values().map(StorePath::as_str).collect();
    sqlx::query!(
        "INSERT INTO release_closures (release_id, host_id, closure)
         SELECT $1, host_id, closure FROM unnest($2::uuid[], $3::text[]) AS c (host_id, closure)",
        id.as_uuid(),
        &hosts,
        &closures as _
    )
    .execute(&mut *tx)
    .await?;
    let name = new.name.as_ref().map(|name| format!(", {name}"));
    let mut cause = format!(
        "release {id} (#{seq}{}) for {} hosts",
        name.unwrap_or_default(),
        hosts.len()
    );
    if let Some(manifest) = &new.manifest {
        manifests::insert(tx, id, manifest).await?;
        let (number, environment) = (manifest.number, &manifest.environment);
        cause = format!(
            "{cause}, signed as number {number} of {environment} ({})",
            manifest.digest
        );
    }
    let by = EventAuthor::new(Actor::Principal(author), key);
    let digest = digests::release(tx, id).await?;
    let event = by.event(kind::RELEASE_CREATED, cause).deciding(&digest);
    let release = read(tx, id).await?;
    append(tx, key, &[event]).await?;
    Ok(release)
}

/// The ids of the hosts that a release names, in the order of their names.
async fn known_hosts(
    tx: &mut PgConnection,
    closures: &BTreeMap<HostName, StorePath>,
) -> Result<Vec<Uuid>, StoreError> {
    let names: Vec<&str> = closures.keys().map(HostName::as_str).collect();
    let rows = sqlx::query!(
        "SELECT id, name FROM hosts WHERE name = ANY($1) AND retired_at IS NULL ORDER BY name FOR KEY SHARE",
        &names as _
    )
    .fetch_all(tx)
    .await?;
    let found: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let unknown: Vec<HostName> = closures
        .keys()
        .filter(|name| !found.contains(name.as_str()))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(StoreError::UnknownHosts {
            problem: "the release names hosts that do not exist or were retired".to_owned(),
            names: unknown,
        });
    }
    Ok(rows.into_iter().map(|row| row.id).collect())
}
