//! Following a rollout: to every kind of end, through restarts of the API, on a terminal and in a log.

use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{AT, ROLLOUT, Ran, Slipway, news, rollout};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use slipway_client::testing::{ReceivedRequest, ScriptedApi, ScriptedReply};

/// A rollout that the test moves on while it is watched.
#[derive(Clone)]
struct Stage(Arc<Mutex<(Value, Vec<Value>)>>);

impl Stage {
    fn new() -> Self {
        let stage = Self(Arc::new(Mutex::new((Value::Null, Vec::new()))));
        stage.set("rolling", None, ["verifying", "waiting"]);
        stage.happens(None, "staging", "rolling", "all hosts are staged");
        stage
    }

    fn set(&self, state: &str, reason: Option<&str>, steps: [&str; 2]) {
        self.0.lock().unwrap().0 = rollout(state, reason, steps);
    }

    fn happens(&self, host: Option<&str>, from: &str, to: &str, cause: &str) {
        let events = &mut self.0.lock().unwrap().1;
        let step = host.map(|_| crate::common::TOKEN_ID);
        events.push(json!({
            "number": events.len() + 1, "at": AT, "actor": {"kind": "rules"}, "kind": "state", "environment": null,
            "rollout": ROLLOUT, "step": step, "host": step, "from": from, "to": to, "cause": cause, "hash": "",
            "host_name": host,
        }));
    }

    fn reply(&self, request: &ReceivedRequest) -> ScriptedReply {
        let stage = self.0.lock().unwrap();
        if !request.path.ends_with("/events") {
            return ScriptedReply::json(200, &stage.0);
        }
        news(request, &stage.1)
    }

    fn serve(&self, port: u16) -> ScriptedApi {
        let stage = self.clone();
        ScriptedApi::start_on(port, move |request| stage.reply(request))
    }
}

fn watch(slipway: &Slipway, args: &[&str]) -> Child {
    slipway.start(&[&["rollout", "watch", ROLLOUT], args].concat())
}

/// Waits until the server was asked for news.
fn until_watched(server: &ScriptedApi) {
    for _ in 0..2400 {
        if server
            .requests()
            .iter()
            .any(|request| request.header("prefer").is_some())
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("nobody asked for news");
}

fn end(child: Child) -> Ran {
    child.wait_with_output().unwrap().into()
}

#[test]
fn every_end_has_its_exit_code_and_is_told_with_its_reason() {
    for (state, steps, code) in [
        ("succeeded", ["committed", "committed"], 0),
        ("reverted", ["reverted", "skipped"], 10),
        ("failed", ["stuck", "skipped"], 11),
        ("aborted", ["reverted", "skipped"], 12),
    ] {
        let stage = Stage::new();
        let server = stage.serve(0);
        let slipway = Slipway::at(&server);
        let child = watch(&slipway, &[]);
        until_watched(&server);
        stage.set(state, Some("so it was"), steps);
        stage.happens(Some("web-1"), "verifying", steps[0], "said the\u{1b}[2J checks");
        stage.happens(None, "rolling", state, "so it was");
        let ran = end(child);
        assert_eq!(ran.code, code, "{ran:?}");
        let lines: Vec<&str> = ran.stdout.lines().collect();
        assert_eq!(
            lines,
            [
                "2026-03-01T12:00:00Z rollout staging -> rolling: all hosts are staged",
                &format!(
                    "2026-03-01T12:00:00Z web-1 verifying -> {}: said the\u{fffd}[2J checks",
                    steps[0]
                ),
                &format!("2026-03-01T12:00:00Z rollout rolling -> {state}: so it was"),
                &format!("rollout {ROLLOUT} {state}: so it was"),
            ]
        );
    }
}

#[test]
fn an_api_that_restarts_is_waited_for_and_nothing_is_missed() {
    let stage = Stage::new();
    let server = stage.serve(0);
    let slipway = Slipway::at(&server);
    let port = server.port();
    let child = watch(&slipway, &[]);
    until_watched(&server);
    drop(server);
    std::thread::sleep(Duration::from_secs(3));
    stage.set("succeeded", None, ["committed", "committed"]);
    stage.happens(
        Some("web-1"),
        "verified",
        "committed",
        "while nobody could see it",
    );
    let _server = stage.serve(port);
    let ran = end(child);
    assert_eq!(ran.code, 0, "{ran:?}");
    for expected in [
        "cannot reach http://127.0.0.1:",
        "trying again",
        "the API answers again",
        "web-1 verified -> committed: while nobody could see it",
    ] {
        assert_eq!(
            ran.stdout.matches(expected).count(),
            1,
            "{expected}: {}",
            ran.stdout
        );
    }
}

#[test]
fn with_json_the_document_is_alone_on_stdout() {
    let stage = Stage::new();
    stage.set("reverted", Some("checks failed"), ["reverted", "skipped"]);
    let server = stage.serve(0);
    let ran = end(watch(&Slipway::at(&server), &["--json"]));
    assert_eq!(ran.code, 10);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["state"], "reverted");
    assert!(ran.stderr.contains("staging -> rolling"), "{}", ran.stderr);
}

