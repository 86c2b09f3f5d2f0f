//! Releases that are too long for one request: written page by page, then sealed. Only a sealed one is a release.

use std::collections::BTreeMap;

use slipway_domain::{HostName, PrincipalId, ReleaseId, ReleaseName, StorePath};
use slipway_wire::release::{Release, Source};
use sqlx::PgConnection;
use tracing::instrument;

use super::{NewRelease, known_hosts};
use crate::{AuditKey, Store, StoreError, bounded};

/// The most unsealed drafts of one principal. A further one replaces the oldest.
const MOST_DRAFTS: i64 = 10;
/// A draft older than this is forgotten.
const KEPT_HOURS: i32 = 24;

impl Store {
    /// Begins a draft: `new` without closures. Deletes the author's old unsealed drafts.
    #[instrument(name = "db.draft.create", level = "debug", skip_all)]
    pub async fn create_draft(&self, new: &NewRelease) -> Result<ReleaseId, StoreError> {
        self.transaction(async |tx| {
            // One at a time, so that the count is right.
            sqlx::query_scalar!(
                "SELECT id FROM principals WHERE id = $1 FOR NO KEY UPDATE",
                new.author.as_uuid()
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::not_found("principal", &new.author))?;
            sqlx::query!(
                "DELETE FROM release_drafts WHERE created_at < now() - make_interval(hours => $2) OR id IN (
                     SELECT id FROM release_drafts WHERE author_id = $1 ORDER BY created_at DESC, id DESC OFFSET $3)",
                new.author.as_uuid(),
                KEPT_HOURS,
                MOST_DRAFTS - 1
            )
            .execute(&mut *tx)
            .await?;
            sqlx::query!(
                "INSERT INTO release_drafts (id, flake_ref, rev, nar_hash, message, author_id, name)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                new.id.as_uuid(),
                new.source.flake_ref,
                new.source.rev,
                new.source.nar_hash,
                new.message,
                new.author.as_uuid(),
                new.name.as_ref().map(ReleaseName::as_str)
            )
            .execute(&mut *tx)
            .await?;
            Ok(new.id)
        })
        .await
    }

    /// The number of hosts in a draft of this author, if there is such a draft.
    #[instrument(name = "db.draft.find", level = "debug", skip_all, fields(%draft))]
    pub async fn find_draft(&self, draft: ReleaseId, author: PrincipalId) -> Result<Option<i64>, StoreError> {
        bounded(async {
            Ok(sqlx::query_scalar!(
                r#"SELECT (SELECT count(*) FROM release_draft_closures WHERE draft_id = d.id) AS "hosts!"
                   FROM release_drafts d WHERE id = $1 AND author_id = $2"#,
                draft.as_uuid(),
                author.as_uuid()
            )
            .fetch_optional(&self.pool)
            .await?)
        })
        .await
    }

    /// Writes a page of closures into a draft of this author, and gives the number of hosts in it. A page that is sent
    /// again changes nothing; another closure for a host takes the place of the one before.
    #[instrument(name = "db.draft.add", level = "debug", skip_all, fields(%draft))]
    pub async fn add_to_draft(
        &self,
        draft: ReleaseId,
        author: PrincipalId,
        closures: &BTreeMap<HostName, StorePath>,
    ) -> Result<i64, StoreError> {
        self.transaction(async |tx| {
            lock(tx, draft, author).await?;
            let hosts = known_hosts(tx, closures).await?;
            let paths: Vec<&str> = closures.values().map(StorePath::as_str).collect();
            sqlx::query!(
                "INSERT INTO release_draft_closures (draft_id, host_id, closure)
                 SELECT $1, host_id, closure FROM unnest($2::uuid[], $3::text[]) AS c (host_id, closure)
                 ON CONFLICT (draft_id, host_id) DO UPDATE SET closure = excluded.closure",
                draft.as_uuid(),
                &hosts,
                &paths as _
            )
            .execute(&mut *tx)
            .await?;
            let count = count(tx, draft).await?;
            Ok(count)
        })
        .await
    }

    /// Turns a draft into a release. It must have exactly this number of hosts, so that a lost page is noticed.
    #[instrument(name = "db.draft.seal", level = "debug", skip_all, fields(%draft))]
    pub async fn seal_draft(
        &self,
        draft: ReleaseId,
        author: PrincipalId,
        hosts: i64,
        key: &AuditKey,
    ) -> Result<Release, StoreError> {
        self.transaction(async |tx| {
            let about = lock(tx, draft, author).await?;
            let found = count(tx, draft).await?;
            if found != hosts {
                return Err(StoreError::DraftIncomplete {
                    draft,
                    found,
                    expected: hosts,
                });
            }
            let new = NewRelease {
                closures: closures(tx, draft).await?,
                ..about
            };
            sqlx::query!("DELETE FROM release_drafts WHERE id = $1", draft.as_uuid())
                .execute(&mut *tx)
                .await?;
            let release = super::insert(tx, &new, key).await?;
            Ok(release)
        })
        .await
    }
}

/// The draft's own data. Somebody else's draft is not visible.
async fn lock(
    tx: &mut PgConnection,
    draft: ReleaseId,
    author: PrincipalId,
) -> Result<NewRelease, StoreError> {
    let row = sqlx::query!(
        r#"SELECT flake_ref, rev, nar_hash, message, name AS "name: ReleaseName" FROM release_drafts
           WHERE id = $1 AND author_id = $2 FOR UPDATE"#,
        draft.as_uuid(),
        author.as_uuid()
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| StoreError::not_found("draft", &draft))?;
    Ok(NewRelease {
        id: draft,
        source: Source {
            flake_ref: row.flake_ref,
            rev: row.rev,
            nar_hash: row.nar_hash,
        },
        message: row.message,
        author,
        closures: BTreeMap::new(),
        manifest: None,
        name: row.name,
    })
}

async fn count(tx: &mut PgConnection, draft: ReleaseId) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM release_draft_closures WHERE draft_id = $1"#,
        draft.as_uuid()
    )
    .fetch_one(tx)
    .await?;
    Ok(count)
}

async fn closures(
    tx: &mut PgConnection,
    draft: ReleaseId,
) -> Result<BTreeMap<HostName, StorePath>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT h.name AS "name: HostName", c.closure AS "closure: StorePath"
           FROM release_draft_closures c JOIN hosts h ON h.id = c.host_id WHERE c.draft_id = $1"#,
        draft.as_uuid()
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.closure)).collect())
}
