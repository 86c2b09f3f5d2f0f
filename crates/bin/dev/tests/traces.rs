//! The trace of a rollout, through real processes, to a collector that takes OTLP over HTTPS.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use common::rig::{Rig, reasons};
use slipway_dev::spec::Spec;
use slipway_dev::stack::ENVIRONMENT;
use slipway_dev::stack::hosts::strategy;
use slipway_domain::{ReleaseId, RolloutState, StepState};
use slipway_testkit::{Collector, ReceivedSpan, wait_until};
use slipway_wire::page::EnvironmentPageQuery;
use slipway_wire::rollout::Rollout;
use slipway_wire::route;

const BOUND: Duration = Duration::from_mins(2);
/// Of each host that takes a release.
const PHASES: [&str; 5] = [
    "fetch closure",
    "activate closure",
    "check closure",
    "await commit",
    "commit closure",
];

/// Every process of the run exports there, with its CA and headers by file.
fn export_to(collector: &Collector, folder: &Path) -> Vec<(String, String)> {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        path.display().to_string()
    };
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        (
            "OTEL_EXPORTER_OTLP_HEADERS_FILE",
            file("otlp-headers", &collector.headers()),
        ),
        (
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            file("otlp-ca.pem", collector.ca_pem()),
        ),
        // Sooner than every 5 s, so that a process that is killed has sent most of its spans.
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// Has a person's command start the rollout, and gives it.
async fn start_by_command(rig: &Rig, release: ReleaseId, more: &[&str]) -> Rollout {
    let start = Spec::new("command", &rig.stack.binaries.cli)
        .args(["rollout", "start", ENVIRONMENT, &release.to_string()])
        .args(more)
        .envs(rig.run.shared_env.iter().map(|(name, value)| (name, value)))
        .env("SLIPWAY_URL", rig.stack.nginx.api_url())
        .env("SLIPWAY_CA_FILE", &rig.stack.nginx.ca)
        .env("SLIPWAY_TOKEN_FILE", rig.run.dir.path().join("admin-token"));
    rig.run.supervisor.run(start, BOUND).await.unwrap();
    let newest = rig
        .stack
        .api
        .rollouts(&EnvironmentPageQuery::default())
        .await
        .unwrap();
    rig.stack.api.rollout(newest.items[0].id).await.unwrap()
}

