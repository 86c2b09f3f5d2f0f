//! Lines, traces and reports as they leave the process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use tracing::{Span, error, info, info_span, trace_span, warn};

use super::*;
use crate::propagation;

/// A writer that keeps what is written.
#[derive(Clone, Default)]
struct CapturedLines(Arc<Mutex<Vec<u8>>>);

impl Write for CapturedLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CapturedLines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn json(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).expect("every line is one JSON object"))
            .collect()
    }
}

fn log(level: &str, format: LogFormat) -> LogSettings {
    LogSettings {
        level: level.to_owned(),
        format,
    }
}

/// What is written while `work` runs.
fn lines(level: &str, format: LogFormat, work: impl FnOnce()) -> CapturedLines {
    let lines = CapturedLines::default();
    let writer = lines.clone();
    let (subscriber, _guard) = build(
        "slipway-test",
        &log(level, format),
        &OtelSettings::default(),
        &SentrySettings::default(),
        move || writer.clone(),
    )
    .unwrap();
    tracing::subscriber::with_default(subscriber, work);
    lines
}

#[test]
fn no_line_shows_a_hidden_character() {
    for format in [LogFormat::Json, LogFormat::Pretty] {
        let written = lines("info", format, || {
            let _span = info_span!("job", host = "a\u{202e}b").entered();
            info!(seen = "x\u{9b}31m\u{7f}\u{2028}", "done\u{200b}");
        });
        let text = written.text();
        let hidden = text.trim_end().chars().find(|c| slipway_text::is_hidden(*c));
        assert_eq!(hidden, None, "{format:?}: {text:?}");
    }
    let [line] = lines("info", LogFormat::Json, || info!("a\u{9b}b"))
        .json()
        .try_into()
        .unwrap();
    assert_eq!(line["message"], "a\u{9b}b", "escaped, and still the same value");
}

#[test]
fn a_line_carries_the_fields_of_every_span_around_it() {
    let lines = lines("info", LogFormat::Json, || {
        let outer = info_span!("http.request", request_id = "r-1", status = tracing::field::Empty);
        let _outer = outer.enter();
        let _inner = info_span!("job.roll_out", rollout_id = 7, attempt_id = "outer").entered();
        outer.record("status", 202);
        info!(attempt_id = "own", ratio = f64::NAN, ok = true, "rolled\nout");
    });
    let [line] = lines.json().try_into().unwrap();
    let time = line["timestamp"].as_str().unwrap();
    assert!(
        time.len() == "2026-01-01T00:00:00.000000Z".len() && time.ends_with('Z'),
        "{time}"
    );
    let mut rest = line.as_object().unwrap().clone();
    rest.remove("timestamp");
    assert_eq!(
        Value::Object(rest),
        json!({
            "level": "INFO", "target": "slipway_telemetry::init::tests", "service": "slipway-test",
            "span": "job.roll_out", "message": "rolled\nout", "request_id": "r-1", "status": 202,
            "rollout_id": 7, "attempt_id": "own", "ratio": "NaN", "ok": true,
        })
    );
}

#[test]
fn ids_stay_in_the_line_when_the_level_hides_events() {
    let lines = lines("error", LogFormat::Json, || {
        let _span = info_span!("http.request", request_id = "r-1").entered();
        let _noise = trace_span!("noise", secret = "no").entered();
        info!("hidden");
        error!("shown");
    });
    let [line] = lines.json().try_into().unwrap();
    assert_eq!(
        (&line["message"], &line["request_id"]),
        (&json!("shown"), &json!("r-1"))
    );
    assert_eq!(line["secret"], Value::Null, "spans below info are not kept");
}

#[test]
fn levels_are_set_by_target() {
    let lines = lines(
        "warn,slipway_telemetry::init=info,chatty=off",
        LogFormat::Json,
        || {
            info!("ours");
            info!(target: "sqlx::query", "theirs");
            warn!(target: "sqlx::query", "their warning");
            error!(target: "chatty", "never");
        },
    );
    let messages: Vec<_> = lines.json().iter().map(|line| line["message"].clone()).collect();
    assert_eq!(messages, ["ours", "their warning"]);
}

