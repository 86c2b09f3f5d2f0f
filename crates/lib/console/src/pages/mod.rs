//! The pages, one file a subject, and their routes.

mod access;
mod actions;
mod audit;
mod environment;
mod fleet;
mod host;
mod hosts;
mod plan;
mod preflight;
mod release;
mod releases;
mod rollout;
mod rollouts;
mod sessions;
mod sign_in;
mod standing;
mod start;
mod waves;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::REFRESH;
use http::{HeaderValue, StatusCode};
use maud::html;
use slipway_wire::problem::{self, Problem};

use crate::api::plain;
use crate::{Console, assets, guard, layout, live, view};

/// All routes of the console.
pub(crate) fn router(console: Arc<Console>) -> Router {
    let pages = Router::new()
        .route("/", get(fleet::show))
        .route("/live", get(live::all))
        .route("/environments", post(environment::create))
        .route(
            "/environments/{name}",
            get(environment::show).post(environment::update),
        )
        .route("/environments/{name}/freezes", post(environment::freeze))
        .route("/environments/{name}/thaw", post(environment::thaw))
        .route("/environments/{name}/preflight", get(preflight::show))
        .route("/hosts", get(hosts::show).post(host::create))
        .route("/hosts/{name}", get(host::show).post(host::change))
        .route("/releases", get(releases::show))
        .route("/releases/{id}", get(release::show).post(release::change))
        .route("/releases/{id}/start", get(start::show))
        .route("/releases/{id}/compare/{other}", get(release::compare))
        .route("/rollouts", get(rollouts::show).post(start::begin))
        .route("/rollouts/{id}", get(rollout::show).post(rollout::command))
        .route("/rollouts/{id}/live", get(live::rollout))
        .route("/audit", get(audit::show))
        .route("/audit/check", post(audit::check))
        .route("/audit/export", get(audit::export))
        .route("/access", get(access::show))
        .route("/access/people", post(access::create_principal))
        .route("/access/people/{name}", post(access::disable_principal))
        .route("/access/tokens", post(access::create_token))
        .route("/access/tokens/{id}", post(access::revoke_token))
        .route("/sessions", get(sessions::show))
        .route("/sessions/{id}", post(sessions::end))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .with_state(console);
    pages.merge(assets::router()).layer(from_fn(guard::guard))
}

/// The answer for a path that no page has.
#[must_use]
pub fn no_page() -> Response {
    guard::decorated(problem_page(&plain(
        problem::kind::NOT_FOUND,
        StatusCode::NOT_FOUND,
        "there is no such page; the fleet's page leads to all that there are",
    )))
}

/// A page that says what was refused or failed, and how to go on.
pub(crate) fn problem_page(refused: &Problem) -> Response {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let is_away = matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
    );
    let title = match status {
        StatusCode::NOT_FOUND => "Not there",
        StatusCode::FORBIDDEN => "Not allowed",
        _ if is_away => "Away for a moment",
        _ => "That did not work",
    };
    let content = html! {
        section.narrow data-away[is_away] {
            h1 { (title) }
            p.lead { (view::words(&refused.detail)) }
            @if is_away { p.faint { "This page tries again by itself." } }
            @if let Some(id) = &refused.request_id { p.faint { "Request " code { (view::words(id)) } } }
            p { a href="/" { "Go to the fleet" } }
        }
    };
    let mut response = layout::bare(title, status, &content);
    if is_away {
        // Works without the script.
        response
            .headers_mut()
            .insert(REFRESH, HeaderValue::from_static("5"));
    }
    response.into_response()
}
