//! Deliveries: what was sent to destinations of messages, and what was not.

use axum::Json;
use axum::extract::State;
use slipway_domain::{DeliveryId, DestinationName};
use slipway_wire::message::{Delivery, DeliveryQuery, Replayed};
use slipway_wire::page::Page;
use slipway_wire::route;

use super::{Answer, Created, page, requested_page};
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::extract::{NoBody, PathParam, QueryParams};
use crate::once;
use crate::state::App;

endpoints! {
    list: Role(Admin),
    get: Role(Admin),
    test: Role(Admin) as Destination,
    replay_all: Role(Admin) as Destination,
    replay: Role(Admin) as Destination,
}

/// List deliveries to a destination
///
/// What was delivered is kept for a week, and what is dead for 30 days.
#[utoipa::path(
    get, path = route::DELIVERIES, operation_id = "list_deliveries", tag = "messages",
    params(("name" = DestinationName, Path, description = "The destination's name"), DeliveryQuery),
    responses((status = 200, description = "A page of them, the newest first", body = Page<Delivery>))
)]
async fn list(
    State(app): State<App>,
    PathParam(name): PathParam<DestinationName>,
    QueryParams(query): QueryParams<DeliveryQuery>,
) -> Answer<Page<Delivery>> {
    let (limit, after) = requested_page::<DeliveryId>(query.limit, query.after.as_deref())?;
    let destination = app.store.get_destination(&name).await?.id;
    let found = app
        .store
        .list_deliveries(destination, query.state, after, limit + 1)
        .await?;
    Ok(Json(page(found, limit, |delivery| delivery.id.to_string())))
}

/// Show a delivery
#[utoipa::path(
    get, path = route::DELIVERY, operation_id = "get_delivery", tag = "messages",
    params(("id" = DeliveryId, Path, description = "Its id")),
    responses((status = 200, description = "The delivery", body = Delivery))
)]
async fn get(State(app): State<App>, PathParam(id): PathParam<DeliveryId>) -> Answer<Delivery> {
    Ok(Json(app.store.get_delivery(id).await?))
}

/// Send a test to a destination
///
/// The answer comes before the test is sent; the delivery says what became of it.
#[utoipa::path(
    post, path = route::DESTINATION_TEST, operation_id = "test_destination", tag = "messages",
    params(("name" = DestinationName, Path, description = "Its name")),
    responses(
        (status = 201, description = "The delivery", body = Delivery),
        (status = 409, description = "The destination is disabled"),
    )
)]
async fn test(
    context: RequestContext,
    PathParam(name): PathParam<DestinationName>,
    NoBody: NoBody,
) -> Created<Delivery> {
    let once = context.once(&())?;
    let by = context.by().making(once.made());
    let (context, name, by) = (&context, &name, &by);
    let find = |id| async move { once::found(context.store.get_delivery(DeliveryId::from_uuid(id)).await) };
    let make = async { Ok(context.store.queue_test(name, by).await?) };
    once.answer(find, make).await
}

/// Send what is dead of a destination again
///
/// In the order in which it was queued, each with the id that it had.
#[utoipa::path(
    post, path = route::DESTINATION_REPLAY, operation_id = "replay_destination", tag = "messages",
    params(("name" = DestinationName, Path, description = "Its name")),
    responses(
        (status = 200, description = "How many deliveries", body = Replayed),
        (status = 409, description = "The destination is disabled"),
    )
)]
async fn replay_all(
    State(app): State<App>,
    PathParam(name): PathParam<DestinationName>,
    NoBody: NoBody,
) -> Answer<Replayed> {
    let replayed = app.store.replay_destination(&name).await?;
    Ok(Json(Replayed { replayed }))
}

/// Send a dead delivery again
///
/// With the id that it had.
#[utoipa::path(
    post, path = route::DELIVERY_REPLAY, operation_id = "replay_delivery", tag = "messages",
    params(("id" = DeliveryId, Path, description = "Its id")),
    responses(
        (status = 200, description = "The delivery as it is now", body = Delivery),
        (status = 409, description = "It is not dead, or its destination is disabled"),
    )
)]
async fn replay(
    State(app): State<App>,
    PathParam(id): PathParam<DeliveryId>,
    NoBody: NoBody,
) -> Answer<Delivery> {
    Ok(Json(app.store.replay_delivery(id).await?))
}
