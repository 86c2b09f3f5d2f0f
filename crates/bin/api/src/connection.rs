//! One connection: HTTP/1.1 with a bound on idling, on slow headers and on slow readers.
//!
//! hyper has one clock for both an idle connection and a slow header, and none for a client that does not read its answer.
//! Here each has a separate clock. A long keep-alive does not allow a slow header of the same length. A short one does not
//! cut off an answer that is still being sent.

mod activity;
mod held;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::request::Parts;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use self::activity::{Activity, Watched};
use self::held::Held;
use crate::linger::Lingering;
use crate::listen::Peer;
use crate::observe::MAX_HEADER_BYTES;

/// How long a new connection may take to begin its first request when the server stops.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// What hyper may read ahead, in bytes: it answers 431 by itself to a longer header, though not to every one.
/// [`limit`](crate::observe::limit) refuses the others.
const MAX_READ_BYTES: usize = MAX_HEADER_BYTES;
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
        service_fn(move |request: Request<Incoming>| {
            let (draining, busy) = (draining.clone(), activity.begin());
            let expects = request.headers().contains_key(header::EXPECT);
            let (mut head, body) = request.into_parts();
            head.extensions.insert(peer);
            detach(&mut head);
            let body = Lingering::new(body);
            // Here, and not below: a block that is given the whole request holds a place for it until it has answered.
            let request = Request::from_parts(head, Body::new(body.clone()));
            let answer = Box::pin(router.clone().oneshot(request));
            async move {
                if !expects {
                    body.detach().await;
                }
                let Ok(mut response) = answer.await;
                body.discard(expects).await;
                // A proxy that keeps connections must not send another request on this one.
                if draining.is_cancelled() {
                    response
                        .headers_mut()
                        .insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response.map(|body| Held { body, _busy: busy }))
            }
        })
    };
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_READ_BYTES)
        .max_headers(MAX_HEADER_FIELDS)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let overdue = async || {
        while let Some(wait) = activity.time_left() {
            tokio::time::sleep(wait).await;
        }
    };
    let result = tokio::select! {
        result = connection.as_mut() => Some(result),
        () = overdue() => {
            // A client with a slow header or without reading is cut off. An idle client may begin a request at this
            // very moment, which is answered.
            if activity.restart_idle() {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    result = connection => Some(result),
                    () = overdue() => None,
                }
            } else {
                None
            }
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

/// Copies what hyper read of a header. It lies in hyper's buffer of 8 KiB, which each waiting request would hold beside the one
/// that hyper reads on with.
fn detach(head: &mut Parts) {
    for value in head.headers.values_mut() {
        if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
            *value = copy;
        }
    }
    if let Ok(copy) = Uri::try_from(head.uri.to_string()) {
        head.uri = copy;
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::routing::get;
    use futures_util::StreamExt as _;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use tokio::time::Instant;

    use super::activity::{HEADER_TIMEOUT, LOOK_AGAIN, SEND_TIMEOUT};
    use super::*;

    /// The length of the large answer.
    const LARGE: usize = 1 << 22;

    fn connect(draining: &CancellationToken) -> DuplexStream {
        connect_with(draining, Duration::from_secs(5))
    }

    fn connect_with(draining: &CancellationToken, keepalive: Duration) -> DuplexStream {
        let (client, server) = tokio::io::duplex(1024);
        let wait = async || tokio::time::sleep(Duration::from_secs(30)).await;
        // Two pieces with a long silence between them.
        let stream = async || {
            let pieces = futures_util::stream::iter(["begin", "end"]).then(async |piece| {
                tokio::time::sleep(Duration::from_mins(1)).await;
                Ok::<_, Infallible>(piece)
            });
            Body::from_stream(pieces)
        };
        let router = Router::new()
            .route("/", get(async || "hello"))
            .route("/large", get(async || "x".repeat(LARGE)))
            .route("/stream", get(stream))
            .route("/wait", get(wait));
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

    #[test]
    fn no_part_of_a_header_stays_in_the_buffer_that_it_was_read_into() {
        let buffer = Bytes::from("/path?query a value".to_owned());
        let (mut head, ()) = Request::new(()).into_parts();
        head.uri = Uri::from_maybe_shared(buffer.slice(..11)).unwrap();
        let value = HeaderValue::from_maybe_shared(buffer.slice(12..)).unwrap();
        head.headers.insert(header::COOKIE, value);
        assert!(!buffer.is_unique());
        detach(&mut head);
        assert!(buffer.is_unique());
        assert_eq!(head.uri, "/path?query");
        assert_eq!(head.headers[header::COOKIE], "a value");
    }

    #[tokio::test]
    async fn a_connection_made_just_before_the_stop_is_answered() {
        let draining = CancellationToken::new();
        draining.cancel();
        // The server had read nothing of it when it was told to stop.
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

    /// How long it takes until the server closes the connection.
    async fn closed_after(client: &mut DuplexStream) -> Duration {
        let before = Instant::now();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        before.elapsed()
    }

    /// Reads the large answer, 1 KiB after each pause; gives the length of its body, and how long it took.
    async fn read_slowly(pause: Duration) -> (usize, Duration) {
        let mut client = connect(&CancellationToken::new());
        let before = Instant::now();
        client
            .write_all(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let (mut answer, mut chunk) = (Vec::new(), [0; 1024]);
        loop {
            let read = client.read(&mut chunk).await.unwrap();
            if read == 0 {
                break;
            }
            answer.extend_from_slice(&chunk[..read]);
            tokio::time::sleep(pause).await;
        }
        let head = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
        (answer.len() - head - 4, before.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_answer_reaches_a_reader_that_is_slow() {
        // 20 KiB a second.
        let (length, took) = read_slowly(Duration::from_millis(50)).await;
        assert_eq!(length, LARGE);
        assert!(took > 3 * SEND_TIMEOUT, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_too_little_is_cut_off() {
        // 10 KiB a second: after 160 s it has what a client at 16 KiB a second has after 100 s.
        let (length, took) = read_slowly(Duration::from_millis(100)).await;
        assert!(length < LARGE / 2, "{length}");
        assert!((2 * SEND_TIMEOUT..3 * SEND_TIMEOUT).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_silent_for_a_minute_goes_on() {
        let mut client = connect(&CancellationToken::new());
        client
            .write_all(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let before = Instant::now();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("begin") && answer.contains("end"), "{answer:?}");
        // And the connection idles no longer than any other, once it is over.
        let most = Duration::from_mins(2) + Duration::from_secs(5) + 3 * LOOK_AGAIN;
        assert!(
            before.elapsed() <= most + Duration::from_secs(5),
            "{:?}",
            before.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_cut_off() {
        let draining = CancellationToken::new();
        let (mut client, server) = tokio::io::duplex(1024);
        let router = Router::new().route("/large", get(async || "x".repeat(LARGE)));
        let serving = serve(server, Peer::Local, router, Duration::from_secs(5), draining);
        let before = Instant::now();
        client
            .write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        serving.await;
        let took = before.elapsed();
        assert!(
            (SEND_TIMEOUT..SEND_TIMEOUT + 2 * LOOK_AGAIN).contains(&took),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_dribbled_header_lives_no_longer_than_ten_seconds() {
        // After a request too: the second header has no more time than the first.
        for (keepalive_seconds, request) in [(5, false), (5, true), (75, false), (75, true)] {
            let keepalive = Duration::from_secs(keepalive_seconds);
            let mut client = connect_with(&CancellationToken::new(), keepalive);
            if request {
                client
                    .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    .await
                    .unwrap();
                read_head(&mut client).await;
                client.read_exact(&mut [0; 5]).await.unwrap();
            }
            let before = Instant::now();
            client.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
            let (mut read, mut write) = tokio::io::split(client);
            let dribble = tokio::spawn(async move {
                while write.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            });
            let mut rest = Vec::new();
            read.read_to_end(&mut rest).await.unwrap();
            let took = before.elapsed();
            dribble.abort();
            assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
            assert!(
                (HEADER_TIMEOUT..HEADER_TIMEOUT + 2 * LOOK_AGAIN).contains(&took),
                "{took:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_in_its_time() {
        let mut client = connect(&CancellationToken::new());
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        read_head(&mut client).await;
        client.read_exact(&mut [0; 5]).await.unwrap();
        let took = closed_after(&mut client).await;
        let keepalive = Duration::from_secs(5);
        assert!(
            (keepalive..keepalive + 2 * LOOK_AGAIN).contains(&took),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_comes_as_the_idle_time_ends_is_answered() {
        // Both at the same instant, and a request that takes longer than any bound on a connection that is to be closed.
        for late_millis in [4990, 4999, 5000] {
            let mut client = connect(&CancellationToken::new());
            tokio::time::sleep(Duration::from_millis(late_millis)).await;
            if client
                .write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .await
                .is_err()
            {
                continue;
            }
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(
                answer.is_empty() && late_millis == 5000 || answer.starts_with("HTTP/1.1 200"),
                "{late_millis}: {answer:?}"
            );
        }
    }
}
