//! The pages, one file a subject, and their routes.

mod access;
mod actions;
mod attachments;
mod audit;
mod destination;
mod destinations;
mod environment;
mod fleet;
mod host;
mod hosts;
mod oidc;
mod output;
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
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::header::REFRESH;
use http::{HeaderValue, Method, StatusCode, Uri};
use maud::{Markup, html};
use slipway_wire::attachment::{ReleaseComponents, ReleaseVulnerabilities};
use slipway_wire::problem::{self, Problem};

use crate::api::plain;
use crate::ui::Ui;
use crate::{Console, assets, guard, layout, live, session, view};

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
        .route("/environments/{name}/freezes/{id}", post(environment::thaw))
        .route("/environments/{name}/preflight", get(preflight::show))
        .route("/hosts", get(hosts::show).post(host::create))
        .route("/hosts/{name}", get(host::show).post(host::change))
        .route("/releases", get(releases::show))
        .route("/releases/{id}", get(release::show).post(release::change))
        .route("/releases/{id}/start", get(start::show).post(start::begin))
        .route(
            "/releases/{id}/components",
            get(attachments::page_of::<ReleaseComponents>),
        )
        .route(
            "/releases/{id}/vulnerabilities",
            get(attachments::page_of::<ReleaseVulnerabilities>),
        )
        .route("/releases/{id}/documents/{kind}", get(attachments::document))
        .route("/releases/{id}/compare/{other}", get(release::compare))
        .route("/rollouts", get(rollouts::show))
        .route("/rollouts/{id}", get(rollout::show).post(rollout::command))
        .route("/rollouts/{id}/live", get(live::rollout))
        .route("/rollouts/{id}/output", get(output::show))
        .route("/audit", get(audit::show))
        .route("/audit/check", post(audit::check))
        .route("/audit/export", get(audit::export))
        .route(
            "/destinations",
            get(destinations::show).post(destinations::create),
        )
        .route(
            "/destinations/{name}",
            get(destination::show).post(destination::change),
        )
        .route("/destinations/{name}/{id}", post(destination::replay))
        .route("/access", get(access::show))
        .route("/access/people", post(access::create_principal))
        .route("/access/people/{name}", post(access::disable_principal))
        .route("/access/tokens", post(access::create_token))
        .route("/access/tokens/{id}", post(access::revoke_token))
        .route("/sessions", get(sessions::show))
        .route("/sessions/{id}", post(sessions::end))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-in/oidc", get(oidc::come_back).post(oidc::begin))
        .route("/sign-out", post(sign_in::sign_out))
        .method_not_allowed_fallback(lead_up)
        .with_state(Arc::clone(&console));
    pages
        .merge(assets::router())
        .fallback(no_page)
        .layer(from_fn_with_state(console, framed))
        .layer(from_fn(guard::guard))
}

/// Leads from where only a form goes to the page that it is on, which is above it. Somebody loads the address again.
async fn lead_up(method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return problem_page(&plain(
            problem::kind::METHOD_NOT_ALLOWED,
            StatusCode::METHOD_NOT_ALLOWED,
            "this page takes no such request; open it in a browser",
        ));
    }
    let above = uri.path().rsplit_once('/').map_or("", |(above, _)| above);
    Redirect::to(if above.is_empty() { "/" } else { above }).into_response()
}

/// Puts the navigation around what was refused, for whoever is signed in.
async fn framed(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let mut asked = parts.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let Some(Told(refused)) = response.extensions_mut().remove() else {
        return response;
    };
    // Without a session, or while the API is away, the page stays as it is.
    if is_away(status_of(&refused)) || session::token_of(&asked.headers).is_none() {
        return response;
    }
    match Ui::from_request_parts(&mut asked, &console).await {
        Ok(ui) => {
            let (title, content) = told(&refused);
            layout::with_status(ui.page(title, &content), Some(&refused))
        }
        Err(_) => response,
    }
}

/// A path that no page has.
async fn no_page() -> Response {
    problem_page(&plain(
        problem::kind::NOT_FOUND,
        StatusCode::NOT_FOUND,
        "there is no such page; the fleet's page leads to all that there are",
    ))
}

/// What a page says, for whoever puts a frame around it.
#[derive(Debug, Clone)]
struct Told(Arc<Problem>);

fn status_of(refused: &Problem) -> StatusCode {
    StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Whether trying again soon may help.
const fn is_away(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
    )
}

/// The title and the content of a page that says what was refused or failed, and how to go on.
fn told(refused: &Problem) -> (&'static str, Markup) {
    let status = status_of(refused);
    let is_away = is_away(status);
    let title = match status {
        StatusCode::NOT_FOUND => "Not there",
        StatusCode::FORBIDDEN => "Not allowed",
        _ if is_away => "Away for a moment",
        _ => "That did not work",
    };
    let content = html! {
        section.narrow data-away[is_away] {
            h1 { (title) }
            // What the API says of it is for programs.
            @if status == StatusCode::SERVICE_UNAVAILABLE { p.lead { "The control plane's database, or another part of it, does not answer." } }
            @else { p.lead { (view::said(&refused.detail)) } }
            @if is_away { p.faint { "This page tries again by itself." } }
            @if let Some(id) = &refused.request_id { p.faint { "Request " code { (view::words(id)) } } }
            p { a href="/" { "Go to the fleet" } }
        }
    };
    (title, content)
}

/// The page of what was refused or failed, without navigation; [`framed`] adds it.
pub(crate) fn problem_page(refused: &Problem) -> Response {
    let status = status_of(refused);
    let (title, content) = told(refused);
    let mut response = layout::bare(title, status, &content);
    if is_away(status) {
        // Works without the script.
        response
            .headers_mut()
            .insert(REFRESH, HeaderValue::from_static("5"));
    }
    response.extensions_mut().insert(Told(Arc::new(refused.clone())));
    response
}
