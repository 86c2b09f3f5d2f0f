//! Releases that are too long for one request.

use slipway_domain::{ReleaseId, Role};
use slipway_store::StoreError;
use slipway_wire::release::{CreateDraft, Draft, DraftPage, Release, SealDraft};
use slipway_wire::route;

use super::releases::{new_release, require_closures};
use super::{Created, created};
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::ApiError;
use crate::extract::{JsonBody, PathParam};
use crate::number::number_of;
use crate::once;

endpoints! {
    create: Role(Deployer) as Release,
    add: Role(Deployer) as Release,
    seal: Role(Deployer) as Release,
}

/// Begin a release page by page
///
/// For releases that are too long for one request. Only its author can use a draft, and it cannot be rolled out. It is
/// deleted a day after it began; an author's eleventh draft replaces the oldest.
#[utoipa::path(
    post, path = route::DRAFTS, operation_id = "create_draft", tag = "releases", request_body = CreateDraft,
    responses((status = 201, description = "The draft", body = Draft))
)]
async fn create(context: RequestContext, JsonBody(request): JsonBody<CreateDraft>) -> Created<Draft> {
    let once = context.once(&request)?;
    let id = once.id(ReleaseId::from_uuid, ReleaseId::generate);
    let new = new_release(&context, id, request.name, request.message, request.source)?;
    let (context, new) = (&context, &new);
    let find = |_| async move {
        if let Some(hosts) = context.store.find_draft(id, context.caller.id).await? {
            return Ok(Some(draft(id, hosts)));
        }
        // It was sealed meanwhile. Another draft of its id could not be.
        let sealed = once::found(context.store.get_release(id).await)?;
        Ok(sealed.map(|sealed| draft(id, i64::try_from(sealed.closures.len()).unwrap_or(i64::MAX))))
    };
    let make = async { Ok(draft(context.store.create_draft(new).await?, 0)) };
    once.answer(find, make).await
}

/// Write closures into a draft
///
/// Sending a page again changes nothing. Another closure for a host replaces the earlier one.
#[utoipa::path(
    post, path = route::DRAFT_CLOSURES, operation_id = "add_to_draft", tag = "releases", request_body = DraftPage,
    params(("id" = ReleaseId, Path, description = "The draft's id")),
    responses((status = 201, description = "The draft as it is now", body = Draft))
)]
async fn add(
    context: RequestContext,
    PathParam(id): PathParam<ReleaseId>,
    JsonBody(request): JsonBody<DraftPage>,
) -> Created<Draft> {
    let closures = require_closures(&context.app, &request.closures).await?;
    context
        .require_hosts(Role::Deployer, closures.keys().cloned().collect())
        .await?;
    let hosts = context
        .store
        .add_to_draft(id, context.caller.id, &closures)
        .await?;
    Ok(created(draft(id, hosts)))
}

fn draft(id: ReleaseId, hosts: i64) -> Draft {
    Draft {
        id,
        hosts: number_of(hosts),
    }
}

/// Make a release of a draft
///
/// All of it at once, under the draft's id. From then on it never changes. Sealing it again gives the same release.
#[utoipa::path(
    post, path = route::DRAFT_SEAL, operation_id = "seal_draft", tag = "releases", request_body = SealDraft,
    params(("id" = ReleaseId, Path, description = "The draft's id")),
    responses(
        (status = 201, description = "The release", body = Release),
        (status = 409, description = "The draft holds another number of hosts"),
    )
)]
async fn seal(
    context: RequestContext,
    PathParam(id): PathParam<ReleaseId>,
    JsonBody(request): JsonBody<SealDraft>,
) -> Created<Release> {
    if request.hosts == 0 {
        return Err(ApiError::field("hosts", "a release names at least one host"));
    }
    let (author, hosts) = (context.caller.id, request.hosts);
    let sealed = context
        .store
        .seal_draft(id, author, hosts.into(), &context.audit_key);
    match sealed.await {
        Ok(made) => Ok(created(made)),
        Err(error @ StoreError::NotFound { .. }) => {
            let made = once::found(context.store.get_release(id).await)?;
            let sealed = made
                .filter(|made| made.author == context.caller.name && made.closures.len() == hosts as usize);
            sealed.map(created).ok_or_else(|| error.into())
        }
        Err(error) => Err(error.into()),
    }
}
