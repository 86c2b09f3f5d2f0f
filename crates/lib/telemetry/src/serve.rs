//! The listener for `/metrics`: separate from the service's own, so that it is never public and never starved.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{MetricsHandle, TelemetryError};

/// Prometheus opens one connection; more than these are people and mistakes.
const MOST_CONNECTIONS: usize = 32;
/// The longest a client may take over the head of a request, or between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// The wait after a failed accept, usually for a free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long answers may go on after the stop.
const DRAIN: Duration = Duration::from_secs(1);

/// Binds the metrics listener; the error names the settings to change.
pub async fn bind_metrics(addr: SocketAddr) -> Result<TcpListener, TelemetryError> {
    TcpListener::bind(addr)
        .await
        .map_err(|source| TelemetryError::MetricsListener { addr, source })
}

/// Answers `GET /metrics` until `stop`; every other path is 404.
pub async fn serve_metrics(listener: TcpListener, handle: MetricsHandle, stop: CancellationToken) {
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Beyond the limit the connection is closed at once, which is an answer too.
                    if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
                        let (handle, stop) = (handle.clone(), stop.clone());
                        connections.spawn(async move {
                            serve_connection(stream, handle, stop).await;
                            drop(permit);
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept a metrics connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    connections.close();
    let _ = timeout(DRAIN, connections.wait()).await;
}

async fn serve_connection(stream: TcpStream, handle: MetricsHandle, stop: CancellationToken) {
    let service = service_fn(|request| {
        let answer = answer(&request, &handle);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "a metrics connection broke"
        );
    }
}

fn answer(request: &Request<Incoming>, handle: &MetricsHandle) -> Response<Full<Bytes>> {
    let (status, body) = match (request.uri().path(), request.method()) {
        ("/metrics", &Method::GET | &Method::HEAD) => (StatusCode::OK, handle.render()),
        ("/metrics", _) => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "only /metrics is served here\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response
            .headers_mut()
            .insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    }
    response
}
