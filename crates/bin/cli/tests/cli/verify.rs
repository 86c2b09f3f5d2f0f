//! `slipway verify` against real TLS servers, sockets and bad news of every kind.

mod accepted;
mod backups;
mod booted;
mod inside;
mod obstacles;
mod shapes;

use std::fs;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use slipway_client::testing::{ReceivedRequest, ScriptedApi, ScriptedReply, TestCertificate};
use slipway_wire::backup::BackupPage;
use slipway_wire::problem::kind;

use crate::audit;
use crate::common::{AT, CLOSURE, RELEASE, ROLLOUT, Ran, Slipway, environment, host};

/// A healthy control plane with one host; its backup page is at `/status`.
fn well(request: &ReceivedRequest) -> ScriptedReply {
    let events = audit::chain(3);
    match request.path.as_str() {
        "/api/v1/monitoring/health" => ScriptedReply::json(200, &health("ok", "ok")),
        "/api/v1/monitoring/live" | "/api/v1/monitoring/ready" => ScriptedReply::empty(200),
        "/api/v1/hosts" => ScriptedReply::json(200, &json!({"items": [host("web-1")]})),
        "/api/v1/environments" => ScriptedReply::json(200, &json!({"items": [environment()]})),
        "/api/v1/rollouts" => {
            ScriptedReply::json(200, &json!({"items": [summary("failed"), summary("succeeded")]}))
        }
        path if path == format!("/api/v1/releases/{RELEASE}") => ScriptedReply::json(200, &release(CLOSURE)),
        "/api/v1/audit/verify" => ScriptedReply::json(
            200,
            &json!({
                "whole": true, "events": 3, "head": audit::head(&events), "broken_at": null, "problem": null,
                "unsealed": 0,
            }),
        ),
        "/api/v1/events" if request.query.contains("after=0") => {
            ScriptedReply::json(200, &json!({ "items": events }))
        }
        "/api/v1/events" => ScriptedReply::json(200, &json!({"items": []})),
        "/status" => ScriptedReply::json(200, &backups()),
        _ => ScriptedReply::problem(404, kind::NOT_FOUND, "no such thing"),
    }
}

fn health(status: &str, database: &str) -> Value {
    let latency = (database == "ok").then_some(2);
    json!({"status": status, "version": "0.1.0", "dependencies": {
        "database": {"status": database, "latency_ms": latency, "detail": (database != "ok").then_some("it does not answer")},
        "redis": {"status": "ok", "latency_ms": 1, "detail": null},
        "workers": {"status": "ok", "latency_ms": null, "detail": null},
    }})
}

fn summary(state: &str) -> Value {
    json!({
        "id": ROLLOUT, "environment": "prod", "release": RELEASE, "state": state, "since": AT, "reason": null,
        "author": "ci", "created_at": AT, "finished_at": AT,
    })
}

fn release(closure: &str) -> Value {
    json!({
        "id": RELEASE, "closures": {"web-1": closure}, "source": {}, "message": null, "author": "ci", "created_at": AT,
    })
}

fn backups() -> Value {
    let kinds: Vec<Value> = ["dump", "wal-base", "offsite", "verify", "drill"]
        .iter()
        .map(|kind| {
            json!({
                "kind": kind, "ok": true, "failed": false, "late": false, "last_success": AT, "age_seconds": 3600.4,
                "late_after_seconds": 108_000.0, "size_bytes": 7, "error": null, "cure": null,
            })
        })
        .collect();
    let archive = json!({
        "ok": true, "lag_seconds": 4.2, "waiting_segments": 0, "last_archived": null, "last_archived_at": null,
        "failing": false, "enabled": true, "error": null, "cure": null,
    });
    let page = json!({"ok": true, "stacks": [
        {"stack": "slipway", "ok": true, "checked_at": DateTime::<Utc>::from(SystemTime::now()), "kinds": kinds, "archive": archive},
    ]});
    // As the exporter writes it, with every field.
    let page: BackupPage = serde_json::from_value(page).unwrap();
    assert!(page.stacks[0].archive.as_ref().unwrap().progress.is_some());
    serde_json::to_value(page).unwrap()
}

