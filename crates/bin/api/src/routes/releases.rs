//! Releases.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use slipway_domain::{HostName, ReleaseId, ReleaseName, Role, StoreDir, StorePath};
use slipway_release::SignedManifest;
use slipway_store::{NewManifest, NewRelease};
use slipway_wire::page::{Page, PageQuery};
use slipway_wire::problem::FieldProblem;
use slipway_wire::release::{
    CreateRelease, CreateSignedRelease, Release, ReleaseManifest, ReleaseSummary, Source,
};
use slipway_wire::route;

use super::{Answer, Created, page, requested_page};
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, LongJsonBody, QueryParams};
use crate::once;
use crate::reference::ReleaseParam;
use crate::state::App;
use crate::text;

endpoints! {
    list: Role(Viewer),
    create: Role(Deployer) of Named as Release,
    get: Role(Viewer) of Release,
    create_signed: Role(Deployer) of Named as Release,
    manifest: Role(Viewer) of Release,
}

/// List releases
#[utoipa::path(
    get, path = route::RELEASES, operation_id = "list_releases", tag = "releases", params(PageQuery),
    responses((status = 200, description = "A page, the newest first", body = Page<ReleaseSummary>))
)]
async fn list(
    State(app): State<App>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Answer<Page<ReleaseSummary>> {
    let (limit, after) = requested_page(query.limit, query.after.as_deref())?;
    let found = app.store.list_releases(after, limit + 1).await?;
    Ok(Json(page(found, limit, |release: &ReleaseSummary| {
        release.id.to_string()
    })))
}

/// Register a release
///
/// A refusal names all wrong host names and paths. The closures need not be built yet. When a rollout stages them, before
/// any activation, it finds out whether each host can fetch its own. A release that is too long for one request is
/// written as a draft.
#[utoipa::path(
    post, path = route::RELEASES, operation_id = "create_release", tag = "releases", request_body = CreateRelease,
    responses(
        (status = 201, description = "The release", body = Release),
        (status = 409, description = "The name is in use"),
    )
)]
async fn create(context: RequestContext, JsonBody(request): JsonBody<CreateRelease>) -> Created<Release> {
    let hosts = request.closures.keys().filter_map(|host| host.parse().ok());
    context.require_hosts(Role::Deployer, hosts.collect()).await?;
    let once = context.once(&request)?;
    let id = once.id(ReleaseId::from_uuid, ReleaseId::generate);
    let context = &context;
    let make = async {
        let mut new = new_release(context, id, request.name, request.message, request.source)?;
        new.closures = require_closures(&context.app, &request.closures).await?;
        Ok(context.store.create_release(&new, &context.audit_key).await?)
    };
    let find = |_| async move { once::found(context.store.get_release(id).await) };
    once.answer(find, make).await
}

/// What a release says of itself, checked. It has no closures yet.
pub(super) fn new_release(
    context: &RequestContext,
    id: ReleaseId,
    name: Option<ReleaseName>,
    message: Option<String>,
    source: Source,
) -> Result<NewRelease> {
    text::check_opt("message", message.as_deref(), text::MESSAGE)?;
    text::check_opt("source.flake_ref", source.flake_ref.as_deref(), text::REFERENCE)?;
    text::check_opt("source.rev", source.rev.as_deref(), text::LABEL)?;
    text::check_opt("source.nar_hash", source.nar_hash.as_deref(), text::LABEL)?;
    Ok(NewRelease {
        id,
        source,
        message,
        author: context.caller.id,
        closures: BTreeMap::new(),
        manifest: None,
        name,
    })
}

