//! Documents that are attached to releases. They are added and never changed.
//!
//! Versions between the first and the newest are removed: a release may be scanned every night.

use chrono::{DateTime, Utc};
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
    pub document: Document,
}

/// The text of a document with its digest.
#[derive(Debug, Clone)]
pub struct Document {
    text: String,
    digest: Digest,
}

impl Document {
    /// Computes the digest. A long text takes a while, so no lock should be held meanwhile, and no other task wait.
    #[must_use]
    pub fn new(text: String) -> Self {
        let digest = Digest::of_bytes(text.as_bytes());
        Self { text, digest }
    }
}

/// A document as the database has it.
#[derive(Debug)]
pub struct StoredDocument {
    release: ReleaseId,
    attachment: Attachment,
    text: String,
}

impl StoredDocument {
    /// The document, if its text is what was attached. It computes the digest, as [`Document::new`] does.
    pub fn verify(self) -> Result<AttachedDocument, StoreError> {
        let Self {
            release,
            attachment,
            text,
        } = self;
        let Document { text, digest } = Document::new(text);
        if digest != attachment.digest {
            return Err(StoreError::DocumentChanged(format!(
                "somebody changed version {} of the {} of release {release} by hand in the database; the one that was attached \
                 has the digest {}",
                attachment.version,
                attachment.kind.words(),
                attachment.digest
            )));
        }
        Ok(AttachedDocument {
            attachment,
            document: text,
        })
    }
}

/// Rows as they are read. Whoever does not want the text asks for `NULL` in its place.
macro_rules! attachment_rows {
    ($before:tt, $document:tt, $after:tt $($args:tt)*) => {
        sqlx::query_as!(
            Row,
            $before
                + r#"kind AS "kind: AttachmentKind", version AS "version: Count", format, digest, entries AS "entries: Count",
                     severities AS "severities: LenientJson<Vec<SeverityCount>>", dismissed AS "dismissed: Count",
                     octet_length(document) AS "bytes!: Count", by_name AS "by: PrincipalName", at, "#
                + $document
                + r#" AS "document?" "#
                + $after
            $($args)*
        )
    };
}

impl Store {
    /// Attaches a document to a release as the newest of its kind. The same text once more changes nothing.
    #[instrument(name = "db.release.attach", level = "debug", skip_all, fields(%id, kind = %new.kind))]
    pub async fn attach(
        &self,
        id: ReleaseId,
        new: NewAttachment,
        by: &EventAuthor<'_>,
    ) -> Result<Attachment, StoreError> {
        self.transaction(async |tx| {
            let label = label_of(tx, id).await?;
            // Two that come at once get one version each.
            sqlx::query!(
                "SELECT pg_advisory_xact_lock(hashtextextended('release_attachments' || $1::text, 0))",
                id.to_string()
            )
            .execute(&mut *tx)
            .await?;
            let newest = select(&mut *tx, id, Some(new.kind)).await?.pop();
            if let Some(same) = newest.as_ref().filter(|newest| newest.digest == new.document.digest) {
                return Ok(same.clone());
            }
            let version = newest.map_or(1, |newest| newest.version + 1);
            let attached = insert(tx, id, version, new, by.actor.name()).await?;
            sqlx::query!(
                "DELETE FROM release_attachments WHERE release_id = $1 AND kind = $2 AND version > 1 AND version <= $3",
                id.as_uuid(),
                attached.kind.as_str(),
                number(version.saturating_sub(KEPT_VERSIONS))
            )
            .execute(&mut *tx)
            .await?;
            let cause = format!(
                "{} {version} of release {label}: {}, {}",
                attached.kind.words(),
                attached.format,
                attached.digest
            );
            append(tx, by.key, &[by.event(kind::RELEASE_ATTACHED, cause)]).await?;
            Ok(attached)
        })
        .await
    }

    /// What is attached to a release: all versions of each kind, the newest last.
    #[instrument(name = "db.release.attachments", level = "debug", skip_all, fields(%id))]
    pub async fn list_attachments(&self, id: ReleaseId) -> Result<Vec<Attachment>, StoreError> {
        bounded(select(&self.pool, id, None)).await
    }

    /// A document of this version, or the newest.
    #[instrument(name = "db.release.document", level = "debug", skip_all, fields(%id, %kind))]
    pub async fn get_document(
        &self,
        id: ReleaseId,
        kind: AttachmentKind,
        version: Option<u32>,
    ) -> Result<StoredDocument, StoreError> {
        bounded(async {
            let row = attachment_rows!(
                "SELECT ",
                "document",
                r#"FROM release_attachments
                   WHERE release_id = $1 AND kind = $2 AND ($3::integer IS NULL OR version = $3)
                   ORDER BY version DESC LIMIT 1"#,
                id.as_uuid(),
                kind.as_str(),
                version.map(number)
            )
            .fetch_optional(&self.pool)
            .await?;
            let mut row = row.ok_or_else(|| StoreError::not_found(kind.words(), &id))?;
            let text = row.document.take().unwrap_or_default();
            Ok(StoredDocument {
                release: id,
                attachment: row.read()?,
                text,
            })
        })
        .await
    }
}

async fn insert(
    tx: &mut PgConnection,
    id: ReleaseId,
    version: u32,
    new: NewAttachment,
    by: &str,
) -> Result<Attachment, StoreError> {
    let row = attachment_rows!(
        r#"INSERT INTO release_attachments
               (release_id, kind, version, format, digest, entries, severities, dismissed, document, by_name)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           RETURNING "#,
        "NULL",
        "",
        id.as_uuid(),
        new.kind.as_str(),
        number(version),
        new.format,
        new.document.digest.to_string(),
        number(new.entries),
        Json(&new.severities) as _,
        number(new.dismissed),
        new.document.text,
        by
    )
    .fetch_one(tx)
    .await?;
    row.read()
}

fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A row, with its text where that is wanted.
struct Row {
    kind: AttachmentKind,
    version: Count,
    format: String,
    digest: String,
    entries: Count,
    severities: LenientJson<Vec<SeverityCount>>,
    dismissed: Count,
    bytes: Count,
    by: PrincipalName,
    at: DateTime<Utc>,
    document: Option<String>,
}

impl Row {
    fn read(self) -> Result<Attachment, StoreError> {
        Ok(Attachment {
            kind: self.kind,
            version: self.version.into(),
            format: self.format,
            digest: parse("digest of an attachment", &self.digest)?,
            bytes: self.bytes.into(),
            entries: self.entries.into(),
            severities: Option::from(self.severities).unwrap_or_default(),
            dismissed: self.dismissed.into(),
            by: self.by,
            at: self.at,
        })
    }
}

/// What is attached, the newest of each kind last.
async fn select(
    executor: impl PgExecutor<'_>,
    id: ReleaseId,
    kind: Option<AttachmentKind>,
) -> Result<Vec<Attachment>, StoreError> {
    let rows = attachment_rows!(
        "SELECT ",
        "NULL",
        r#"FROM release_attachments
           WHERE release_id = $1 AND ($2::text IS NULL OR kind = $2)
           ORDER BY kind, version"#,
        id.as_uuid(),
        kind.map(AttachmentKind::as_str)
    )
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(Row::read).collect()
}
