//! What keeps all checks from an address is told once, by the check that met it first.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use slipway_client::testing::{ScriptedApi, ScriptedReply, TestCertificate};

use super::{expect, health, line, verify, well};
use crate::common::Slipway;

/// The checks of a control plane's address after that of its certificate.
const REST: [&str; 9] = [
    "tls versions",
    "live",
    "ready",
    "health",
    "database",
    "redis",
    "metrics closed",
    "hosts",
    "audit",
];

/// Verifies the address, which nothing can come to, with a token and this CA.
fn lines_of(url: &str, ca_pem: &str) -> Vec<Value> {
    let slipway = Slipway::new().env("SLIPWAY_TOKEN", "slw_test");
    fs::write(slipway.home.path().join("ca.pem"), ca_pem).unwrap();
    let ran = slipway.run(&["verify", "--json", "--url", url, "--ca-file", "ca.pem"]);
    assert_eq!(ran.code, 30, "{ran:?}");
    ran.json()["checks"].as_array().unwrap().clone()
}

/// The first check tells the cause, and the others that they were skipped because of it.
fn expect_skipped(lines: &[Value], first: &str, rest: &[&str], cause: &str) {
    expect(lines, first, "fail", cause);
    for check in rest {
        expect(lines, check, "not_checked", &format!("skipped because {cause}"));
        expect(lines, check, "not_checked", &format!("see `{first}` above"));
    }
}

#[test]
fn a_ca_that_is_not_known_is_told_once() {
    let (server, other) = (
        ScriptedApi::start_tls(TestCertificate::Good, well),
        ScriptedApi::start_tls(TestCertificate::Good, well),
    );
    let lines = lines_of(&server.url(), other.ca_pem());
    let cause = "its certificate is signed by a CA that this machine does not know";
    expect(&lines, "certificate", "fail", "--ca-file");
    expect(&lines, "tls versions", "ok", "1.3 and 1.2");
    expect_skipped(&lines, "certificate", &REST[1..], cause);
}

#[test]
fn a_wrong_port_is_told_once() {
    let plain = ScriptedApi::start(well);
    let other = ScriptedApi::start_tls(TestCertificate::Good, well);
    for (url, cause) in [
        (
            plain.url().replace("http:", "https:"),
            "no secure connection could be made",
        ),
        ("https://127.0.0.1:1".to_owned(), "nothing listens there"),
    ] {
        expect_skipped(&lines_of(&url, other.ca_pem()), "certificate", &REST, cause);
    }
    let lines = lines_of("http://127.0.0.1:1", other.ca_pem());
    expect(&lines, "certificate", "not_checked", "plain HTTP on this machine");
    expect_skipped(&lines, "live", &REST[2..], "nothing listens there");
}

#[test]
fn what_keeps_one_path_from_an_answer_says_nothing_of_the_others() {
    let server = ScriptedApi::start_tls(TestCertificate::Good, |request| match request.path.as_str() {
        "/api/v1/monitoring/live" | "/api/v1/monitoring/ready" => ScriptedReply::cut(),
        "/api/v1/monitoring/health" => ScriptedReply::json(200, &health("ok", "ok")),
        _ => well(request),
    });
    let (_, lines) = verify(&server, &[]);
    for check in ["live", "ready"] {
        expect(&lines, check, "fail", "the connection was cut");
    }
}

#[test]
fn a_name_that_no_certificate_can_have_has_a_line_for_every_check() {
    let other = ScriptedApi::start_tls(TestCertificate::Good, well);
    let lines = lines_of("https://a..b", other.ca_pem());
    expect(&lines, "certificate", "fail", "can be in no certificate");
    expect(&lines, "tls versions", "not_checked", "skipped because `a..b`");
    for check in REST {
        line(&lines, check);
    }
}

#[test]
fn a_server_that_never_answers_costs_its_time_once() {
    let server = ScriptedApi::start_tls(TestCertificate::Good, |_| {
        ScriptedReply::empty(200).after(Duration::from_mins(1))
    });
    let begun = Instant::now();
    let (ran, lines) = verify(&server, &["--timeout", "2"]);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(ran.code, 30);
    expect(&lines, "live", "fail", "the answer did not come in time");
    expect(&lines, "hosts", "not_checked", "--timeout");
    expect(&lines, "audit", "not_checked", "--timeout");
}
