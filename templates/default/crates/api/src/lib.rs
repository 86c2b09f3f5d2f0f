//! The routes.

use std::sync::atomic::Ordering;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::PgPool;

/// All routes. The paths below `monitoring` are those that Slipway's modules and images ask.
pub fn router(pool: PgPool) -> Router {
    Router::new()
        .route("/api/v1/jobs", post(add_job))
        .route("/api/v1/jobs/{id}", get(get_job))
        .route("/api/v1/monitoring/live", get(async || StatusCode::NO_CONTENT))
        .route("/api/v1/monitoring/ready", get(ready))
        .route("/api/v1/monitoring/health", get(health))
        .with_state(pool)
}

async fn add_job(State(pool): State<PgPool>, text: String) -> Result<(StatusCode, Json<Value>), StatusCode> {
    let id = jobs::add(&pool, &text).await.map_err(failed)?;
    metrics::JOBS.fetch_add(1, Ordering::Relaxed);
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": id }))))
}

async fn get_job(State(pool): State<PgPool>, Path(id): Path<i64>) -> Result<Json<Value>, StatusCode> {
    let result = jobs::result(&pool, id).await.map_err(failed)?;
    Ok(Json(json!({ "id": id, "result": result })))
}

/// The caller learns nothing about what is inside; the log does.
fn failed(error: sqlx::Error) -> StatusCode {
    eprintln!("api: {error}");
    StatusCode::SERVICE_UNAVAILABLE
}

async fn reachable(pool: &PgPool) -> bool {
    sqlx::query("SELECT 1").execute(pool).await.is_ok()
}

async fn ready(State(pool): State<PgPool>) -> StatusCode {
    match reachable(&pool).await {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn health(State(pool): State<PgPool>) -> (StatusCode, Json<Value>) {
    let database = reachable(&pool).await;
    let (status, word) = match database {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "failing"),
    };
    let version = env!("CARGO_PKG_VERSION");
    (
        status,
        Json(json!({ "status": word, "version": version, "database": database })),
    )
}