#[test]
fn errors_are_chains_and_reserved_names_stay_the_lines_own() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot save")]
    struct Outer(#[source] io::Error);
    let lines = lines("info", LogFormat::Json, || {
        let failure = Outer(io::Error::other("disk full"));
        error!(
            error = &failure as &dyn std::error::Error,
            level = 3,
            r#type = "x",
            "failed"
        );
    });
    let [line] = lines.json().try_into().unwrap();
    assert_eq!(line["error"], "cannot save: disk full");
    assert_eq!(
        (&line["level"], &line["field.level"], &line["type"]),
        (&json!("ERROR"), &json!(3), &json!("x"))
    );
}

#[test]
fn pretty_lines_are_for_people() {
    let lines = lines("info", LogFormat::Pretty, || {
        let _span = info_span!("http.request", request_id = "r-1").entered();
        info!(port = 8000, "listening");
    });
    let text = lines.text();
    assert!(
        text.contains("INFO") && text.contains("request_id=\"r-1\""),
        "{text}"
    );
    assert!(text.contains("listening port=8000"), "{text}");
}

#[test]
fn a_level_that_is_none_is_an_error_that_names_the_setting() {
    let result = build(
        "t",
        &log("slipway=loud", LogFormat::Json),
        &OtelSettings::default(),
        &SentrySettings::default(),
        io::sink,
    );
    let error = result.err().unwrap().to_string();
    assert!(
        error.contains("LOG_LEVEL cannot be used; give a level such as info"),
        "{error}"
    );
}

/// One request as a collector sees it.
struct Received {
    head: String,
    body: Vec<u8>,
}

/// A real HTTP server on a free port: answers every request with 200 and hands it over.
fn collector() -> (String, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut stream = BufReader::new(stream.unwrap());
                loop {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if stream.read_line(&mut head).unwrap() == 0 {
                            return;
                        }
                    }
                    let length = head.lines().find_map(|line| {
                        let (name, value) = line.split_once(':')?;
                        name.eq_ignore_ascii_case("content-length")
                            .then(|| value.trim().parse().unwrap())
                    });
                    let mut body = vec![0; length.unwrap_or(0)];
                    stream.read_exact(&mut body).unwrap();
                    stream
                        .get_mut()
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                        .unwrap();
                    let _ = sender.send(Received {
                        head: head.to_lowercase(),
                        body,
                    });
                }
            });
        }
    });
    (address, receiver)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

const SOON: Duration = Duration::from_secs(10);

/// Writes no lines, and sends traces to this collector.
fn traced(endpoint: &str) -> (impl Subscriber + Send + Sync, TelemetryGuard) {
    let otel = OtelSettings {
        endpoint: Some(endpoint.parse().unwrap()),
        ..Default::default()
    };
    let sentry = SentrySettings::default();
    let log = log("off", LogFormat::Json);
    build("slipway-test", &log, &otel, &sentry, io::sink).unwrap()
}

