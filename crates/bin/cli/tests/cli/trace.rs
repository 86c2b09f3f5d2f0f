//! The trace that a command begins, or goes on with.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::common::{Slipway, environment};
use serde_json::json;
use slipway_client::testing::{ScriptedApi, ScriptedReply};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// Far more than the 2 s that a command waits for a collector.
const SOON: Duration = Duration::from_secs(15);

fn api() -> ScriptedApi {
    ScriptedApi::start(|request| match request.line().as_str() {
        "GET /api/v1/environments" => ScriptedReply::json(200, &json!({ "items": [environment()] })),
        _ => ScriptedReply::json(200, &json!({ "items": [] })),
    })
}

/// What each request of one run of `slipway status` hangs below.
fn parents(api: &ScriptedApi, slipway: &Slipway) -> Vec<String> {
    let before = api.requests().len();
    let ran = slipway.run(&["status"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let requests = api.requests().split_off(before);
    assert!(requests.len() > 1);
    let parent = |request: &slipway_client::testing::ReceivedRequest| {
        request.header("traceparent").unwrap().to_owned()
    };
    requests.iter().map(parent).collect()
}

#[test]
fn all_requests_of_a_command_are_one_trace_and_two_commands_are_two() {
    let api = api();
    let slipway = Slipway::at(&api);
    let (one, two) = (parents(&api, &slipway), parents(&api, &slipway));
    assert!(one.iter().all(|parent| *parent == one[0]), "{one:?}");
    assert_ne!(one[0], two[0]);
    assert!(
        one[0].starts_with("00-") && one[0].ends_with("-01") && one[0].len() == 55,
        "{one:?}"
    );
}

#[test]
fn the_trace_of_whoever_runs_the_command_goes_on() {
    let api = api();
    let slipway = Slipway::at(&api).env("TRACEPARENT", PARENT);
    assert_eq!(parents(&api, &slipway)[0], PARENT);
    let slipway = Slipway::at(&api).env("TRACEPARENT", "nonsense");
    assert_ne!(parents(&api, &slipway)[0], "nonsense");
}

#[test]
fn a_command_sends_its_own_span_between_the_two() {
    let (api, collector) = (api(), ScriptedApi::start(|_| ScriptedReply::empty(200)));
    let slipway = Slipway::at(&api)
        .env("TRACEPARENT", PARENT)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=0123");
    let parent = parents(&api, &slipway).remove(0);
    assert!(parent.starts_with(&PARENT[..36]) && parent != PARENT, "{parent}");
    let [sent] = collector.requests().try_into().unwrap();
    assert_eq!(
        (sent.line().as_str(), sent.header("api-key")),
        ("POST /v1/traces", Some("0123"))
    );
    assert!(sent.body.contains("slipway status"), "{}", sent.body);
}

#[test]
fn a_collector_that_hangs_or_is_set_wrong_keeps_no_command_from_its_work() {
    let api = api();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let began = Instant::now();
    parents(
        &api,
        &Slipway::at(&api).env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
    );
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());

    let slipway = Slipway::at(&api).env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318");
    let ran = slipway.run(&["status"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.starts_with("warning: this command is not traced: ")
            && ran.stderr.contains("OTEL_EXPORTER_OTLP_ENDPOINT"),
        "{ran:?}"
    );
}
