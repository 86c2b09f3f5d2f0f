//! Destinations of messages.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use slipway_domain::{DestinationId, DestinationName};
use slipway_store::Stored;
use slipway_wire::message::{CreateDestination, Destination, DestinationCreated, UpdateDestination};
use slipway_wire::page::Page;
use slipway_wire::route;

use super::destination_checks::{check_environments, check_recipients, read};
use super::{Answer, Created, whole};
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::Result;
use crate::extract::{JsonBody, PathParam};
use crate::once;
use crate::state::App;

endpoints! {
    list: Role(Admin),
    create: Role(Admin) as Destination,
    get: Role(Admin),
    update: Role(Admin) as Destination,
    delete: Role(Admin) as Destination,
}

/// List destinations of messages
#[utoipa::path(
    get, path = route::DESTINATIONS, operation_id = "list_destinations", tag = "messages",
    responses((status = 200, description = "All of them by name", body = Page<Destination>))
)]
async fn list(State(app): State<App>) -> Answer<Page<Destination>> {
    Ok(whole(app.store.list_destinations().await?))
}

/// Make a destination of messages
///
/// A webhook's secret is in this answer and in no other one. An address and a token are stored encrypted and never shown.
#[utoipa::path(
    post, path = route::DESTINATIONS, operation_id = "create_destination", tag = "messages", request_body = CreateDestination,
    responses(
        (status = 201, description = "The destination, and what a webhook verifies signatures with", body = DestinationCreated),
        (status = 409, description = "The name is taken, or there are too many"),
    )
)]
async fn create(
    context: RequestContext,
    JsonBody(request): JsonBody<CreateDestination>,
) -> Created<DestinationCreated> {
    let once = context.once(&request)?;
    let by = context.by().making(once.made());
    let secret = once.signing_secret()?;
    let (new, secret) = read(&context, &request, secret)?;
    check_environments(&context, &request.environments).await?;
    let (context, request, secret, new, by) = (&context, &request, &secret, &new, &by);
    let answer = |made: Stored<DestinationId, Destination>| DestinationCreated {
        destination: made.value,
        secret: secret.clone(),
    };
    let find = |id| async move {
        let found = once::found(context.store.get_destination(&request.name).await)?;
        Ok(found.filter(|found| found.id.as_uuid() == id).map(answer))
    };
    let make = async { Ok(answer(context.store.create_destination(new, by).await?)) };
    once.answer(find, make).await
}

/// Show a destination of messages
#[utoipa::path(
    get, path = route::DESTINATION, operation_id = "get_destination", tag = "messages",
    params(("name" = DestinationName, Path, description = "Its name")),
    responses((status = 200, description = "The destination", body = Destination))
)]
async fn get(State(app): State<App>, PathParam(name): PathParam<DestinationName>) -> Answer<Destination> {
    Ok(Json(app.store.get_destination(&name).await?.value))
}

/// Change a destination of messages
///
/// Disabling it ends the deliveries that wait; they can be replayed once it is enabled. Another address takes another
/// destination.
#[utoipa::path(
    patch, path = route::DESTINATION, operation_id = "update_destination", tag = "messages", request_body = UpdateDestination,
    params(("name" = DestinationName, Path, description = "Its name")),
    responses((status = 200, description = "The destination as it is now", body = Destination))
)]
async fn update(
    context: RequestContext,
    PathParam(name): PathParam<DestinationName>,
    JsonBody(request): JsonBody<UpdateDestination>,
) -> Answer<Destination> {
    let known = context.store.get_destination(&name).await?;
    if let Some(recipients) = &request.recipients {
        check_recipients(&context, known.kind, recipients)?;
    }
    check_environments(&context, request.environments.as_deref().unwrap_or_default()).await?;
    Ok(Json(
        context
            .store
            .update_destination(&name, &request, &context.by())
            .await?,
    ))
}

/// Delete a destination of messages
///
/// Its deliveries go with it, also those that wait.
#[utoipa::path(
    delete, path = route::DESTINATION, operation_id = "delete_destination", tag = "messages",
    params(("name" = DestinationName, Path, description = "Its name")),
    responses((status = 204, description = "It is deleted"))
)]
async fn delete(context: RequestContext, PathParam(name): PathParam<DestinationName>) -> Result<StatusCode> {
    context.store.delete_destination(&name, &context.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}
