//! `slipway open` and `slipway doctor`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply};
use slipway_wire::problem::kind;

use crate::common::{CLOSURE, RELEASE, ROLLOUT, Ran, Slipway, environment, host, rollout, whoami};

fn api() -> ScriptedApi {
    ScriptedApi::start(|request| match request.line().as_str() {
        "GET /api/v1/rollouts/latest"
        | "GET /api/v1/rollouts/34"
        | "GET /api/v1/rollouts/0198a4e2"
        | "GET /api/v1/rollouts/0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10" => {
            let mut rollout = rollout("rolling", None, ["committed", "waiting"]);
            rollout["number"] = json!(34);
            ScriptedReply::json(200, &rollout)
        }
        "GET /api/v1/releases/previous@prod" | "GET /api/v1/releases/11" | "GET /api/v1/releases/v1.3.0" => {
            ScriptedReply::json(200, &release())
        }
        "GET /api/v1/hosts/web-1" => ScriptedReply::json(200, &host("web-1")),
        "GET /api/v1/environments/prod" => {
            let mut environment = environment();
            environment["open_rollout"] = json!(ROLLOUT);
            ScriptedReply::json(200, &environment)
        }
        _ => ScriptedReply::problem(404, kind::NOT_FOUND, "no such thing"),
    })
}

fn release() -> Value {
    json!({
        "id": RELEASE, "closures": {"web-1": CLOSURE}, "source": {"rev": "4f2c1d9abc0123"}, "message": null,
        "author": "ci", "created_at": crate::common::AT, "number": 11, "name": "v1.3.0",
    })
}

#[test]
fn a_page_is_that_of_one_thing_and_stays_so() {
    let api = api();
    let slipway = Slipway::at(&api);
    for (args, path) in [
        (&[][..], "/"),
        (&["env"], "/"),
        (&["host"], "/hosts"),
        (&["release"], "/releases"),
        (&["rollout"], "/rollouts"),
        (&["audit"], "/audit"),
        (&["access"], "/access"),
        (&["sessions"], "/sessions"),
    ] {
        let ran = slipway.run(&[&["open"], args].concat());
        assert_eq!(
            (ran.code, ran.stdout.trim_end()),
            (0, format!("{}{path}", api.url().trim_end_matches('/')).as_str()),
            "{args:?}: {ran:?}"
        );
    }
    assert!(api.requests().is_empty(), "a list is there in any case");
    for (args, path) in [
        (["env", "prod"], "/environments/prod"),
        (["host", "web-1"], "/hosts/web-1"),
        (["release", "#11"], "/releases/11"),
        (["release", "v1.3.0"], "/releases/11"),
        (["rollout", "34"], "/rollouts/34"),
        (["rollout", "0198a4e2"], "/rollouts/34"),
        (["rollout", "latest"], "/rollouts/34"),
        (["rollout", "prod"], "/rollouts/34"),
        (["release", "previous@prod"], "/releases/11"),
    ] {
        let json = slipway.run(&[&["open", "--json"], &args[..]].concat()).json();
        assert!(json["url"].as_str().unwrap().ends_with(path), "{args:?}: {json}");
    }
    for (args, code, said) in [
        (&["audit", "x"][..], 2, "leave the name out"),
        (&["host", "../x"], 2, "not a valid host name"),
        (&["release", "V1"], 2, "`V1` is no release"),
        (&["page"], 2, "possible values: env, host"),
        (&["release", "latest"], 4, "no such thing"),
        (&["release", "99"], 4, "no such thing"),
        (&["release", "v9"], 4, "no such thing"),
        (&["host", "web-9"], 4, "no such thing"),
        (&["env", "nope"], 4, "no such thing"),
    ] {
        let ran = slipway.run(&[&["open"], args].concat());
        assert!(ran.code == code && ran.stderr.contains(said), "{args:?}: {ran:?}");
    }
    let nowhere = Slipway::new().run(&["open"]);
    assert!(
        nowhere.code == 3 && nowhere.stderr.contains("slipway login"),
        "{nowhere:?}"
    );
}

/// Runs it on a terminal, with a browser that notes what it is given and fails if it sees the token.
fn on_a_terminal(args: &[&str], fails: bool) -> (String, String) {
    let api = api();
    let slipway = Slipway::at(&api);
    let (browser, opened) = (
        slipway.home.path().join("browser"),
        slipway.home.path().join("opened"),
    );
    let end = if fails { 3 } else { 0 };
    let script = format!(
        "#!/bin/sh\necho \"$*:${{SLIPWAY_TOKEN-}}\" >'{}'\nexit {end}\n",
        opened.display()
    );
    fs::write(&browser, script).unwrap();
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).unwrap();
    let slipway = slipway.env("BROWSER", browser.to_str().unwrap());
    let (mut child, reader) = slipway.start_on_a_terminal(args);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    (
        reader.join().unwrap(),
        fs::read_to_string(opened).unwrap_or_default(),
    )
}

#[test]
fn on_a_terminal_the_browser_gets_the_page_and_no_token() {
    let (screen, opened) = on_a_terminal(&["open", "host", "web-1"], false);
    assert!(opened.ends_with("/hosts/web-1:\n"), "{opened}");
    assert!(
        screen.contains("/hosts/web-1") && !screen.contains("did not open"),
        "{screen}"
    );
    let (screen, _) = on_a_terminal(&["open", "host", "web-1"], true);
    assert!(screen.contains("did not open it (exit status: 3)"), "{screen}");
    let (_, opened) = on_a_terminal(&["open", "host", "web-1", "--print"], false);
    assert_eq!(opened, "");
}