#[test]
fn spans_reach_a_collector_and_join_the_callers_trace() {
    let (address, received) = collector();
    let (subscriber, guard) = traced(&format!("http://{address}/"));
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let passed_on = tracing::subscriber::with_default(subscriber, || {
        let mut headers = HeaderMap::new();
        headers.insert(
            "traceparent",
            format!("00-{trace}-b7ad6b7169203331-01").parse().unwrap(),
        );
        let span = info_span!("http.request", request_id = "r-1");
        let _ = propagation::continue_trace(&span, &headers);
        let _entered = span.enter();
        // Neither a routine request nor lines alone are part of a trace.
        let unrecorded = info_span!(parent: None, "routine");
        propagation::leave_out(&unrecorded);
        drop(info_span!(parent: &unrecorded, "below routine"));
        drop(info_span!(target: LINES_ONLY, "lines"));
        propagation::place_of(&Span::current()).unwrap()
    });
    assert_eq!(passed_on.trace_id(), trace);
    assert!(!passed_on.as_str().contains("b7ad6b7169203331"), "{passed_on}");

    guard.shutdown();
    let request = received.recv_timeout(SOON).unwrap();
    assert!(
        request.head.starts_with("post /v1/traces http/1.1"),
        "{}",
        request.head
    );
    assert!(
        request.head.contains("content-type: application/x-protobuf"),
        "{}",
        request.head
    );
    let trace_bytes: Vec<u8> = (0..16)
        .map(|n| u8::from_str_radix(&trace[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    for part in [
        &b"slipway-test"[..],
        b"http.request",
        b"request_id",
        b"r-1",
        b"development",
        &trace_bytes,
    ] {
        assert!(
            contains(&request.body, part),
            "{:?} is missing",
            String::from_utf8_lossy(part)
        );
    }
    for part in [&b"routine"[..], b"lines"] {
        assert!(
            !contains(&request.body, part),
            "{:?} was sent",
            String::from_utf8_lossy(part)
        );
    }
}

#[test]
fn a_collector_that_is_away_does_not_hold_the_end_up() {
    // A port that was free a moment ago: nobody listens.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (subscriber, guard) = traced(&format!("http://127.0.0.1:{port}"));
    tracing::subscriber::with_default(subscriber, || drop(info_span!("lost").entered()));
    let begun = std::time::Instant::now();
    guard.shutdown();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn without_an_endpoint_there_is_no_place_but_the_callers() {
    lines("info", LogFormat::Json, || {
        let span = info_span!("http.request");
        let mut headers = HeaderMap::new();
        headers.insert(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                .parse()
                .unwrap(),
        );
        let given = propagation::continue_trace(&span, &headers).unwrap();
        assert_eq!(given.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(propagation::place_of(&span), None);
    });
}

#[tokio::test]
async fn errors_reach_sentry_and_nothing_less_does() {
    let (address, received) = collector();
    let dsn = format!("http://canarykey@{address}/42");
    let sentry = SentrySettings {
        dsn: Some(dsn.into()),
        ..Default::default()
    };
    assert!(!format!("{sentry:?}").contains("canarykey"));
    let (subscriber, guard) = build(
        "slipway-test",
        &log("off", LogFormat::Json),
        &OtelSettings::default(),
        &sentry,
        io::sink,
    )
    .unwrap();
    tracing::subscriber::with_default(subscriber, || {
        let _span = info_span!("job.roll_out", rollout_id = "ro-7", host = "web-1", batch = 2).entered();
        warn!("not reported");
        error!(reason = "no answer", "the canary failed");
    });
    // From inside a runtime, as a process ends.
    guard.shutdown();

    let request = received.recv_timeout(SOON).unwrap();
    assert!(
        request.head.starts_with("post /api/42/envelope/"),
        "{}",
        request.head
    );
    assert!(request.head.contains("sentry_key=canarykey"), "{}", request.head);
    let body = String::from_utf8(request.body).unwrap();
    let event: Value = body
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|item| item.get("extra").is_some())
        .unwrap_or_else(|| panic!("no event in {body}"));
    assert_eq!(event["message"], "the canary failed");
    // Error is the level that Sentry assumes; its crate leaves it out.
    assert_eq!(
        (event.get("level"), &event["environment"]),
        (None, &json!("development"))
    );
    assert_eq!(event["tags"], json!({ "rollout_id": "ro-7", "host": "web-1" }));
    assert_eq!(
        (&event["extra"]["batch"], &event["extra"]["reason"]),
        (&json!(2), &json!("no answer"))
    );
    assert_eq!(
        event["release"],
        concat!("slipway-test@", env!("CARGO_PKG_VERSION"))
    );
    assert!(
        received.recv_timeout(Duration::from_millis(300)).is_err(),
        "one report only"
    );
}

#[test]
fn a_bad_dsn_is_an_error_that_does_not_show_it() {
    let sentry = SentrySettings {
        dsn: Some("https://canary@/".to_owned().into()),
        ..Default::default()
    };
    let result = build(
        "t",
        &log("info", LogFormat::Json),
        &OtelSettings::default(),
        &sentry,
        io::sink,
    );
    let error = result.err().unwrap();
    assert!(
        error
            .to_string()
            .starts_with("SENTRY_DSN cannot be used; copy it"),
        "{error}"
    );
    assert!(!format!("{error:?}{}", crate::error_chain(&error)).contains("canary"));
}
