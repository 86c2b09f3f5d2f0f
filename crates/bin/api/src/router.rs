//! The router, built from every route.

use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::guard;
use crate::console;
use crate::error::ApiError;
use crate::observe;
use crate::openapi;
use crate::state::App;

pub use crate::endpoint::Endpoint;
pub use crate::routes::endpoints;
use crate::routes::monitoring::Document;

/// The whole API.
pub fn router(app: &App) -> Router {
    let pages = console::pages(app, routes(app).fallback(no_route).with_state(app.clone()));
    let routes = routes(app).merge(pages.clone().with_state(()));
    let routes = routes.fallback(async move |request: Request| elsewhere(pages, request).await);
    surround(routes, app).with_state(app.clone())
}

/// Every route of the API, each with its guard.
fn routes(app: &App) -> Router<App> {
    let mut router = Router::new();
    for endpoint in endpoints() {
        let guard = from_fn_with_state((app.clone(), endpoint.rule()), guard);
        router = router.route(&endpoint.path, endpoint.handler.route_layer(guard));
    }
    router
}

/// Adds the layers around every route.
fn surround(router: Router<App>, app: &App) -> Router<App> {
    router
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        // One layer of four, the outermost first: the router boxes each layer of its own, for each request that waits.
        .layer((
            Extension(Document(|| &openapi::JSON)),
            from_fn_with_state(app.clone(), observe::observe),
            CatchPanicLayer::custom(observe::panicked),
            from_fn_with_state(app.clone(), observe::limit),
        ))
}

/// The answer for a path that is neither a route nor a page: the API's, or that of the pages.
async fn elsewhere(pages: Router, request: Request) -> Response {
    if request.uri().path().starts_with("/api") {
        return no_route().await.into_response();
    }
    match pages.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn no_route() -> ApiError {
    let error = "there is no such route; /api/v1/openapi.json lists those that there are";
    ApiError::NotFound(error.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::routing;
    use http_body_util::BodyExt;
    use slipway_settings::{ApiSettings, SettingsSource};
    use slipway_store::Store;
    use slipway_wake::Wake;
    use slipway_wire::Problem;

    use super::*;
    use crate::state::Shared;

    async fn ask(path: &str) -> (http::response::Parts, Problem) {
        let source = SettingsSource::from_map([
            ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"),
            ("SECRET_KEY", &"7f".repeat(32)),
            ("ADMIN_PASSWORD", "a password"),
            ("API_REQUEST_TIMEOUT_SECONDS", "1"),
        ]);
        let settings = ApiSettings::from_source(&source).unwrap();
        let store = Store::connect(&settings.database, "test");
        let app = Shared::new(
            &settings,
            store,
            Wake::none(),
            tokio_util::sync::CancellationToken::new(),
        )
        .unwrap();
        let routes = Router::new()
            .route(
                "/panic",
                routing::get(async || -> &'static str { panic!("secret") }),
            )
            .route(
                "/slow",
                routing::get(async || tokio::time::sleep(Duration::from_mins(1)).await),
            )
            .fallback(no_route);
        let request = Request::get(path)
            .header("x-request-id", "r-1")
            .body(Body::empty())
            .unwrap();
        let response = surround(routes, &app)
            .with_state(app.clone())
            .oneshot(request)
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        let (parts, problem) = ask("/panic").await;
        assert_eq!(parts.status, 500);
        assert_eq!(parts.headers["x-request-id"], "r-1");
        assert_eq!(
            (problem.short_kind(), problem.request_id.as_deref()),
            ("internal", Some("r-1"))
        );
        assert!(!problem.detail.contains("secret"), "{}", problem.detail);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_request_is_cut_off() {
        let (parts, problem) = ask("/slow").await;
        assert_eq!(parts.status, 408);
        assert_eq!(problem.short_kind(), "timeout");
        assert!(problem.detail.contains("longer than 1 s"), "{}", problem.detail);
    }
}
