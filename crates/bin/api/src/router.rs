//! The table of routes, and the router that is built from it.
//!
//! A route is here or nowhere, and it is here with who may use it.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use slipway_domain::Role::{Admin, Deployer, Viewer};
use slipway_wire::route;
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::{Access, guard};
use crate::error::ApiError;
use crate::observe;
use crate::routes::{
    agent, drafts, environments, events, hosts, login, monitoring, principals, releases, rollouts, tokens,
};
use crate::state::App;

/// One route.
pub struct Endpoint {
    /// Its method.
    pub method: Method,
    /// Its path, with `{name}` for a parameter.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    handler: MethodRouter<App>,
}

fn at<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> Endpoint
where
    H: Handler<T, App>,
    T: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).expect("the table has only standard methods");
    Endpoint {
        method,
        path,
        access,
        handler: on(filter, handler),
    }
}

fn get<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Endpoint {
    at(Method::GET, path, access, handler)
}

fn post<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Endpoint {
    at(Method::POST, path, access, handler)
}

fn patch<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Endpoint {
    at(Method::PATCH, path, access, handler)
}

fn delete<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Endpoint {
    at(Method::DELETE, path, access, handler)
}

/// Every route there is.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    use Access::{Host, Open, Role, Token};
    vec![
        post(route::LOGIN, Open, login::login),
        get(route::WHOAMI, Token, login::whoami),
        get(route::PRINCIPALS, Role(Viewer), principals::list),
        post(route::PRINCIPALS, Role(Admin), principals::create),
        delete(route::PRINCIPAL, Role(Admin), principals::disable),
        get(route::TOKENS, Role(Viewer), tokens::list),
        post(route::TOKENS, Role(Viewer), tokens::create),
        delete(route::TOKEN, Role(Viewer), tokens::revoke),
        get(route::ENVIRONMENTS, Role(Viewer), environments::list),
        post(route::ENVIRONMENTS, Role(Admin), environments::create),
        get(route::ENVIRONMENT, Role(Viewer), environments::get),
        patch(route::ENVIRONMENT, Role(Admin), environments::update),
        delete(route::ENVIRONMENT, Role(Admin), environments::delete),
        get(route::HOSTS, Role(Viewer), hosts::list),
        post(route::HOSTS, Role(Admin), hosts::create),
        get(route::HOST, Role(Viewer), hosts::get),
        patch(route::HOST, Role(Admin), hosts::update),
        delete(route::HOST, Role(Admin), hosts::retire),
        post(route::HOST_RESTORE, Role(Admin), hosts::restore),
        post(route::HOST_TOKEN, Role(Admin), hosts::new_token),
        get(route::RELEASES, Role(Viewer), releases::list),
        post(route::RELEASES, Role(Deployer), releases::create),
        post(route::DRAFTS, Role(Deployer), drafts::create),
        post(route::DRAFT_CLOSURES, Role(Deployer), drafts::add),
        post(route::DRAFT_SEAL, Role(Deployer), drafts::seal),
        get(route::RELEASE, Role(Viewer), releases::get),
        get(route::ROLLOUTS, Role(Viewer), rollouts::list),
        post(route::ROLLOUTS, Role(Deployer), rollouts::create),
        get(route::ROLLOUT, Role(Viewer), rollouts::get),
        get(route::ROLLOUT_EVENTS, Role(Viewer), events::of_rollout),
        // Approving takes more, which the handler sees to.
        post(route::ROLLOUT_COMMANDS, Role(Deployer), rollouts::command),
        get(route::EVENTS, Role(Viewer), events::all),
        get(route::AUDIT_VERIFY, Role(Viewer), events::verify),
        post(route::AGENT_SYNC, Host, agent::sync),
        get(route::HEALTH, Open, monitoring::health),
        get(route::LIVE, Open, monitoring::live),
        get(route::READY, Open, monitoring::ready),
        get(route::OPENAPI, Open, monitoring::openapi),
    ]
}

/// The whole API.
pub fn router(app: &App) -> Router {
    let mut router = Router::new();
    for endpoint in endpoints() {
        let guard = from_fn_with_state((app.clone(), endpoint.access), guard);
        router = router.route(endpoint.path, endpoint.handler.route_layer(guard));
    }
    surround(router, app).with_state(app.clone())
}

/// What surrounds every route, and what answers where there is none.
fn surround(router: Router<App>, app: &App) -> Router<App> {
    router
        .fallback(no_route)
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(from_fn_with_state(app.clone(), observe::limit_time))
        .layer(from_fn(observe::limit_header))
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(from_fn_with_state(app.clone(), observe::observe))
}

async fn no_route() -> ApiError {
    ApiError::NotFound("there is no such route; /api/v1/openapi.json lists those that there are".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::routing;
    use http::Request;
    use http_body_util::BodyExt;
    use slipway_settings::{ApiSettings, Source};
    use slipway_store::Store;
    use slipway_wake::Wake;
    use slipway_wire::Problem;
    use tower::ServiceExt;

    use super::*;
    use crate::state::Shared;

    async fn ask(path: &str) -> (http::response::Parts, Problem) {
        let source = Source::from_map([
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
            );
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