#[test]
fn waiting_for_a_person_ends_the_watching_only_when_asked() {
    for (state, steps) in [
        ("paused", ["committed", "waiting"]),
        ("pending_approval", ["staged", "staged"]),
    ] {
        let stage = Stage::new();
        stage.set(state, None, steps);
        let server = stage.serve(0);
        let ran = end(watch(&Slipway::at(&server), &["--until-paused"]));
        assert_eq!(ran.code, 13, "{ran:?}");
        assert!(ran.stdout.contains("next: slipway rollout "), "{}", ran.stdout);
        let ran = end(watch(&Slipway::at(&server), &["--timeout", "1"]));
        assert_eq!(ran.code, 14, "{ran:?}");
    }
}

#[test]
fn a_rollout_waits_for_its_approval_once_all_hosts_that_are_online_have_fetched() {
    let stage = Stage::new();
    stage.set("pending_approval", None, ["staged", "staging"]);
    let online = Arc::new(Mutex::new(true));
    let server = {
        let (stage, online) = (stage.clone(), Arc::clone(&online));
        ScriptedApi::start(move |request| {
            if !request.path.ends_with("/host-plans") {
                return stage.reply(request);
            }
            let unknown = json!({"host": "web-2", "state": "staging", "online": *online.lock().unwrap()});
            let plans = json!({
                "rollout": ROLLOUT, "environment": "prod", "release": crate::common::RELEASE, "state": "pending_approval",
                "digest": format!("sha256:{}", "ab".repeat(32)), "plans": [], "unknown": [unknown],
            });
            ScriptedReply::json(200, &plans)
        })
    };
    let slipway = Slipway::at(&server);
    let looked = |times: usize| {
        let until = std::time::Instant::now() + Duration::from_mins(1);
        let looks = || {
            let requests = server.requests();
            let looks = requests
                .iter()
                .filter(|request| request.path.ends_with("/host-plans"));
            looks.count()
        };
        while looks() < times {
            assert!(std::time::Instant::now() < until, "nobody looked at the plans");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let child = watch(&slipway, &["--until-paused"]);
    looked(2);
    *online.lock().unwrap() = false;
    let ran = end(child);
    assert_eq!(ran.code, 13, "{ran:?}");
    // The last host that fetched leaves nobody to ask about.
    *online.lock().unwrap() = true;
    let child = watch(&slipway, &["--until-paused"]);
    looked(5);
    stage.set("pending_approval", None, ["staged", "staged"]);
    assert_eq!(end(child).code, 13);
}

#[test]
fn what_an_agent_reports_is_told_with_the_host_first_and_the_value_last() {
    let stage = Stage::new();
    stage.set("succeeded", None, ["committed", "committed"]);
    for (kind, to) in [
        ("step.plan", format!("sha256:{}", "9b".repeat(32))),
        ("step.prior", crate::common::CLOSURE.to_owned()),
    ] {
        let events = &mut stage.0.lock().unwrap().1;
        let step = crate::common::TOKEN_ID;
        events.push(json!({
            "number": events.len() + 1, "at": AT, "actor": {"kind": "host", "name": "web-1"}, "kind": kind,
            "environment": null, "rollout": ROLLOUT, "step": step, "host": step, "from": null, "to": to,
            "cause": "so it is", "hash": "", "host_name": "web-1",
        }));
    }
    let server = stage.serve(0);
    let ran = end(watch(&Slipway::at(&server), &[]));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        lines[1..3],
        [
            "2026-03-01T12:00:00Z web-1 reported its plan 9b9b9b9b9b9b",
            "2026-03-01T12:00:00Z web-1 ran 0c5r1m2n…-nixos-system-web before",
        ],
        "{ran:?}"
    );
}

#[test]
fn what_checks_say_is_told_once_while_a_host_is_verified() {
    let stage = Stage::new();
    let server = stage.serve(0);
    let child = watch(&Slipway::at(&server), &[]);
    let said = "the checks do not pass yet: check web: answered 500";
    let looks = || {
        let requests = server.requests();
        requests
            .iter()
            .filter(|request| request.path.ends_with(ROLLOUT))
            .count()
    };
    stage.0.lock().unwrap().0["steps"][0]["checks"] = json!(said);
    // Twice the same is told once.
    let until = std::time::Instant::now() + Duration::from_mins(1);
    let before = looks();
    while looks() < before + 3 {
        assert!(std::time::Instant::now() < until, "nobody looks at the rollout");
        std::thread::sleep(Duration::from_millis(20));
    }
    stage.set("succeeded", None, ["committed", "committed"]);
    let ran = end(child);
    assert_eq!(ran.code, 0, "{ran:?}");
    let line = format!("web-1 verifying: {said}\n");
    assert_eq!(ran.stdout.matches(&line).count(), 1, "{}", ran.stdout);
}

#[test]
fn a_signal_stops_the_watching_only_and_says_so() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let stage = Stage::new();
        let server = stage.serve(0);
        let child = watch(&Slipway::at(&server), &[]);
        until_watched(&server);
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let ran = end(child);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(
            ran.stderr
                .contains(&format!("to stop it: slipway rollout abort {ROLLOUT}")),
            "{}",
            ran.stderr
        );
        assert!(server.requests().iter().all(|request| request.method == "GET"));
    }
}

