//! Hosts and their agents' tokens.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use slipway_domain::labels::{MAX_LABEL_NAME, MAX_LABEL_VALUE, MAX_LABELS, is_label_name};
use slipway_domain::rights::Subject;
use slipway_domain::{HostName, Role};
use slipway_store::{StoreError, TokenHash};
use slipway_text::LineLimit;
use slipway_wire::access::{Token, TokenCreated, TokenSecret};
use slipway_wire::fleet::{AdoptHost, CreateHost, Host, HostCreated, RestoreHost, UpdateHost};
use slipway_wire::page::{EnvironmentPageQuery, Page};
use slipway_wire::problem::FieldProblem;
use slipway_wire::route;

use super::{Answer, Created, find_environment, page, requested_page, token_created, tokens};
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, NoBody, PathParam, QueryParams};
use crate::state::App;
use crate::text;

endpoints! {
    list: Role(Viewer) of Named,
    create: Role(Admin) of Named as Host,
    get: Role(Viewer) of Host,
    update: Role(Admin) of Host as Host,
    retire: Role(Admin) of Host as Host,
    restore: Role(Admin) of Host as Host,
    adopt: Role(Approver) of Host as Host,
    new_token: Role(Admin) of Host as Host,
}

/// Characters of an agent's words in a list.
const MAX_BRIEF: usize = 200;

/// A host with its new token, which is shown once.
fn host_created(host: Host, made: &Token, token: TokenSecret) -> HostCreated {
    HostCreated {
        host,
        token: token_created(made, token),
    }
}

/// The host that an earlier request made or took back, with the token that it got.
async fn found_with_token(
    context: &RequestContext,
    name: &HostName,
    token: &TokenSecret,
    hash: &TokenHash,
) -> Result<Option<HostCreated>> {
    let Some(token) = tokens::found(context, token, hash).await? else {
        return Ok(None);
    };
    let host = context.store.get_host_by_name(name).await?.value;
    Ok(Some(HostCreated { host, token }))
}

/// A host in a list: what its agent and its step say is cut short, and whole where one host is shown.
pub(super) fn brief(mut host: Host) -> Host {
    let (mut message, mut trouble, mut obstacle) = (None, None, None);
    if let Some(report) = &mut host.report {
        obstacle = report.reboot.as_mut().and_then(|reboot| reboot.obstacle.as_mut());
        message = report.message.as_mut();
        trouble = report.hooks.as_mut().and_then(|hooks| hooks.trouble.as_mut());
    }
    let reason = host.step.as_mut().and_then(|step| step.reason.as_mut());
    for text in [message, trouble, obstacle, reason, host.journal_trouble.as_mut()]
        .into_iter()
        .flatten()
    {
        text::shorten(text, MAX_BRIEF);
    }
    host
}

/// Labels with their values; one without is to be taken away.
fn check_labels<'a>(labels: impl Iterator<Item = (&'a String, Option<&'a String>)>) -> Result<()> {
    let labels: Vec<_> = labels.collect();
    let mut fields = Vec::new();
    if labels.len() > MAX_LABELS {
        let detail = format!("there are {}; use at most {MAX_LABELS}", labels.len());
        fields.push(FieldProblem {
            field: "labels".to_owned(),
            detail,
        });
    }
    for (name, value) in labels {
        if !is_label_name(name) {
            let detail = format!(
                "the name of a label is 1 to {MAX_LABEL_NAME} letters, digits, `-`, `_`, `.` and `/`"
            );
            let field = format!("labels.{}", name.chars().take(80).collect::<String>());
            fields.push(FieldProblem { field, detail });
        } else if let Some(detail) = value.and_then(|value| value_problem(value)) {
            fields.push(FieldProblem {
                field: format!("labels.{name}"),
                detail,
            });
        }
    }
    if fields.is_empty() {
        Ok(())
    } else {
        Err(ApiError::Invalid("the labels cannot be used".to_owned(), fields))
    }
}

