//! The metrics endpoint over real TCP. One test, because a process has one recorder.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::Method;
use slipway_telemetry::{Family, HttpRequest, bind_metrics, install_metrics, serve_metrics};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(5);

async fn ask(addr: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let text = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(series));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn metrics_are_served_until_the_stop() {
    let handle = install_metrics("slipway-test").unwrap();
    let again = install_metrics("slipway-test").err().unwrap().to_string();
    assert!(again.contains("already set up"), "{again}");

    let listener = bind_metrics("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let taken = bind_metrics(addr).await.unwrap_err().to_string();
    assert_eq!(
        taken,
        format!("cannot listen on {addr} for metrics; change METRICS_PORT or METRICS_HOST")
    );

    let stop = CancellationToken::new();
    let hosts = Arc::new(AtomicU32::new(2));
    let known = Arc::clone(&hosts);
    handle.collect(move || {
        let mut family = Family::gauge("seen", "Whether a host was seen.");
        for host in 0..known.load(Ordering::Relaxed) {
            family.push(&[("name", &format!("web-{host}"))], 1.0);
        }
        vec![family]
    });
    handle.before_scrape(|| metrics::gauge!("looked").increment(1.0));
    let server = tokio::spawn(serve_metrics(listener, handle, stop.clone()));

    HttpRequest::begin(&Method::GET, "/api/v1/hosts/{name}").finish(200);
    HttpRequest::begin(&Method::GET, "/api/v1/hosts/{name}").finish(404);
    drop(HttpRequest::begin(
        &Method::from_bytes(b"INVENTED").unwrap(),
        "/api/v1/login",
    ));
    let under_way = HttpRequest::begin(&Method::POST, "/api/v1/agent/sync");

    let (head, text) = ask(addr, "GET /metrics").await;
    assert!(
        head.starts_with("http/1.1 200") && head.contains("text/plain; version=0.0.4"),
        "{head}"
    );
    let route = "route=\"/api/v1/hosts/{name}\"";
    for (series, expected) in [
        (
            format!("http_requests_total{{method=\"GET\",{route},status=\"200\"}}"),
            1.0,
        ),
        (
            format!("http_requests_total{{method=\"GET\",{route},status=\"404\"}}"),
            1.0,
        ),
        (
            "http_requests_total{method=\"other\",route=\"/api/v1/login\",status=\"499\"}".to_owned(),
            1.0,
        ),
        (
            format!("http_request_duration_seconds_count{{method=\"GET\",{route}}}"),
            2.0,
        ),
        (
            format!("http_request_duration_seconds_bucket{{method=\"GET\",{route},le=\"120\"}}"),
            2.0,
        ),
        ("http_requests_in_flight".to_owned(), 1.0),
        (
            format!(
                "build_info{{service=\"slipway-test\",version=\"{}\"}}",
                env!("CARGO_PKG_VERSION")
            ),
            1.0,
        ),
    ] {
        let found = value(&text, &series);
        assert!((found - expected).abs() < f64::EPSILON, "{series} is {found}");
    }
    assert!(value(&text, "process_open_fds ") >= 5.0);
    assert!(value(&text, "process_resident_memory_bytes ") > 100_000.0);
    assert!(value(&text, "process_start_time_seconds ") > 1_600_000_000.0);
    assert!(value(&text, "process_max_fds ") > 3.0);
    assert!(value(&text, "process_cpu_seconds_total ") >= 0.0);
    // A collected family has the samples of the moment; a recorded one keeps what it had.
    assert!(value(&text, "seen{name=\"web-1\"} ") > 0.5 && value(&text, "looked ") > 0.5);
    hosts.store(1, Ordering::Relaxed);
    let (_, text) = ask(addr, "GET /metrics").await;
    assert!(
        text.contains("seen{name=\"web-0\"}") && !text.contains("web-1"),
        "{text}"
    );
    assert!(value(&text, "looked ") > 1.5);
    drop(under_way);
    assert!(value(&ask(addr, "GET /metrics").await.1, "http_requests_in_flight ").abs() < f64::EPSILON);

    assert!(ask(addr, "GET /").await.0.starts_with("http/1.1 404"));
    let (head, _) = ask(addr, "POST /metrics").await;
    assert!(
        head.starts_with("http/1.1 405") && head.contains("allow: get, head"),
        "{head}"
    );
    assert_eq!(ask(addr, "HEAD /metrics").await.1, "");

    // An idle connection does not hold the stop up, and the port is free afterwards.
    let mut idle = TcpStream::connect(addr).await.unwrap();
    idle.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    idle.readable().await.unwrap();
    stop.cancel();
    timeout(SOON, server).await.unwrap().unwrap();
    bind_metrics(addr).await.unwrap();
}