/// Runs it against the server, with the server's CA known.
fn verify(server: &ScriptedApi, more: &[&str]) -> (Ran, Vec<Value>) {
    let slipway = Slipway::at(server);
    let ca = slipway.home.path().join("ca.pem");
    fs::write(&ca, server.ca_pem()).unwrap();
    let slipway = if server.ca_pem().is_empty() {
        slipway
    } else {
        slipway.env("SLIPWAY_CA_FILE", ca.to_str().unwrap())
    };
    let page = format!("{}/status", server.url());
    let args = [&["verify", "--json", "--backup-url", &page], more].concat();
    let ran = slipway.run(&args);
    let lines = ran.json()["checks"].as_array().unwrap().clone();
    assert_eq!(ran.json()["exit_code"], ran.code, "{ran:?}");
    (ran, lines)
}

/// The line of this check.
fn line<'a>(lines: &'a [Value], check: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["check"] == check);
    found.unwrap_or_else(|| panic!("no line {check} in {lines:#?}"))
}

/// Its state, and all that it says.
fn words_of(lines: &[Value], check: &str) -> (String, String) {
    let line = line(lines, check);
    let word = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    (word("state"), format!("{}; {}", word("seen"), word("cure")))
}

fn expect(lines: &[Value], check: &str, state: &str, text: &str) {
    let (found, words) = words_of(lines, check);
    assert!(
        found == state && words.contains(text),
        "{check}: {found}: {words}"
    );
    assert!(
        state == "ok" || line(lines, check)["cure"].is_string(),
        "{check} has no cure"
    );
}

