//! Releases that are too long for one request.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use slipway_domain::ReleaseId;
use slipway_store::NewRelease;
use slipway_wire::Problem;
use slipway_wire::release::{CreateDraft, Draft, DraftPage, Release, SealDraft};
use slipway_wire::route;

use super::created;
use super::releases::{check_words, require_closures, shown};
use crate::auth::Principal;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, PathParam};
use crate::state::App;

/// Begin a release page by page
///
/// For releases that are too long for one request. A draft is its author's alone, and nothing that can be rolled out. It
/// is forgotten a day after it was begun; an author's eleventh draft takes the place of the oldest.
#[utoipa::path(
    post, path = route::DRAFTS, operation_id = "create_draft", tag = "releases", request_body = CreateDraft,
    responses((status = 201, description = "The draft", body = Draft))
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Principal,
    JsonBody(request): JsonBody<CreateDraft>,
) -> Result<(StatusCode, Json<Draft>)> {
    check_words(request.message.as_deref(), &request.source)?;
    let new = NewRelease {
        flake_ref: request.source.flake_ref,
        rev: request.source.rev,
        nar_hash: request.source.nar_hash,
        message: request.message,
        author: caller.id,
        closures: std::collections::BTreeMap::new(),
    };
    let id = app.store.create_draft(&new).await?;
    Ok(created(Draft { id, hosts: 0 }))
}

/// Write closures into a draft
///
/// A page that is sent again changes nothing. Another closure for a host takes the place of the one before.
#[utoipa::path(
    post, path = route::DRAFT_CLOSURES, operation_id = "add_to_draft", tag = "releases", request_body = DraftPage,
    params(("id" = ReleaseId, Path, description = "The draft's id")),
    responses((status = 201, description = "The draft as it is now", body = Draft))
)]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Principal,
    PathParam(id): PathParam<ReleaseId>,
    JsonBody(request): JsonBody<DraftPage>,
) -> Result<(StatusCode, Json<Draft>)> {
    let closures = require_closures(&app, &request.closures).await?;
    let hosts = app.store.add_to_draft(id, caller.id, &closures).await?;
    Ok(created(Draft {
        id,
        hosts: u32::try_from(hosts).unwrap_or(u32::MAX),
    }))
}

/// Make a release of a draft
///
/// All of it at once, under the draft's id. From then on it never changes.
#[utoipa::path(
    post, path = route::DRAFT_SEAL, operation_id = "seal_draft", tag = "releases", request_body = SealDraft,
    params(("id" = ReleaseId, Path, description = "The draft's id")),
    responses(
        (status = 201, description = "The release", body = Release),
        (status = 409, description = "The draft holds another number of hosts", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn seal(
    State(app): State<App>,
    caller: Principal,
    PathParam(id): PathParam<ReleaseId>,
    JsonBody(request): JsonBody<SealDraft>,
) -> Result<(StatusCode, Json<Release>)> {
    if request.hosts == 0 {
        return Err(ApiError::field("hosts", "a release names at least one host"));
    }
    let made = app
        .store
        .seal_draft(id, caller.id, request.hosts.into(), &app.audit_key)
        .await?;
    Ok(created(shown(made)))
}
