//! What is attached to releases.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use slipway_console::api::UntilSent;
use slipway_domain::ReleaseId;
use slipway_wire::attachment::{
    AttachDocument, AttachedDocument, Attachment, DocumentQuery, EntriesQuery, ReleaseComponents,
    ReleaseVulnerabilities,
};
use slipway_wire::page::Page;
use slipway_wire::route;

use super::{Answer, whole};
use crate::attachment::{self, Entry};
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{DocumentBody, QueryParams, page_limit, parse};
use crate::number::number_of;
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
    DocumentBody { bytes, place }: DocumentBody,
) -> Answer<Attachment> {
    let reading = context.documents.read.place().await?;
    let new = on_a_thread(move || {
        let _reading = reading;
        let AttachDocument { kind, document } = parse(&bytes)?;
        drop(bytes);
        let new = attachment::new_attachment(kind, document);
        let new = new.map_err(|error| ApiError::field("document", error.to_string()))?;
        Ok((new, place))
    });
    let (new, _place) = new.await?;
    Ok(Json(context.store.attach(id, new, &context.by()).await?))
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
) -> Result<Response> {
    let place = app.documents.held.place().await?;
    let stored = app.store.get_document(id, query.kind, query.version).await?;
    on_a_thread(move || {
        let json = serde_json::to_vec(&stored.verify()?);
        let json = json.map_err(|error| ApiError::Internal(Box::new(error)))?;
        let place = UntilSent::new(place);
        let json = place.clone().keep(json);
        let mut response = ([(CONTENT_TYPE, "application/json")], json).into_response();
        // A page with the document needs it too.
        response.extensions_mut().insert(place);
        Ok(response)
    })
    .await
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
        (status = 409, description = "It cannot be read, or somebody changed it in the database"),
    )
)]
async fn components(
    State(app): State<App>,
    ReleaseParam(id): ReleaseParam,
    QueryParams(query): QueryParams<EntriesQuery>,
) -> Answer<ReleaseComponents> {
    let (attachment, total, items) = page_of(&app, id, query).await?;
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
        (status = 409, description = "It cannot be read, or somebody changed it in the database"),
    )
)]
async fn vulnerabilities(
    State(app): State<App>,
    ReleaseParam(id): ReleaseParam,
    QueryParams(query): QueryParams<EntriesQuery>,
) -> Answer<ReleaseVulnerabilities> {
    let (attachment, total, items) = page_of(&app, id, query).await?;
    Ok(Json(ReleaseVulnerabilities {
        attachment,
        total,
        items,
    }))
}

/// Entries of the newest document of their kind that have every word in one of their parts: how many, and those of the page.
async fn page_of<T: Entry>(
    app: &App,
    id: ReleaseId,
    query: EntriesQuery,
) -> Result<(Attachment, u32, Vec<T>)> {
    let EntriesQuery { text, skip, limit } = query;
    let words = text::words("text", text.as_deref())?.into_iter();
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    let limit = page_limit(limit)?;
    let reading = app.documents.read.place().await?;
    let stored = app.store.get_document(id, T::KIND, None).await?;
    on_a_thread(move || {
        let _reading = reading;
        let AttachedDocument { attachment, document } = stored.verify()?;
        let read = attachment::read::<T>(&document);
        // An earlier version may have taken what this one does not.
        let (_, mut all) = read.map_err(|error| {
            let (kind, version) = (T::KIND.words(), attachment.version);
            ApiError::Conflict(format!(
                "version {version} of the {kind} cannot be read: {error}; attach another"
            ))
        })?;
        all.retain(|one| {
            let parts: Vec<String> = one.parts().map(str::to_lowercase).collect();
            let has = |word: &String| parts.iter().any(|part| part.contains(word.as_str()));
            words.iter().all(has)
        });
        let total = number_of(all.len());
        let items = all.into_iter().skip(skip.unwrap_or_default() as usize);
        Ok((attachment, total, items.take(limit as usize).collect()))
    })
    .await
}

/// Work on some megabytes takes a while, in which other requests go on. It ends also for a client that has gone, so it keeps
/// its place itself.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ApiError::Internal(Box::new(error)))?
}