fn value_problem(value: &str) -> Option<String> {
    if value.chars().count() > MAX_LABEL_VALUE {
        return Some(format!("a label's value is at most {MAX_LABEL_VALUE} characters"));
    }
    text::hidden(value, LineLimit::One)
}

/// List hosts
///
/// Long words of agents are cut short; `GET /hosts/{name}` has them whole.
#[utoipa::path(
    get, path = route::HOSTS, operation_id = "list_hosts", tag = "fleet", params(EnvironmentPageQuery),
    responses((status = 200, description = "A page of those that are not retired, by name", body = Page<Host>))
)]
async fn list(
    context: RequestContext,
    QueryParams(query): QueryParams<EnvironmentPageQuery>,
) -> Answer<Page<Host>> {
    context.require_list(query.environment.as_ref())?;
    let app = &context.app;
    let environment = find_environment(app, query.environment.as_ref()).await?;
    let (limit, after) = requested_page::<HostName>(query.limit, query.after.as_deref())?;
    let found = app
        .store
        .list_hosts(environment, after.as_ref(), limit + 1)
        .await?;
    let found = found.into_iter().map(brief).collect();
    Ok(Json(page(found, limit, |host| host.name.to_string())))
}

/// Make a host
///
/// Answers with the token for its agent, which can do nothing but sync this host.
#[utoipa::path(
    post, path = route::HOSTS, operation_id = "create_host", tag = "fleet", request_body = CreateHost,
    responses(
        (status = 201, description = "The host, and its token, shown now and never again", body = HostCreated),
        (status = 409, description = "The name is taken, maybe by a retired host"),
    )
)]
async fn create(context: RequestContext, JsonBody(request): JsonBody<CreateHost>) -> Created<HostCreated> {
    let subject = Subject::hosts(request.environment.clone(), [request.name.clone()]);
    context.require(Role::Admin, &subject)?;
    check_labels(request.labels.iter().map(|(name, value)| (name, Some(value))))?;
    let once = context.once(&request)?;
    let (token, hash) = once.token()?;
    let by = context.by().making(once.made());
    let make = async {
        let (host, made) = context.store.create_host(&request, hash, &by).await?;
        Ok(host_created(host.value, &made, token.clone()))
    };
    let find = |_| found_with_token(&context, &request.name, &token, &hash);
    Box::pin(once.answer(find, make)).await
}

/// Show a host
#[utoipa::path(
    get, path = route::HOST, operation_id = "get_host", tag = "fleet", params(("name" = HostName, Path, description = "Its name")),
    responses((status = 200, description = "The host, retired or not", body = Host))
)]
async fn get(State(app): State<App>, PathParam(name): PathParam<HostName>) -> Answer<Host> {
    Ok(Json(app.store.get_host_by_name(&name).await?.value))
}

/// Retire a host
///
/// Its tokens are refused from now on and its name stays taken; restoring brings it back. Refused while a rollout is
/// working on it.
#[utoipa::path(
    delete, path = route::HOST, operation_id = "retire_host", tag = "fleet", params(("name" = HostName, Path, description = "Its name")),
    responses(
        (status = 204, description = "It is retired, or was already"),
        (status = 409, description = "It is part of an open rollout"),
    )
)]
async fn retire(context: RequestContext, PathParam(name): PathParam<HostName>) -> Result<StatusCode> {
    context.store.retire_host(&name, &context.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change a host
///
/// Moves it to another environment, with its token and its history; that is refused while a rollout is working on it.
/// Gives it labels, or takes some away. A rollout under way keeps to the labels that it began with.
#[utoipa::path(
    patch, path = route::HOST, operation_id = "update_host", tag = "fleet", request_body = UpdateHost,
    params(("name" = HostName, Path, description = "Its name")),
    responses(
        (status = 200, description = "The host as it is now", body = Host),
        (status = 409, description = "It is retired, or is to move and is part of an open rollout"),
    )
)]
async fn update(
    context: RequestContext,
    PathParam(name): PathParam<HostName>,
    JsonBody(request): JsonBody<UpdateHost>,
) -> Answer<Host> {
    if let Some(to) = &request.environment {
        context.require(Role::Admin, &Subject::hosts(to.clone(), [name.clone()]))?;
    }
    check_labels(request.labels.iter().map(|(name, value)| (name, value.as_ref())))?;
    let host = if request == UpdateHost::default() {
        context.store.get_host_by_name(&name).await?
    } else {
        context.store.update_host(&name, &request, &context.by()).await?
    };
    Ok(Json(host.value))
}