/// Waits until the trace holds what is looked for; then gives all of it.
async fn trace(
    collector: &Collector,
    rollout: &Rollout,
    whole: impl Fn(&[ReceivedSpan]) -> bool,
) -> Vec<ReceivedSpan> {
    let id = rollout.trace_id.clone().unwrap();
    let end = Instant::now() + BOUND;
    loop {
        let spans: Vec<_> = collector
            .spans()
            .into_iter()
            .filter(|span| span.trace == id)
            .collect();
        if whole(&spans) {
            return spans;
        }
        assert!(
            Instant::now() < end,
            "the trace does not become whole: {spans:#?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn named<'a>(spans: &'a [ReceivedSpan], service: &str, name: &str) -> Vec<&'a ReceivedSpan> {
    spans
        .iter()
        .filter(|span| span.service == service && span.name == name)
        .collect()
}

fn has(span: &ReceivedSpan, attribute: &str, value: &str) -> bool {
    span.attributes.get(attribute).is_some_and(|found| found == value)
}

/// The changes of a host's step, or of the rollout itself, by where they led.
fn reached(spans: &[ReceivedSpan], host: Option<&str>) -> BTreeSet<String> {
    let name = if host.is_some() {
        "change step"
    } else {
        "change rollout"
    };
    named(spans, "slipway-worker", name)
        .into_iter()
        .filter(|span| host.is_none_or(|host| has(span, "host", host)))
        .map(|span| span.attributes["to"].clone())
        .collect()
}

/// Spans whose parent did not arrive, or not yet.
fn orphans(spans: &[ReceivedSpan]) -> Vec<&ReceivedSpan> {
    let ids: BTreeSet<_> = spans.iter().map(|span| span.id.as_str()).collect();
    let below = spans.iter().filter(|span| !span.parent.is_empty());
    below.filter(|span| !ids.contains(span.parent.as_str())).collect()
}

/// Each span hangs below another one of the trace, up to the command's.
fn assert_is_a_tree(spans: &[ReceivedSpan]) {
    let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(roots.len(), 1, "{roots:#?}");
    assert_eq!(
        (roots[0].service.as_str(), roots[0].name.as_str()),
        ("slipway", "slipway rollout start")
    );
    let ids: BTreeSet<_> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "two spans have one id");
}

/// The request that began the rollout, which everything hangs below.
fn beginning(spans: &[ReceivedSpan]) -> &ReceivedSpan {
    let requests = named(spans, "slipway-api", "POST /api/v1/rollouts");
    assert_eq!(requests.len(), 1, "{requests:#?}");
    requests[0]
}

/// Anybody may send these. A stranger who knows the id of a rollout's trace would write spans into it. Enough of them would push
/// those of rollouts out of the queue.
async fn assert_strangers_leave_no_span(rig: &Rig, collector: &Collector) {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let http = common::client(&rig.stack.nginx.ca);
    let port = rig.stack.control_plane.ports[0];
    let address = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let send = async |request: reqwest::RequestBuilder| {
        let request = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
        request.send().await.unwrap().status().as_u16()
    };
    for (path, status) in [
        (route::LIVE, 405),
        (route::HEALTH, 405),
        (route::AGENT_SYNC, 401),
        (route::HOSTS, 401),
        (route::ROLLOUTS, 401),
        (route::LOGIN, 415),
        ("/api/v1/nothing", 404),
    ] {
        assert_eq!(send(http.post(address(path))).await, status, "{path}");
    }
    let wrong = http
        .get(address(route::HOSTS))
        .bearer_auth(format!("slw_{}", "0".repeat(64)));
    assert_eq!(send(wrong).await, 401);
    // The replica sends spans in their order, so once this one is there, all are.
    let token = std::fs::read_to_string(rig.run.dir.path().join("admin-token")).unwrap();
    let known = http.get(address(route::HOSTS)).bearer_auth(token.trim());
    assert_eq!(send(known).await, 200);
    let spans = async || {
        let spans: Vec<_> = named(&collector.spans(), "slipway-api", "GET /api/v1/hosts")
            .into_iter()
            .filter(|span| span.trace == trace)
            .cloned()
            .collect();
        (!spans.is_empty()).then_some(spans)
    };
    let spans = wait_until("the span of the last request", BOUND, spans).await;
    assert_eq!(spans.len(), 1, "{spans:#?}");
    assert!(has(&spans[0], "principal", "admin"), "{spans:#?}");
    assert!(has(&spans[0], "http.response.status_code", "200"), "{spans:#?}");
    let of_trace = collector.spans().into_iter().filter(|span| span.trace == trace);
    assert_eq!(of_trace.count(), 1, "spans of strangers");
}

#[tokio::test]
async fn one_trace_goes_from_the_command_to_the_checks_of_every_host() {
    let collector = Collector::start();
    let rig = Rig::with_env(2, |folder| export_to(&collector, folder)).await;
    assert_strangers_leave_no_span(&rig, &collector).await;
    let closures = rig.publish_health("v1", 200).await;
    let release = rig.release(&closures).await;
    let rollout = start_by_command(&rig, release, &[]).await;
    let rollout = rig.finish(rollout).await;
    assert_eq!(
        rollout.summary.state,
        RolloutState::Succeeded,
        "{}",
        reasons(&rollout)
    );

    let spans = trace(&collector, &rollout, |spans| {
        reached(spans, None).contains("succeeded")
            && named(spans, "slipway-agent", "commit closure").len() == 2
            && orphans(spans).is_empty()
    })
    .await;
    assert_is_a_tree(&spans);
    assert!(spans.iter().all(|span| !span.failed), "{spans:#?}");
    let beginning = beginning(&spans);
    assert!(
        has(beginning, "http.response.status_code", "201"),
        "{beginning:#?}"
    );
    let id = rollout.summary.id.to_string();
    for host in ["web-1", "web-2"] {
        let attempt = rollout
            .steps
            .iter()
            .find(|step| step.host.as_str() == host)
            .unwrap()
            .attempt
            .unwrap();
        for phase in PHASES {
            let found = named(&spans, "slipway-agent", phase);
            let of_host: Vec<_> = found.into_iter().filter(|span| has(span, "host", host)).collect();
            assert_eq!(of_host.len(), 1, "{phase} of {host}: {of_host:#?}");
            let span = of_host[0];
            assert_eq!(span.parent, beginning.id);
            assert!(
                has(span, "rollout_id", &id) && has(span, "attempt_id", &attempt.to_string()),
                "{span:#?}"
            );
        }
        let steps = reached(&spans, Some(host));
        for state in [
            "staging",
            "staged",
            "activating",
            "verifying",
            "verified",
            "committed",
        ] {
            assert!(steps.contains(state), "{host}: {steps:?}");
        }
    }
    for (part, phase) in [
        ("arm dead-man", "activate closure"),
        ("run checks", "check closure"),
        ("move boot default", "commit closure"),
        ("disarm dead-man", "commit closure"),
    ] {
        let phases: BTreeSet<_> = named(&spans, "slipway-agent", phase)
            .into_iter()
            .map(|span| span.id.clone())
            .collect();
        let parts = named(&spans, "slipway-agent", part);
        let below: BTreeSet<_> = parts.iter().map(|span| span.parent.clone()).collect();
        assert_eq!(below, phases, "{part}");
    }
    let checks = named(&spans, "slipway-agent", "run check");
    assert!(
        checks.iter().any(|check| check.attributes.contains_key("check")),
        "{checks:#?}"
    );
    rig.run.close().await.unwrap();
}

#[tokio::test]
async fn a_rollout_that_goes_back_has_its_tree_though_agent_and_workers_were_killed() {
    let collector = Collector::start();
    let rig = Rig::with_env(2, |folder| export_to(&collector, folder)).await;
    let good = rig.publish_health("v1", 200).await;
    let first = rig.roll_out(&good, strategy(0, 2)).await;
    assert_eq!(
        first.summary.state,
        RolloutState::Succeeded,
        "{}",
        reasons(&first)
    );

    let bad = rig.publish_health("v2", 500).await;
    let release = rig.release(&bad).await;
    let rollout = start_by_command(&rig, release, &["--set", "verify.timeout_seconds=10"]).await;
    let id = rollout.summary.id;
    let end = Instant::now() + BOUND;
    while !is_verifying(&rig.stack.api.rollout(id).await.unwrap()) {
        assert!(Instant::now() < end, "the canary is not checked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut victims = rig.stack.control_plane.workers.clone();
    victims.push("agent-web-1".to_owned());
    for victim in &victims {
        rig.run.supervisor.kill(victim).await.unwrap();
    }
    for victim in &victims {
        rig.run.supervisor.start_again(victim).unwrap();
    }
    let rollout = rig.finish(rollout).await;
    assert_eq!(
        rollout.summary.state,
        RolloutState::Reverted,
        "{}",
        reasons(&rollout)
    );

    let spans = trace(&collector, &rollout, |spans| {
        reached(spans, None).contains("reverted")
            && !named(spans, "slipway-agent", "revert closure").is_empty()
            && spans.iter().any(|span| span.service == "slipway")
    })
    .await;
    let beginning = beginning(&spans);
    let of_agent = |name| named(&spans, "slipway-agent", name);
    // The first agent's span of the checks died with it; the second one's ends with what the checks said.
    let checked = of_agent("check closure");
    let failed = checked.iter().find(|span| span.failed).unwrap();
    let reverted = of_agent("revert closure");
    assert!(
        has(reverted[0], "host", "web-1") && !reverted[0].failed,
        "{reverted:#?}"
    );
    for span in [failed, &reverted[0], &of_agent("activate closure")[0]] {
        assert_eq!(span.parent, beginning.id, "{span:#?}");
        assert!(has(span, "rollout_id", &id.to_string()), "{span:#?}");
    }
    assert!(of_agent("run check").iter().any(|check| check.failed));
    // Before the kill, and after it by other processes.
    assert!(
        reached(&spans, Some("web-1")).is_superset(&["activating", "reverted"].map(str::to_owned).into())
    );
    assert!(
        named(&spans, "slipway-worker", "change rollout")
            .iter()
            .any(|span| span.failed)
    );
    for round in named(&spans, "slipway-worker", "drive rollout") {
        assert_eq!(round.parent, beginning.id, "{round:#?}");
    }

    // The good one before it has a trace of its own, though a program without one began it.
    assert_ne!(first.trace_id, rollout.trace_id);
    let spans = trace(&collector, &first, |spans| {
        reached(spans, None).contains("succeeded")
    })
    .await;
    for phase in PHASES {
        assert_eq!(
            named(&spans, "slipway-agent", phase).len(),
            2,
            "{phase}: {spans:#?}"
        );
    }
    // Nobody sent without the header, and no request carried it anywhere else.
    let refused = collector
        .requests()
        .iter()
        .filter(|request| request.header("api-key").is_none())
        .count();
    assert_eq!(refused, 0);
    rig.run.close().await.unwrap();
}

fn is_verifying(rollout: &Rollout) -> bool {
    let canary = rollout.steps.iter().find(|step| step.host.as_str() == "web-1");
    canary.is_some_and(|step| step.state == StepState::Verifying)
}
