//! What is attached to releases.

use axum::Json;
use axum::extract::State;
use slipway_domain::{AttachmentKind, ReleaseId};
use slipway_store::NewAttachment;
use slipway_wire::attachment::{
    AttachDocument, AttachedDocument, Attachment, DocumentQuery, EntriesQuery, ReleaseComponents,
    ReleaseVulnerabilities,
};
use slipway_wire::page::Page;
use slipway_wire::route;
use tokio::sync::OwnedSemaphorePermit;

use super::{Answer, whole};
use crate::attachment::{self, Entries};
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{DocumentJsonBody, JsonBody, QueryParams, page_limit};
use crate::reference::ReleaseParam;
use crate::state::App;
use crate::text;

endpoints! {
    attach: Role(Deployer) of Release as Release,
    list: Role(Viewer) of Release,
    document: Role(Viewer) of Release,
    components: Role(Viewer) of Release,
    vulnerabilities: Role(Viewer) of Release,
}

/// Attach a document to a release
///
/// A bill of materials or a report of vulnerabilities, of at most 8 MiB. It is another version where there is one already,
/// and the audit log has its digest. The same text once more changes nothing. The first version and the newest are kept.
#[utoipa::path(
    post, path = route::RELEASE_ATTACHMENTS, operation_id = "attach_document", tag = "releases", request_body = AttachDocument,
    params(("id" = String, Path, description = "Its number, name, id or the beginning of its id; `latest`, `latest@ENV` or `previous@ENV`")),
    responses((status = 200, description = "What is known of the document", body = Attachment))
)]
async fn attach(
    context: RequestContext,
    ReleaseParam(id): ReleaseParam,
    JsonBody(request): DocumentJsonBody<AttachDocument>,
) -> Answer<Attachment> {
    let AttachDocument { kind, document } = request;
    let room = context.reading.room().await.ok_or_else(ApiError::crowded)?;
    let (read, document) = on_a_thread(room, move || (attachment::read(kind, &document), document)).await?;
    let read = read.map_err(|error| ApiError::field("document", error.to_string()))?;
    let (severities, dismissed) = read.entries.severities();
    let new = NewAttachment {
        kind,
        format: read.format,
        entries: number(read.entries.len()),
        severities,
        dismissed,
        document,
    };
    let attached = context.store.attach(id, &new, &context.by()).await?;
    Ok(Json(attached))
}

/// List what is attached to a release
#[utoipa::path(
    get, path = route::RELEASE_ATTACHMENTS, operation_id = "list_attachments", tag = "releases",
    params(("id" = String, Path, description = "Its number, name, id or the beginning of its id; `latest`, `latest@ENV` or `previous@ENV`")),
    responses((status = 200, description = "All versions of each kind, the newest last", body = Page<Attachment>))
)]
async fn list(State(app): State<App>, ReleaseParam(id): ReleaseParam) -> Answer<Page<Attachment>> {
    Ok(whole(app.store.list_attachments(id).await?))
}

/// Show a document as it was attached
#[utoipa::path(
    get, path = route::RELEASE_DOCUMENT, operation_id = "get_document", tag = "releases",
    params(("id" = String, Path, description = "Its number, name, id or the beginning of its id; `latest`, `latest@ENV` or `previous@ENV`"), DocumentQuery),
    responses(
        (status = 200, description = "The document with its text", body = AttachedDocument),
        (status = 404, description = "There is no such document"),
        (status = 409, description = "Somebody changed it in the database"),
    )
)]
async fn document(
    State(app): State<App>,
    ReleaseParam(id): ReleaseParam,
    QueryParams(query): QueryParams<DocumentQuery>,
) -> Answer<AttachedDocument> {
    Ok(Json(app.store.get_document(id, query.kind, query.version).await?))
}