#[test]
fn a_site_that_is_well_is_0_with_a_line_for_everything() {
    let server = ScriptedApi::start_tls(TestCertificate::Days(90), well);
    let (ran, lines) = verify(&server, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for (check, text) in [
        ("certificate", "trusted, 89 days left (until "),
        ("tls versions", "1.3 and 1.2"),
        ("live", "ms"),
        ("ready", "ms"),
        ("health", "200, version 0.1.0"),
        ("database", "reachable, 2 ms"),
        ("redis", "reachable, 1 ms"),
        ("workers", "reachable"),
        ("metrics closed", "answers 404"),
        ("backup dump", "last 60m ago"),
        ("backup drill", "last 60m ago"),
        ("backup archive", "waits for 4s"),
        ("host", "nixos-system-web of release"),
        ("audit", "3 events, head"),
    ] {
        expect(&lines, check, "ok", text);
    }
    let ran = Slipway::at(&server).run(&["verify"]);
    assert!(
        ran.code == 30 && ran.stdout.contains("cure: if a CA of your own signed it"),
        "{ran:?}"
    );
}

#[test]
fn certificates_are_judged_here() {
    for (certificate, state, seen) in [
        (TestCertificate::Days(30), "ok", "29 days left"),
        (TestCertificate::Days(20), "warn", "19 days left"),
        (TestCertificate::Days(6), "fail", "5 days left"),
        (TestCertificate::Expired, "fail", "days ago (1980-01-01"),
        (
            TestCertificate::WrongName,
            "fail",
            "its certificate is for another name",
        ),
        (
            TestCertificate::SelfSigned,
            "fail",
            "signed by a CA that this machine does not know",
        ),
    ] {
        let server = ScriptedApi::start_tls(certificate, well);
        let (ran, lines) = verify(&server, &[]);
        expect(&lines, "certificate", state, seen);
        expect(&lines, "tls versions", "ok", "1.3 and 1.2");
        assert_eq!(ran.code, if state == "fail" { 30 } else { 0 }, "{ran:?}");
    }
    let (_, lines) = verify(&ScriptedApi::start_tls(TestCertificate::OnlyTls12, well), &[]);
    expect(&lines, "certificate", "ok", "trusted");
    expect(&lines, "tls versions", "warn", "1.3 is refused");
}

#[test]
fn plain_http_on_this_machine_is_told() {
    let (ran, lines) = verify(&ScriptedApi::start(well), &[]);
    expect(&lines, "certificate", "not_checked", "plain HTTP on this machine");
    assert_eq!(ran.code, 31);
}

/// Each: what is asked, what it answers, and the check with its state and words.
fn run_cases(
    cases: impl IntoIterator<
        Item = (
            &'static str,
            ScriptedReply,
            &'static str,
            &'static str,
            &'static str,
        ),
    >,
) {
    for (path, reply, check, state, text) in cases {
        let server = ScriptedApi::start_tls(TestCertificate::Good, move |request| {
            if request.path.starts_with(path) {
                reply.clone()
            } else {
                well(request)
            }
        });
        let (ran, lines) = verify(&server, &[]);
        expect(&lines, check, state, text);
        let code = match state {
            "fail" => 30,
            "not_checked" => 31,
            _ => 0,
        };
        assert_eq!(ran.code, code, "{path}: {ran:?}");
    }
}

#[test]
fn endpoints_that_are_not_well_are_told_with_the_cure() {
    run_cases([
        (
            "/api/v1/monitoring/health",
            ScriptedReply::json(503, &health("down", "down")),
            "database",
            "fail",
            "it does not answer",
        ),
        (
            "/api/v1/monitoring/health",
            ScriptedReply::json(200, &health("degraded", "ok")),
            "health",
            "warn",
            "degraded",
        ),
        (
            "/api/v1/monitoring/health",
            ScriptedReply::text(200, "text/html", "<p>hi"),
            "health",
            "fail",
            "no health report",
        ),
        (
            "/api/v1/monitoring/ready",
            ScriptedReply::empty(503).header("content-type", "application/json"),
            "ready",
            "fail",
            "503",
        ),
        (
            "/api/v1/monitoring/live",
            ScriptedReply::cut(),
            "live",
            "fail",
            "the connection was cut",
        ),
        (
            "/metrics",
            ScriptedReply::text(200, "text/plain", "# HELP x"),
            "metrics closed",
            "fail",
            "open to everybody",
        ),
        (
            "/metrics",
            ScriptedReply::empty(302),
            "metrics closed",
            "not_checked",
            "302",
        ),
    ]);
}

#[test]
fn a_fleet_and_a_log_that_are_not_well_are_told_with_the_cure() {
    run_cases([
        (
            "/api/v1/releases",
            ScriptedReply::json(200, &release(&CLOSURE.replace("web", "old"))),
            "host",
            "fail",
            "rollout start prod",
        ),
        (
            "/api/v1/rollouts",
            ScriptedReply::json(200, &json!({"items": [summary("failed")]})),
            "host",
            "not_checked",
            "no rollout has succeeded",
        ),
        (
            "/api/v1/hosts",
            ScriptedReply::json(200, &json!({"items": []})),
            "hosts",
            "not_checked",
            "slipway host create",
        ),
        (
            "/api/v1/hosts",
            ScriptedReply::problem(403, kind::FORBIDDEN, "it may not"),
            "hosts",
            "not_checked",
            "it may not",
        ),
        (
            "/api/v1/events",
            ScriptedReply::json(200, &json!({"items": []})),
            "audit",
            "fail",
            "hands out 0",
        ),
    ]);
}

#[test]
fn every_trouble_of_a_host_is_told() {
    let attempt = "6f1c2a3b4d5e6f708192a3b4c5d6e7f8";
    let step = |state: &str| json!({"rollout": ROLLOUT, "state": state, "closure": CLOSURE, "reason": null});
    let cases: [(Value, bool, &str, &str); 10] = [
        (
            json!({"trouble": "two machines use its token"}),
            false,
            "fail",
            "two machines use its token",
        ),
        (json!({"online": false}), false, "fail", "offline, last seen"),
        (
            json!({"report": {"attempt": attempt, "phase": "stuck", "prior": null, "verdict": null, "message": "no space left"}}),
            false,
            "fail",
            "stuck: no space left",
        ),
        (
            json!({"step": step("verifying")}),
            true,
            "warn",
            "an attempt is verifying",
        ),
        (json!({"step": step("verifying")}), false, "fail", "which is over"),
        (json!({"live": null}), false, "fail", "no live system"),
        (
            json!({"journal_trouble": "it was damaged"}),
            false,
            "fail",
            "its agent's journal: it was damaged",
        ),
        (
            json!({"unsettled": attempt}),
            false,
            "fail",
            "neither committed nor taken back",
        ),
        (
            json!({"boot_default": CLOSURE.replace("web", "old")}),
            false,
            "warn",
            "the next boot would run",
        ),
        (json!({"clock_skew_seconds": -90}), false, "warn", "-90 s off"),
    ];
    for (change, open, state, text) in cases {
        let mut changed = host("web-1");
        changed
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let mut env = environment();
        env["open_rollout"] = if open { json!(ROLLOUT) } else { Value::Null };
        let server = ScriptedApi::start_tls(TestCertificate::Good, move |request| {
            match request.path.as_str() {
                "/api/v1/hosts" => ScriptedReply::json(200, &json!({ "items": [changed] })),
                "/api/v1/environments" => ScriptedReply::json(200, &json!({ "items": [env] })),
                _ => well(request),
            }
        });
        let (_, lines) = verify(&server, &[]);
        expect(&lines, "host", state, text);
    }
}

#[test]
fn before_a_login_what_needs_no_token_is_checked_all_the_same() {
    let server = ScriptedApi::start_tls(TestCertificate::Good, well);
    let slipway = Slipway::new();
    fs::write(slipway.home.path().join("ca.pem"), server.ca_pem()).unwrap();
    let ran = slipway.run(&["verify", "--url", &server.url(), "--ca-file", "ca.pem", "--json"]);
    let lines = ran.json()["checks"].as_array().unwrap().clone();
    expect(&lines, "database", "ok", "reachable");
    for check in ["hosts", "audit"] {
        expect(&lines, check, "not_checked", "slipway login");
    }
    expect(&lines, "backup", "not_checked", "--backup-url");
    assert_eq!(ran.code, 31);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
}

#[test]
fn a_token_that_is_not_taken_is_named_by_its_place() {
    let server = ScriptedApi::start_tls(TestCertificate::Good, |request| {
        if request.header("authorization").is_some() {
            return ScriptedReply::problem(401, kind::UNAUTHENTICATED, "a valid token is required");
        }
        well(request)
    });
    let slipway = Slipway::new();
    fs::write(slipway.home.path().join("ca.pem"), server.ca_pem()).unwrap();
    let token = format!("slw_{}", "0".repeat(64));
    fs::write(slipway.home.path().join("token"), &token).unwrap();
    let args = ["verify", "--url", &server.url(), "--ca-file", "ca.pem", "--json"];
    let by_flag = slipway.run(&[&args[..], &["--token-file", "token"]].concat());
    let by_variable = slipway.env("SLIPWAY_TOKEN", &token).run(&args);
    for (ran, place) in [
        (
            by_flag,
            "the token in token does not work: it is unknown, revoked or expired; put another one there",
        ),
        (
            by_variable,
            "the token in SLIPWAY_TOKEN does not work: it is unknown, revoked or expired",
        ),
    ] {
        let lines = ran.json()["checks"].as_array().unwrap().clone();
        for check in ["hosts", "audit"] {
            expect(&lines, check, "not_checked", place);
        }
    }
}

#[test]
fn wrong_arguments_and_files_are_2() {
    let slipway = Slipway::new();
    let stacks = slipway.home.path().join("stacks");
    fs::create_dir(&stacks).unwrap();
    fs::write(stacks.join("shop.json"), "{\"version\": 3}").unwrap();
    for (args, code, text) in [
        (&["--timeout", "0"][..], 2, "give a whole number from 1 to 600"),
        (&["--stack", "none"], 2, "this host has no stack `none`"),
        (
            &["--stack", "shop", "--stacks-dir", "stacks"],
            2,
            "version 3, and this slipway knows 1",
        ),
        (
            &["--stacks-dir", "stacks"],
            2,
            "stacks/shop.json is no description of a stack",
        ),
        (
            &["--stack", "web", "--stacks-dir", "stacks"],
            2,
            "there are: shop",
        ),
        (&["--url", "x"], 2, "it has no scheme"),
        (
            &["--url", "http://127.0.0.1:1", "--backup-url", "x"],
            2,
            "it has no scheme",
        ),
        (&["--stacks-dir", "nowhere"], 3, "nowhere should describe them"),
        (
            &["--url", "https://a.example", "--ca-file", "nowhere"],
            2,
            "help: name a text file",
        ),
    ] {
        let ran = slipway.run(&[&["verify"], args].concat());
        assert!(ran.code == code && ran.stderr.contains(text), "{args:?}: {ran:?}");
        assert_eq!(ran.stdout, "");
    }
}
