//! One connection: HTTP/1.1 with a bound on idling, on slow headers and on slow readers.
//!
//! hyper has one clock for both an idle connection and a slow header. Here each has its own, so that a long keep-alive
//! does not let a client dribble a header for as long.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::linger::Lingering;
use crate::listen::Peer;

/// The longest that a client may take to send a request's header.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that is to be closed may take to finish writing.
const LINGER: Duration = Duration::from_secs(10);
/// How long a new connection may take to begin its first request when the server stops.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// The most that a request's header may be, in bytes; hyper answers 431 beyond it.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// The most fields in a request's header.
const MAX_HEADER_FIELDS: usize = 100;

/// Serves a connection until it is over, idle for longer than `keepalive`, or done after `draining` was cancelled.
pub(crate) async fn serve<S>(
    stream: S,
    peer: Peer,
    router: Router,
    keepalive: Duration,
    draining: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new(keepalive));
    let service = {
        let (activity, draining) = (Arc::clone(&activity), draining.clone());
        service_fn(move |mut request: Request<Incoming>| {
            let (router, draining, busy) = (router.clone(), draining.clone(), activity.begin());
            request.extensions_mut().insert(peer);
            let expects = request.headers().contains_key(header::EXPECT);
            async move {
                let (head, body) = request.into_parts();
                let body = Lingering::new(body);
                let request = Request::from_parts(head, Body::new(body.clone()));
                let Ok(mut response) = router.oneshot(request).await;
                body.discard(expects).await;
                drop(busy);
                // A proxy that keeps connections must not send another request on this one.
                if draining.is_cancelled() {
                    response
                        .headers_mut()
                        .insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        })
    };
    let io = TokioIo::new(Watched {
        stream,
        activity: Arc::clone(&activity),
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADER_FIELDS)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let expired = async {
        while let Some(wait) = activity.time_left() {
            tokio::time::sleep(wait).await;
        }
    };
    let result = tokio::select! {
        result = connection.as_mut() => Some(result),
        () = expired => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(LINGER, connection).await.ok()
        }
        () = draining.cancelled() => tokio::select! {
            biased;
            result = connection.as_mut() => Some(result),
            // Not before: told while nothing was read yet, hyper closes the connection, and with it a request that is in
            // the socket already.
            () = activity.used() => {
                connection.as_mut().graceful_shutdown();
                // Bounded by the lifecycle, which knows the grace.
                Some(connection.await)
            }
            () = tokio::time::sleep(FIRST_REQUEST) => None,
        },
    };
    if let Some(Err(error)) = result {
        tracing::debug!(
            error = slipway_telemetry::error_chain(&error),
            "a connection broke"
        );
    }
}

/// What a connection is doing.
#[derive(Debug)]
struct Activity {
    keepalive: Duration,
    state: Mutex<Doing>,
    first_bytes: Notify,
}

#[derive(Debug, Clone, Copy)]
enum Doing {
    /// Nothing was ever received.
    Nothing { since: Instant },
    /// Between two requests.
    Idle { since: Instant },
    /// A header began to arrive.
    Header { since: Instant },
    /// A request is being answered.
    Request,
}

impl Activity {
    fn new(keepalive: Duration) -> Self {
        Self {
            keepalive,
            state: Mutex::new(Doing::Nothing {
                since: Instant::now(),
            }),
            first_bytes: Notify::new(),
        }
    }

    fn set(&self, next: impl FnOnce(Doing) -> Doing) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = next(*state);
    }

    fn get(&self) -> Doing {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(&self) {
        self.set(|doing| match doing {
            Doing::Nothing { .. } | Doing::Idle { .. } => Doing::Header {
                since: Instant::now(),
            },
            other => other,
        });
        self.first_bytes.notify_one();
    }

    fn begin(self: &Arc<Self>) -> Busy {
        self.set(|_| Doing::Request);
        Busy(Arc::clone(self))
    }

    /// Waits until something was received.
    async fn used(&self) {
        while matches!(self.get(), Doing::Nothing { .. }) {
            self.first_bytes.notified().await;
        }
    }

    /// How long to wait before looking again; `None` when the time is over.
    fn time_left(&self) -> Option<Duration> {
        let (since, bound) = match self.get() {
            Doing::Nothing { since } | Doing::Idle { since } => (since, self.keepalive),
            Doing::Header { since } => (since, HEADER_TIMEOUT),
            Doing::Request => (Instant::now(), HEADER_TIMEOUT),
        };
        let left = bound
            .checked_sub(since.elapsed())
            .filter(|left| !left.is_zero())?;
        // An idle connection may begin a header, which has less time.
        Some(left.min(HEADER_TIMEOUT))
    }
}

/// A request under way; also over when its client goes away.
struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(|_| Doing::Idle {
            since: Instant::now(),
        });
    }
}

/// A stream that tells when something arrives.
struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.received();
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    fn connect(draining: &CancellationToken) -> DuplexStream {
        let (client, server) = tokio::io::duplex(1024);
        let router = Router::new().route("/", get(async || "hello"));
        let keepalive = Duration::from_secs(5);
        tokio::spawn(serve(server, Peer::Local, router, keepalive, draining.clone()));
        client
    }

    async fn ask(client: &mut DuplexStream) -> String {
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_connection_made_just_before_the_stop_is_answered() {
        let draining = CancellationToken::new();
        draining.cancel();
        // Nothing of it was read when the server learned that it stops.
        let answer = ask(&mut connect(&draining)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        assert!(answer.contains("connection: close"), "{answer:?}");
    }

    #[tokio::test]
    async fn a_refusal_reaches_a_client_that_is_still_sending() {
        let mut client = connect(&CancellationToken::new());
        let body = vec![b' '; 1 << 20];
        let header = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n", body.len());
        // Twice on one connection: nothing of the first body is taken for a request.
        for _ in 0..2 {
            client.write_all(header.as_bytes()).await.unwrap();
            client.write_all(b"\r\n").await.unwrap();
            client.write_all(&body).await.unwrap();
            assert!(read_head(&mut client).await.starts_with("HTTP/1.1 405"));
        }
        client.write_all(header.as_bytes()).await.unwrap();
        client.write_all(b"Expect: 100-continue\r\n\r\n").await.unwrap();
        assert!(read_head(&mut client).await.starts_with("HTTP/1.1 405"));
    }

    async fn read_head(client: &mut DuplexStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    #[tokio::test]
    async fn a_connection_that_waits_for_its_first_request_is_answered() {
        let draining = CancellationToken::new();
        let mut client = connect(&draining);
        tokio::task::yield_now().await;
        draining.cancel();
        tokio::time::sleep(FIRST_REQUEST / 10).await;
        let answer = ask(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_closed_when_the_server_stops() {
        let draining = CancellationToken::new();
        let mut client = connect(&draining);
        draining.cancel();
        let before = Instant::now();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert!(before.elapsed() <= FIRST_REQUEST * 2);
    }
}