/// A control plane that is well, but for what a test says of its host.
fn plane(seen: Value, version: &'static str) -> ScriptedApi {
    ScriptedApi::start(move |request| match request.path.as_str() {
        "/api/v1/whoami" => ScriptedReply::json(200, &whoami()),
        "/api/v1/monitoring/health" => ScriptedReply::json(
            200,
            &json!({"status": "ok", "version": version, "dependencies": {
                "database": {"status": "ok", "latency_ms": 1, "detail": null},
            }}),
        ),
        "/api/v1/monitoring/live" | "/api/v1/monitoring/ready" => ScriptedReply::empty(200),
        "/api/v1/hosts/web-1" => ScriptedReply::json(200, &seen),
        "/api/v1/environments/prod" => ScriptedReply::json(200, &environment()),
        "/api/v1/rollouts" => {
            let mut rollout = rollout("succeeded", None, ["committed", "committed"]);
            rollout["finished_at"] = json!(crate::common::AT);
            ScriptedReply::json(200, &json!({ "items": [rollout] }))
        }
        path if path == format!("/api/v1/releases/{RELEASE}") => ScriptedReply::json(200, &release()),
        _ => ScriptedReply::problem(404, kind::NOT_FOUND, "there is no such thing"),
    })
}

/// The state and the cure of a check.
fn found<'a>(json: &'a Value, check: &str) -> (&'a str, &'a str, &'a str) {
    let all = json["checks"].as_array().unwrap();
    let found = all.iter().find(|result| result["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check}: {json:#}"));
    let text = |field: &str| found[field].as_str().unwrap_or_default();
    (text("state"), text("seen"), text("cure"))
}

fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"))
}

#[test]
fn the_doctor_looks_at_the_machine_the_control_plane_and_a_host() {
    let api = plane(host("web-1"), env!("CARGO_PKG_VERSION"));
    let json = report(&Slipway::at(&api).run(&["doctor", "web-1", "--json"]));
    assert_eq!(found(&json, "address").0, "ok");
    assert_eq!(found(&json, "login"), ("ok", "admin, admin", ""));
    assert_eq!(found(&json, "version").0, "ok");
    assert_eq!(found(&json, "database").0, "ok");
    let (state, seen, _) = found(&json, "host");
    assert_eq!(state, "ok", "{json:#}");
    assert!(seen.ends_with("of release #11 v1.3.0 (4f2c1d9abc)"), "{seen}");

    let mut ill = host("web-1");
    ill["pending_reboot"] = json!(["kernel"]);
    ill["drift"] = json!({ "digest": format!("sha256:{}", "ab".repeat(32)), "items": [{
        "kind": "live", "expected": "/nix/store/a", "found": "/nix/store/b", "since": crate::common::AT,
    }]});
    let api = plane(ill, "9.9.9");
    let ran = Slipway::at(&api).run(&["doctor", "web-1", "--json"]);
    let json = report(&ran);
    assert_eq!(ran.code, 30, "{json:#}");
    let (state, seen, cure) = found(&json, "drift");
    assert!(state == "fail" && seen.contains("/nix/store/b") && cure.contains("slipway host accept web-1"));
    assert_eq!(found(&json, "reboot").2, "slipway host reboot web-1");
    let (state, seen, _) = found(&json, "version");
    assert!(state == "warn" && seen.contains("the API is 9.9.9"), "{seen}");
    let ran = Slipway::at(&api).run(&["doctor", "web-9", "--json"]);
    assert_eq!(
        (ran.code, found(&report(&ran), "host").2),
        (30, "slipway host list")
    );
}

#[test]
fn the_doctor_says_what_to_do_when_nothing_is_set_up() {
    let ran = Slipway::new().run(&["doctor", "--json"]);
    let json = report(&ran);
    assert_eq!(ran.code, 30, "{json:#}");
    let (state, _, cure) = found(&json, "address");
    assert!(
        state == "fail" && cure.contains("slipway login --url"),
        "{json:#}"
    );

    let api = plane(host("web-1"), env!("CARGO_PKG_VERSION"));
    let ran = Slipway::new()
        .env("SLIPWAY_URL", &api.url())
        .run(&["doctor", "web-1", "--json"]);
    let json = report(&ran);
    assert_eq!(ran.code, 30, "{json:#}");
    let (state, _, cure) = found(&json, "login");
    assert!(state == "fail" && cure.contains("slipway login"), "{json:#}");
    assert_eq!(
        (found(&json, "host").0, found(&json, "live").0),
        ("not_checked", "ok")
    );

    // Nothing answers there, which is said once, and none waits for long.
    let ran = Slipway::new()
        .env("SLIPWAY_URL", "http://127.0.0.1:1")
        .env("SLIPWAY_TOKEN", "slw_test")
        .run(&["doctor", "--json"]);
    let json = report(&ran);
    let (state, _, cure) = found(&json, "address");
    assert!(state == "fail" && cure.contains("check the port"), "{json:#}");
    assert_eq!(found(&json, "login").0, "not_checked", "{json:#}");
    assert_eq!(ran.code, 30, "{ran:?}");
    let text = Slipway::new()
        .env("SLIPWAY_URL", "http://127.0.0.1:1")
        .env("SLIPWAY_TOKEN", "slw_test")
        .run(&["doctor"]);
    assert!(text.stdout.contains("login, version, health"), "{text:?}");
    assert_eq!(text.stdout.matches("127.0.0.1:1").count(), 2, "{text:?}");
    assert!(!ran.stdout.contains("slw_test") && !ran.stderr.contains("slw_test"));
}