#[test]
fn a_wrong_id_or_address_ends_at_once() {
    let server = ScriptedApi::start(|_| ScriptedReply::problem(404, "not-found", "there is no such rollout"));
    let slipway = Slipway::at(&server);
    let ran = end(watch(&slipway, &[]));
    assert!(
        ran.code == 4 && ran.stderr.contains("there is no such rollout"),
        "{ran:?}"
    );
    drop(server);
    assert_eq!(end(watch(&slipway, &[])).code, 6);
}

#[test]
fn on_a_terminal_there_are_bars_and_then_the_end() {
    let stage = Stage::new();
    let server = stage.serve(0);
    let slipway = Slipway::at(&server);
    let (mut child, reader) = slipway.start_on_a_terminal(&["rollout", "watch", ROLLOUT]);
    until_watched(&server);
    std::thread::sleep(Duration::from_millis(300));
    stage.set("succeeded", None, ["committed", "committed"]);
    stage.happens(None, "rolling", "succeeded", "all 2 hosts run the release");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let screen = reader.join().unwrap();
    for expected in [
        "prod [   ",
        "] 0/2 committed  rolling",
        "  canary  web-1  verifying",
        "       1  web-2  waiting",
        "rollout rolling -> succeeded: all 2 hosts run the release",
    ] {
        assert!(screen.contains(expected), "{expected}: {screen:?}");
    }
    assert!(
        screen
            .trim_end()
            .ends_with(&format!("rollout {ROLLOUT} succeeded")),
        "{screen:?}"
    );
}