/// List the components of a release
///
/// By the newest bill of materials that is attached to it.
#[utoipa::path(
    get, path = route::RELEASE_COMPONENTS, operation_id = "list_components", tag = "releases",
    params(("id" = String, Path, description = "Its number, name, id or the beginning of its id; `latest`, `latest@ENV` or `previous@ENV`"), EntriesQuery),
    responses(
        (status = 200, description = "Some of them by name, and how many there are", body = ReleaseComponents),
        (status = 404, description = "No bill of materials is attached"),
        (status = 409, description = "Somebody changed it in the database"),
    )
)]
async fn components(
    State(app): State<App>,
    ReleaseParam(id): ReleaseParam,
    QueryParams(query): QueryParams<EntriesQuery>,
) -> Answer<ReleaseComponents> {
    let wanted = Wanted::of(&query)?;
    let (attachment, entries) = newest(&app, id, AttachmentKind::Sbom).await?;
    let Entries::Components(all) = entries else {
        return Err(ApiError::Internal(
            "a bill of materials was read as a report".into(),
        ));
    };
    let (total, items) = wanted.page(all, |one| {
        let parts = [Some(&one.name), one.version.as_ref(), one.purl.as_ref()];
        parts.into_iter().flatten().map(String::as_str).collect()
    });
    Ok(Json(ReleaseComponents {
        attachment,
        total,
        items,
    }))
}

/// List the known vulnerabilities of a release
///
/// By the newest report that is attached to it.
#[utoipa::path(
    get, path = route::RELEASE_VULNERABILITIES, operation_id = "list_vulnerabilities", tag = "releases",
    params(("id" = String, Path, description = "Its number, name, id or the beginning of its id; `latest`, `latest@ENV` or `previous@ENV`"), EntriesQuery),
    responses(
        (status = 200, description = "Some of them, the worst first, and how many there are", body = ReleaseVulnerabilities),
        (status = 404, description = "No report is attached"),
        (status = 409, description = "Somebody changed it in the database"),
    )
)]
async fn vulnerabilities(
    State(app): State<App>,
    ReleaseParam(id): ReleaseParam,
    QueryParams(query): QueryParams<EntriesQuery>,
) -> Answer<ReleaseVulnerabilities> {
    let wanted = Wanted::of(&query)?;
    let (attachment, entries) = newest(&app, id, AttachmentKind::Vulnerabilities).await?;
    let Entries::Vulnerabilities(all) = entries else {
        return Err(ApiError::Internal(
            "a report was read as a bill of materials".into(),
        ));
    };
    let (total, items) = wanted.page(all, |one| {
        let parts = [Some(&one.id), one.component.as_ref(), one.state.as_ref()];
        let parts = parts.into_iter().flatten().map(String::as_str);
        parts.chain([one.severity.as_str()]).collect()
    });
    Ok(Json(ReleaseVulnerabilities {
        attachment,
        total,
        items,
    }))
}

/// The newest document of this kind, read.
async fn newest(app: &App, id: ReleaseId, kind: AttachmentKind) -> Result<(Attachment, Entries)> {
    let room = app.reading.room().await.ok_or_else(ApiError::crowded)?;
    let AttachedDocument { attachment, document } = app.store.get_document(id, kind, None).await?;
    let read = on_a_thread(room, move || attachment::read(kind, &document)).await?;
    let read = read.map_err(|error| ApiError::Internal(Box::new(error)))?;
    Ok((attachment, read.entries))
}

/// Reading some megabytes takes a while, in which other requests go on.
async fn on_a_thread<T: Send + 'static>(
    room: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let work = move || {
        let done = work();
        drop(room);
        done
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ApiError::Internal(Box::new(error)))
}

/// Which entries are wanted.
struct Wanted<'a> {
    words: Vec<String>,
    query: &'a EntriesQuery,
    limit: u32,
}

impl<'a> Wanted<'a> {
    fn of(query: &'a EntriesQuery) -> Result<Self> {
        let words = query.text.as_deref().unwrap_or_default();
        if !words.trim().is_empty() {
            text::check("text", words, text::REFERENCE)?;
        }
        Ok(Self {
            words: words.split_whitespace().map(str::to_lowercase).collect(),
            query,
            limit: page_limit(query.limit)?,
        })
    }

    /// How many entries have every word in one of their parts, and those of the page.
    fn page<T>(&self, mut all: Vec<T>, parts: impl Fn(&T) -> Vec<&str>) -> (u32, Vec<T>) {
        all.retain(|one| {
            let parts: Vec<String> = parts(one).into_iter().map(str::to_lowercase).collect();
            let has = |word: &String| parts.iter().any(|part| part.contains(word.as_str()));
            self.words.iter().all(has)
        });
        let total = number(all.len());
        let skip = self.query.skip.unwrap_or_default() as usize;
        (
            total,
            all.into_iter().skip(skip).take(self.limit as usize).collect(),
        )
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
