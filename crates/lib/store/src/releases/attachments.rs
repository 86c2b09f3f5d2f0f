//! Documents that are attached to releases. They are added and never changed.
//!
//! Versions between the first and the newest are removed: a release may be scanned every night.

use slipway_domain::digest::Digest;
use slipway_domain::{AttachmentKind, PrincipalName, ReleaseId};
use slipway_wire::attachment::{AttachedDocument, Attachment, KEPT_VERSIONS, SeverityCount};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use tracing::instrument;

use super::label_of;
use crate::audit::{append, kind};
use crate::row::{Count, LenientJson, parse};
use crate::{EventAuthor, Store, StoreError, bounded};

/// A document that was read, and is to be attached.
#[derive(Debug, Clone)]
pub struct NewAttachment {
    /// What it is.
    pub kind: AttachmentKind,
    /// Its format, for people.
    pub format: String,
    /// How many components or vulnerabilities it has.
    pub entries: u32,
    /// How many vulnerabilities are how bad, of a report.
    pub severities: Vec<SeverityCount>,
    /// How many vulnerabilities the report dismisses.
    pub dismissed: u32,
    /// Its text.
    pub document: String,
}

impl Store {
    /// Attaches a document to a release as the newest of its kind. The same text once more changes nothing.
    #[instrument(name = "db.release.attach", level = "debug", skip_all, fields(%id, kind = %new.kind))]
    pub async fn attach(
        &self,
        id: ReleaseId,
        new: &NewAttachment,
        by: &EventAuthor<'_>,
    ) -> Result<Attachment, StoreError> {
        let digest = Digest::of_bytes(new.document.as_bytes());
        self.transaction(async |tx| {
            let label = label_of(tx, id).await?;
            // Two that come at once get one version each.
            sqlx::query!(
                "SELECT pg_advisory_xact_lock(hashtextextended('release_attachments' || $1::text, 0))",
                id.to_string()
            )
            .execute(&mut *tx)
            .await?;
            let newest = select(&mut *tx, id, Some(new.kind), None).await?.pop();
            if let Some(same) = newest.as_ref().filter(|newest| newest.digest == digest) {
                return Ok(same.clone());
            }
            let version = newest.map_or(1, |newest| newest.version + 1);
            insert(tx, id, version, new, by.actor.name()).await?;
            sqlx::query!(
                "DELETE FROM release_attachments WHERE release_id = $1 AND kind = $2 AND version > 1 AND version <= $3",
                id.as_uuid(),
                new.kind.as_str(),
                number(version.saturating_sub(KEPT_VERSIONS))
            )
            .execute(&mut *tx)
            .await?;
            let cause = format!(
                "{} {version} of release {label}: {}, {digest}",
                new.kind.words(),
                new.format
            );
            append(tx, by.key, &[by.event(kind::RELEASE_ATTACHED, cause)]).await?;
            let attached = select(&mut *tx, id, Some(new.kind), None).await?.pop();
            attached.ok_or_else(|| StoreError::not_found("attachment", &id))
        })
        .await
    }

    /// What is attached to a release: all versions of each kind, the newest last.
    #[instrument(name = "db.release.attachments", level = "debug", skip_all, fields(%id))]
    pub async fn list_attachments(&self, id: ReleaseId) -> Result<Vec<Attachment>, StoreError> {
        bounded(select(&self.pool, id, None, None)).await
    }

    /// A document as it was attached: of this version, or the newest. Fails where its text is not what was attached.
    #[instrument(name = "db.release.document", level = "debug", skip_all, fields(%id, %kind))]
    pub async fn get_document(
        &self,
        id: ReleaseId,
        kind: AttachmentKind,
        version: Option<u32>,
    ) -> Result<AttachedDocument, StoreError> {
        bounded(async {
            let attachment = select(&self.pool, id, Some(kind), version)
                .await?
                .pop()
                .ok_or_else(|| StoreError::not_found(kind.words(), &id))?;
            let document = sqlx::query_scalar!(
                "SELECT document FROM release_attachments WHERE release_id = $1 AND kind = $2 AND version = $3",
                id.as_uuid(),
                kind.as_str(),
                number(attachment.version)
            )
            .fetch_one(&self.pool)
            .await?;
            if Digest::of_bytes(document.as_bytes()) != attachment.digest {
                return Err(StoreError::DocumentChanged(format!(
                    "somebody changed the {} {} of release {id} by hand in the database; the one that was attached has \
                     the digest {}",
                    kind.words(),
                    attachment.version,
                    attachment.digest
                )));
            }
            Ok(AttachedDocument { attachment, document })
        })
        .await
    }
}

async fn insert(
    tx: &mut PgConnection,
    id: ReleaseId,
    version: u32,
    new: &NewAttachment,
    by: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO release_attachments
             (release_id, kind, version, format, digest, entries, severities, dismissed, document, by_name)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        id.as_uuid(),
        new.kind.as_str(),
        number(version),
        new.format,
        Digest::of_bytes(new.document.as_bytes()).to_string(),
        number(new.entries),
        Json(&new.severities) as _,
        number(new.dismissed),
        new.document,
        by
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

async fn select(
    executor: impl PgExecutor<'_>,
    id: ReleaseId,
    kind: Option<AttachmentKind>,
    version: Option<u32>,
) -> Result<Vec<Attachment>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT kind AS "kind: AttachmentKind", version AS "version: Count", format, digest, entries AS "entries: Count",
                  severities AS "severities: LenientJson<Vec<SeverityCount>>", dismissed AS "dismissed: Count",
                  octet_length(document) AS "bytes!: Count", by_name AS "by: PrincipalName", at
           FROM release_attachments
           WHERE release_id = $1 AND ($2::text IS NULL OR kind = $2) AND ($3::integer IS NULL OR version = $3)
           ORDER BY kind, version"#,
        id.as_uuid(),
        kind.map(AttachmentKind::as_str),
        version.map(number)
    )
    .fetch_all(executor)
    .await?;
    let attachments = rows.into_iter().map(|row| {
        Ok(Attachment {
            kind: row.kind,
            version: row.version.into(),
            format: row.format,
            digest: parse("digest of an attachment", &row.digest)?,
            bytes: row.bytes.into(),
            entries: row.entries.into(),
            severities: Option::from(row.severities).unwrap_or_default(),
            dismissed: row.dismissed.into(),
            by: row.by,
            at: row.at,
        })
    });
    attachments.collect()
}