/// Take a retired host back
///
/// Answers with a new token for its agent; earlier ones stay refused. Earlier observations of it are deleted.
#[utoipa::path(
    post, path = route::HOST_RESTORE, operation_id = "restore_host", tag = "fleet", request_body = RestoreHost,
    params(("name" = HostName, Path, description = "Its name")),
    responses(
        (status = 201, description = "The host, and its token, shown now and never again", body = HostCreated),
        (status = 409, description = "The host is not retired"),
    )
)]
async fn restore(
    context: RequestContext,
    PathParam(name): PathParam<HostName>,
    JsonBody(request): JsonBody<RestoreHost>,
) -> Created<HostCreated> {
    if let Some(to) = &request.environment {
        context.require(Role::Admin, &Subject::hosts(to.clone(), [name.clone()]))?;
    }
    let once = context.once(&request)?;
    let (token, hash) = once.token()?;
    let by = context.by().making(once.made());
    let make = async {
        let environment = request.environment.as_ref();
        let (host, made) = context.store.restore_host(&name, environment, hash, &by).await?;
        Ok(host_created(host.value, &made, token.clone()))
    };
    let find = |_| found_with_token(&context, &name, &token, &hash);
    Box::pin(once.answer(find, make)).await
}

/// Accept what drifts on a host
///
/// What runs, what the profile names and what was changed beside the system is what is expected from now on. The request
/// names the drift that was looked at. A system is accepted only if a release names it for this host.
#[utoipa::path(
    post, path = route::HOST_ADOPT, operation_id = "adopt_host", tag = "fleet", request_body = AdoptHost,
    params(("name" = HostName, Path, description = "Its name")),
    responses(
        (status = 200, description = "The host as it is now", body = Host),
        (status = 409, description = "It does not drift, has changed since, has an attempt under way, or no release names what runs"),
    )
)]
async fn adopt(
    context: RequestContext,
    PathParam(name): PathParam<HostName>,
    JsonBody(request): JsonBody<AdoptHost>,
) -> Answer<Host> {
    text::check("reason", &request.reason, text::MESSAGE)?;
    let host = context.store.adopt_host(&name, &request, &context.by()).await?;
    tracing::info!(%name, "what drifts on a host was accepted");
    Ok(Json(host.value))
}

/// Give a host a new token
///
/// The old ones are refused from now on.
#[utoipa::path(
    post, path = route::HOST_TOKEN, operation_id = "renew_host_token", tag = "fleet", params(("name" = HostName, Path, description = "Its name")),
    responses(
        (status = 201, description = "The token, shown now and never again", body = TokenCreated),
        (status = 409, description = "The host is retired"),
    )
)]
async fn new_token(
    context: RequestContext,
    PathParam(name): PathParam<HostName>,
    NoBody: NoBody,
) -> Created<TokenCreated> {
    let host = context.store.get_host_by_name(&name).await?;
    if host.retired_at.is_some() {
        return Err(StoreError::Retired { host: name }.into());
    }
    let once = context.once(&())?;
    let (token, hash) = once.token()?;
    let by = context.by().making(once.made());
    let make = async {
        let made = context
            .store
            .replace_host_token(host.id, "agent", hash, &by)
            .await?;
        Ok(token_created(&made, token.clone()))
    };
    let find = |_| tokens::found(&context, &token, &hash);
    once.answer(find, make).await
}
