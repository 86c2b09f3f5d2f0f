//! Collectors that take traces, and those that do not.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use slipway_client::testing::{ScriptedApi, ScriptedReply};
use slipway_settings::{LogFormat, LogSettings, OtelSettings, SentrySettings, SettingsSource};
use slipway_testkit::Collector;
use tracing::{Subscriber, info_span};

use crate::init::{TelemetryGuard, build};

/// Far more than the end of a process may take, and far less than a blocked caller would.
const SOON: Duration = Duration::from_secs(10);

fn settings(variables: &[(&str, String)]) -> OtelSettings {
    let variables = variables.iter().map(|(name, value)| (*name, value.clone()));
    OtelSettings::from_source(&SettingsSource::from_map(variables)).unwrap()
}

fn traced(otel: &OtelSettings) -> (impl Subscriber + Send + Sync + use<>, TelemetryGuard) {
    let log = LogSettings {
        level: "off".to_owned(),
        format: LogFormat::Json,
    };
    build(
        "slipway-test",
        &log,
        otel,
        &SentrySettings::default(),
        std::io::sink,
    )
    .unwrap()
}

/// One span, and the end of the process.
fn send_one(otel: &OtelSettings) {
    let (subscriber, guard) = traced(otel);
    tracing::subscriber::with_default(subscriber, || drop(info_span!("work", host = "web-1")));
    guard.shutdown();
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn spans_reach_a_collector_of_an_own_ca_with_the_headers_of_a_file() {
    let collector = Collector::start();
    let (headers, ca) = (file(&collector.headers()), file(collector.ca_pem()));
    send_one(&settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        (
            "OTEL_EXPORTER_OTLP_HEADERS_FILE",
            headers.path().display().to_string(),
        ),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.path().display().to_string()),
    ]));
    let [span] = collector.spans().try_into().unwrap();
    assert_eq!(
        (span.service.as_str(), span.name.as_str()),
        ("slipway-test", "work")
    );
    assert_eq!(
        (span.parent.as_str(), span.attributes["host"].as_str()),
        ("", "web-1")
    );
}

#[test]
fn a_collector_whose_ca_is_not_trusted_gets_nothing() {
    let collector = Collector::start();
    send_one(&settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())]));
    assert!(collector.requests().is_empty());
}

#[test]
fn the_headers_go_to_the_collector_and_not_where_it_sends_on() {
    let other = ScriptedApi::start(|_| ScriptedReply::empty(200));
    let target = format!("{}/v1/traces", other.url());
    let collector = ScriptedApi::start(move |_| ScriptedReply::empty(307).header("location", &target));
    send_one(&settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret".to_owned()),
    ]));
    let asked = collector.requests();
    assert_eq!(asked[0].header("api-key"), Some("s3cret"));
    assert!(other.requests().is_empty(), "{:?}", other.requests());
}

#[test]
fn a_collector_that_hangs_slows_neither_the_work_nor_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (subscriber, guard) = traced(&settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url)]));
    let began = Instant::now();
    // Ten times what the queue holds; each export takes 5 s to fail.
    tracing::subscriber::with_default(subscriber, || {
        for number in 0..20_000 {
            drop(info_span!("work", number));
        }
    });
    guard.shutdown();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_with_its_setting() {
    let empty = file("nothing");
    for (path, why) in [
        ("/nowhere/ca.pem".to_owned(), "No such file"),
        (empty.path().display().to_string(), "no PEM certificate"),
    ] {
        let otel = settings(&[
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "https://collector.example".to_owned(),
            ),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", path),
        ]);
        let error = super::provider("slipway-test", &otel).unwrap_err().to_string();
        assert!(
            error.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE=/") && error.contains(why),
            "{error}"
        );
    }
}
