//! Health, and the `OpenAPI` document.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use slipway_wire::monitoring::{Health, Status};
use slipway_wire::route;

use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::state::App;

endpoints! {
    health: Open,
    live: Open,
    ready: Open,
    openapi: Open,
}

/// Makes the `OpenAPI` document, which describes all routes and so cannot be known here.
#[derive(Clone, Copy)]
pub(crate) struct Document(pub(crate) fn() -> &'static str);

/// Seconds until another try of a server that is not ready.
const RETRY_SECONDS: u64 = 2;

/// How well everything is
#[utoipa::path(
    get, path = route::HEALTH, operation_id = "health", tag = "monitoring",
    responses(
        (status = 200, description = "It serves, maybe degraded", body = Health),
        (status = 503, description = "It cannot serve", body = Health),
    )
)]
async fn health(State(app): State<App>) -> Response {
    let health = app.health.report(&app.store, &app.wake).await;
    let status = if health.status == Status::Down {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (status, Json(health)).into_response()
}

/// Whether the process answers
#[utoipa::path(
    get, path = route::LIVE, operation_id = "live", tag = "monitoring",
    responses((status = 200, description = "It does", content_type = "application/json"))
)]
async fn live() -> Response {
    fine()
}

/// Whether the process can serve
///
/// Not before the schema was checked, not while the database is away, and not while it drains.
#[utoipa::path(
    get, path = route::READY, operation_id = "ready", tag = "monitoring",
    responses(
        (status = 200, description = "It can", content_type = "application/json"),
        (status = 503, description = "It cannot"),
    )
)]
async fn ready(State(app): State<App>) -> Result<Response> {
    app.phase.require_serving()?;
    match app.health.database_problem(&app.store).await {
        None => Ok(fine()),
        Some(why) => Err(ApiError::Unavailable(RETRY_SECONDS, Some(why.into()))),
    }
}

fn fine() -> Response {
    Json(serde_json::json!({ "status": Status::Ok })).into_response()
}

/// This document
#[utoipa::path(
    get, path = route::OPENAPI, operation_id = "openapi", tag = "monitoring",
    responses((status = 200, description = "The OpenAPI document", content_type = "application/json"))
)]
async fn openapi(Extension(Document(json)): Extension<Document>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], json())
}
