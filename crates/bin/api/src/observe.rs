//! The layers around every request: id, span, log line, metrics, headers of the answer, and the last fields of
//! problem documents.

use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use slipway_domain::TraceParent;
use slipway_store::watch_commits;
use slipway_telemetry::{HttpRequest, LINES_ONLY, propagation};
use slipway_wire::route;
use tokio::time::timeout;
use tower::Service;
use tracing::{Instrument, Span, field};

use crate::client_addr::ClientAddr;
use crate::error::{ApiError, ResponseCause};
use crate::state::App;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The most that a request's header may be, in bytes.
pub(crate) const MAX_HEADER_BYTES: usize = 32 * 1024;
/// The route of a request that no route matches, in metrics and in the log.
const NO_ROUTE: &str = "none";

/// A request's id, for whoever needs it below.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// The client's id when it is fit for a log, or a new one.
    fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get(X_REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(|id| is_sane(id));
        Self(given.map_or_else(|| uuid::Uuid::now_v7().simple().to_string(), ToOwned::to_owned))
    }
}

/// The caller's span, if the request came with one. Only a request that is authenticated has this.
#[derive(Debug, Clone)]
pub(crate) struct CallerSpan(pub(crate) Option<TraceParent>);

/// The request's own span in its trace, once it has one.
#[derive(Debug, Clone, Default)]
struct TracedRequest(Arc<OnceLock<Span>>);

fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// The outermost layer.
pub(crate) fn observe(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> impl Future<Output = Response> + Send {
    let id = RequestId::of(request.headers());
    let route = route_of(&request).to_owned();
    let method = request.method().clone();
    // For lines only: nobody knows yet who asks. Neither the path nor the query: they hold what clients wrote.
    let span = tracing::info_span!(
        target: LINES_ONLY,
        "http.request",
        request_id = %id.0,
        method = %known(&method),
        route,
        principal = field::Empty,
    );
    let traced = TracedRequest::default();
    request.extensions_mut().insert(traced.clone());
    request.extensions_mut().insert(id.clone());
    let client = ClientAddr::of(&request, &app.trusted_proxies);
    request.extensions_mut().insert(client);
    let counted = HttpRequest::begin(&method, route.clone());
    let draining = app.phase.draining();
    let answered = watch_commits(answer(next, request));
    async move {
        let (mut response, committed) = answered.await;
        let cause = response.extensions_mut().remove::<ResponseCause>();
        if let Some(ResponseCause(error)) = &cause {
            complete(&mut response, error, Some(&id), committed);
        }
        decorate(response.headers_mut(), &id);
        if draining.is_cancelled() {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let status = response.status().as_u16();
        if let Some(span) = traced.0.get() {
            propagation::note_answer(span, status);
        }
        let took = counted.finish(status);
        log(
            &route,
            status,
            took,
            cause.as_ref().map(|ResponseCause(error)| &**error),
        );
        response
    }
    .instrument(span)
}

/// Answers a request whose caller is known, as a part of the caller's trace.
///
/// Before that, a stranger could write spans into the trace of a rollout, or push those of rollouts out of the queue.
pub(crate) fn traced(
    mut request: Request,
    principal: String,
    next: Next,
) -> impl Future<Output = Response> + Send {
    let route = route_of(&request);
    if is_routine(route) {
        // Thousands of agents, each twice a minute.
        request.extensions_mut().insert(CallerSpan(None));
        return answer(next, request).instrument(Span::none());
    }
    let method = known(request.method());
    let span = tracing::info_span!(
        "handle request",
        otel.name = %format!("{method} {route}"),
        otel.kind = "server",
    );
    let caller = propagation::continue_trace(&span, request.headers());
    propagation::note_request(&span, method, route);
    propagation::note(&span, "principal", principal);
    if let Some(RequestId(id)) = request.extensions().get() {
        propagation::note(&span, "request_id", id.clone());
    }
    if let Some(TracedRequest(own)) = request.extensions().get() {
        let _ = own.set(span.clone());
    }
    request.extensions_mut().insert(CallerSpan(caller));
    answer(next, request).instrument(span)
}

/// What answers a request. `Next::run` would hold the whole request for as long as its answer takes. So would every function
/// that waits for it, and thousands wait at once.
pub(crate) fn answer(mut next: Next, request: Request) -> impl Future<Output = Response> + Send {
    let answer = next.call(request);
    async {
        let Ok(response) = answer.await;
        response
    }
}

/// The route that a request was matched to, with the names of its parameters.
fn route_of(request: &Request) -> &str {
    request
        .extensions()
        .get::<MatchedPath>()
        .map_or(NO_ROUTE, MatchedPath::as_str)
}

/// Gives a problem document the request's id, and says whether the request can be sent again.
pub(crate) fn complete(response: &mut Response, error: &ApiError, id: Option<&RequestId>, committed: bool) {
    let mut problem = error.problem(id.map(|id| id.0.clone()));
    problem.nothing_done = matches!(error, ApiError::Unavailable(..)) && !committed;
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    response.headers_mut().remove(CONTENT_LENGTH);
    *response.body_mut() = Body::from(body);
}

fn decorate(headers: &mut HeaderMap, id: &RequestId) {
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(X_REQUEST_ID, value);
    }
    // Pages have set their own.
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// One line per request. Successful routine requests of machines are logged at `debug`.
fn log(route: &str, status: u16, took: Duration, error: Option<&ApiError>) {
    let latency_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let routine = is_routine(route);
    match error.and_then(ApiError::cause) {
        Some(error) if status == 503 => tracing::warn!(status, latency_ms, error, "unavailable"),
        Some(error) => tracing::error!(status, latency_ms, error, "failed"),
        None if status >= 500 => tracing::warn!(status, latency_ms, "unavailable"),
        None if routine && status < 400 => tracing::debug!(status, latency_ms, "answered"),
        None => tracing::info!(status, latency_ms, "answered"),
    }
}

/// Requests that machines make all the time.
fn is_routine(route: &str) -> bool {
    [route::AGENT_SYNC, route::HEALTH, route::LIVE, route::READY].contains(&route)
}

/// Notes in the request's span who it is.
pub(crate) fn note_principal(name: impl std::fmt::Display) {
    Span::current().record("principal", field::display(name));
}

/// A client may invent methods.
fn known(method: &Method) -> &str {
    if method.as_str().len() <= 16 {
        method.as_str()
    } else {
        "other"
    }
}

/// Refuses a request whose header is longer than [`MAX_HEADER_BYTES`], and ends one at the server's time limit.
///
/// A longer header that hyper lets pass came in one piece. Long polls end earlier by themselves.
pub(crate) fn limit(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> impl Future<Output = Response> + Send {
    let fits = header_bytes(&request) <= MAX_HEADER_BYTES;
    let limit = app.request_timeout;
    let answer = answer(next, request);
    async move {
        if !fits {
            return ApiError::HeaderTooLarge.into_response();
        }
        match timeout(limit, answer).await {
            Ok(response) => response,
            Err(_) => ApiError::Timeout(limit).into_response(),
        }
    }
}

/// The length of a request's header as it was sent, but for spaces that do not count.
fn header_bytes(request: &Request) -> usize {
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let line = request.method().as_str().len() + target + " HTTP/1.1\r\n ".len();
    let fields = request.headers().iter();
    fields.fold(line, |sum, (name, value)| {
        sum + name.as_str().len() + ": \r\n".len() + value.len()
    })
}

/// The answer of a handler that panicked. The panic hook has logged what and where, under the same request id.
pub(crate) fn panicked(_: Box<dyn Any + Send>) -> Response {
    ApiError::Internal("a handler panicked; see the line before".into()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sane_id_is_taken_over() {
        let id = |value: &'static str| {
            RequestId::of(&HeaderMap::from_iter([(
                X_REQUEST_ID,
                HeaderValue::from_static(value),
            )]))
            .0
        };
        assert_eq!(id("build-7.a_b"), "build-7.a_b");
        for bad in ["", "a b", "a\tb", "{}", "x".repeat(65).leak()] {
            assert_ne!(id(bad), bad);
            assert_eq!(id(bad).len(), 32);
        }
    }
}