/// The closures of a request. Everything that is wrong with them is told at once.
pub(super) async fn require_closures(
    app: &App,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<HostName, StorePath>> {
    if given.is_empty() {
        return Err(ApiError::field(
            "closures",
            "it is empty; name at least one host and its closure",
        ));
    }
    match read_closures(given, &app.store_dir) {
        Ok(closures) => Ok(closures),
        Err(wrong) => Err(refusal(app, given, wrong).await?),
    }
}

/// The closures, or all that is wrong with how they are written.
fn read_closures(
    given: &BTreeMap<String, String>,
    store_dir: &StoreDir,
) -> Result<BTreeMap<HostName, StorePath>, Vec<FieldProblem>> {
    let (mut closures, mut wrong) = (BTreeMap::new(), Vec::new());
    for (host, path) in given {
        let mut say = |detail: String| {
            wrong.push(FieldProblem {
                field: field(host),
                detail,
            });
        };
        match (host.parse::<HostName>(), store_dir.parse(path)) {
            (Ok(name), Ok(closure)) => {
                closures.insert(name, closure);
            }
            (name, closure) => {
                name.err().into_iter().for_each(|error| say(error.to_string()));
                closure.err().into_iter().for_each(|error| say(error.to_string()));
            }
        }
    }
    if wrong.is_empty() {
        Ok(closures)
    } else {
        Err(wrong)
    }
}

fn field(host: &str) -> String {
    format!("closures.{}", host.chars().take(80).collect::<String>())
}

/// The refusal of closures that are written wrong, with the hosts that do not exist besides.
///
/// Where nothing is written wrong, the store finds those hosts by itself.
async fn refusal(
    app: &App,
    given: &BTreeMap<String, String>,
    mut wrong: Vec<FieldProblem>,
) -> Result<ApiError> {
    let named: Vec<HostName> = given.keys().filter_map(|host| host.parse().ok()).collect();
    let known = app.store.find_known_hosts(&named).await?;
    let unknown = named.iter().filter(|name| !known.contains(name));
    wrong.extend(unknown.map(|name| FieldProblem {
        field: field(name.as_str()),
        detail: format!(
            "there is no host `{name}`, or it was retired; `slipway host list` shows those that there are"
        ),
    }));
    wrong.sort_by(|a, b| a.field.cmp(&b.field));
    let hosts: BTreeSet<&str> = wrong.iter().map(|problem| problem.field.as_str()).collect();
    let detail = format!("{} of {} closures cannot be used", hosts.len(), given.len());
    Ok(ApiError::Invalid(detail, wrong))
}

/// Show a release
#[utoipa::path(
    get, path = route::RELEASE, operation_id = "get_release", tag = "releases", params(("id" = String, Path, description = "Its number, name, id or the beginning of its id; `latest`, `latest@ENV` or `previous@ENV`")),
    responses((status = 200, description = "The release", body = Release))
)]
async fn get(State(app): State<App>, ReleaseParam(id): ReleaseParam) -> Answer<Release> {
    Ok(Json(app.store.get_release(id).await?))
}

/// Register a signed release
///
/// Everything of it is in the manifest, and its id is the manifest's. The control plane reads the manifest and its
/// signatures, but does not know whose keys count: each agent finds out by itself. The body may have 5 MiB.
#[utoipa::path(
    post, path = route::SIGNED_RELEASES, operation_id = "create_signed_release", tag = "releases", request_body = CreateSignedRelease,
    responses(
        (status = 201, description = "The release", body = Release),
        (status = 409, description = "The id or the number is in use"),
    )
)]
async fn create_signed(
    context: RequestContext,
    JsonBody(request): LongJsonBody<CreateSignedRelease>,
) -> Created<Release> {
    let once = context.once(&request)?;
    let signed = SignedManifest {
        manifest: request.manifest,
        signatures: request.signatures,
    };
    let (manifest, _signatures) = signed
        .read()
        .map_err(|error| ApiError::field("manifest", error.to_string()))?;
    context.require_in(Role::Deployer, &manifest.environment)?;
    let hosts = manifest.hosts.iter().map(|entry| entry.name.clone());
    context.require_hosts(Role::Deployer, hosts.collect()).await?;
    let source = Source {
        flake_ref: manifest.source.flake_ref,
        rev: manifest.source.rev,
        nar_hash: manifest.source.nar_hash,
    };
    let (id, digest, context) = (manifest.id, signed.digest(), &context);
    let given = &signed.signatures.clone();
    let mut new = new_release(context, id, request.name, request.message, source)?;
    let named = manifest.hosts.iter();
    let closures = named
        .map(|entry| (entry.name.to_string(), entry.closure.to_string()))
        .collect();
    new.manifest = Some(NewManifest {
        environment: manifest.environment,
        // Below 2^53, as was read.
        number: manifest.number.cast_signed(),
        expires: manifest.expires,
        digest,
        text: signed.manifest,
        signatures: signed.signatures,
    });
    // The manifest says the id, so a release of this id is the same one only if its manifest and signatures are.
    let find = |_| async move {
        let made = once::found(context.store.get_release(id).await)?;
        let is_same = |made: &Release| {
            made.author == context.caller.name
                && made
                    .manifest
                    .as_ref()
                    .is_some_and(|manifest| manifest.digest == digest)
        };
        let Some(made) = made.filter(is_same) else {
            return Ok(None);
        };
        let kept = context.store.get_manifest(id).await?;
        Ok((kept.signatures == *given).then_some(made))
    };
    let make = async {
        new.closures = require_closures(&context.app, &closures).await?;
        Ok(context.store.create_release(&new, &context.audit_key).await?)
    };
    once.answer(find, make).await
}

/// Show a release's manifest as it was signed
#[utoipa::path(
    get, path = route::RELEASE_MANIFEST, operation_id = "get_release_manifest", tag = "releases",
    params(("id" = String, Path, description = "Its number, name, id or the beginning of its id; `latest`, `latest@ENV` or `previous@ENV`")),
    responses((status = 200, description = "The manifest with its signatures", body = ReleaseManifest))
)]
async fn manifest(State(app): State<App>, ReleaseParam(id): ReleaseParam) -> Answer<ReleaseManifest> {
    Ok(Json(app.store.get_manifest(id).await?))
}
