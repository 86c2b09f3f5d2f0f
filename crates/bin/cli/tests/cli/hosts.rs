//! What a host is shown as, and a reboot of one.

use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply};

use crate::common::{CLOSURE, RELEASE, ROLLOUT, Slipway, environment, host, rollout};

fn list(items: &Value) -> ScriptedReply {
    ScriptedReply::json(200, &json!({ "items": items }))
}

#[test]
fn a_host_in_trouble_is_seen_in_every_list_and_what_is_not_known_is_said() {
    let server = ScriptedApi::start(|request| {
        let mut host = host("web-1");
        host["trouble"] = json!("two machines use this host's token");
        host["unknown"] = json!("its agent does not count");
        host["pending_reboot"] = json!(["initrd", "kernel"]);
        match request.line().as_str() {
            "GET /api/v1/environments" => list(&json!([environment()])),
            "GET /api/v1/hosts" => list(&json!([host])),
            "GET /api/v1/hosts/web-1" => ScriptedReply::json(200, &host),
            _ => ScriptedReply::empty(500),
        }
    });
    for (command, expected) in [
        (&["status"][..], "! web-1: two machines use this host's token"),
        (&["status"], "web-1  in trouble"),
        (&["host", "list"], "in trouble"),
        (
            &["host", "show", "web-1"],
            "trouble       two machines use this host's token",
        ),
        (
            &["host", "show", "web-1"],
            "not known     its agent does not count",
        ),
        (
            &["host", "show", "web-1"],
            "reboot        pending for initrd, kernel",
        ),
        (
            &["status"],
            "! web-1: a reboot is pending for initrd, kernel; slipway host reboot web-1",
        ),
    ] {
        let ran = Slipway::at(&server).run(command);
        assert!(ran.stdout.contains(expected), "{ran:?}");
    }
}

#[test]
fn a_host_shows_what_it_becomes_only_while_something_is_under_way() {
    for (state, expected) in [
        ("activating", Some("becomes       #3 v3, /nix/store/")),
        ("committed", None),
        ("reverted", Some("last asked    #3 v3, /nix/store/")),
    ] {
        let server = ScriptedApi::start(move |_| {
            let mut host = host("web-1");
            host["step"] = json!({"rollout": ROLLOUT, "state": state, "closure": CLOSURE, "reason": null,
                "rollout_number": 3, "release": {"id": RELEASE, "number": 3, "name": "v3"}});
            ScriptedReply::json(200, &host)
        });
        let shown = Slipway::at(&server).run(&["host", "show", "web-1"]).stdout;
        match expected {
            Some(expected) => assert!(shown.contains(expected), "{shown}"),
            None => assert!(
                !shown.contains("becomes") && !shown.contains("last asked"),
                "{shown}"
            ),
        }
        assert_eq!(shown.contains("(went back)"), state == "reverted", "{shown}");
    }
}

#[test]
fn hosts_that_were_left_out_are_one_line_and_those_that_went_wrong_are_named() {
    let of = |name: &str, state: &str, reason: &str| {
        let mut host = host(name);
        host["step"] = json!({"rollout": ROLLOUT, "state": state, "closure": CLOSURE, "reason": reason});
        host
    };
    let left_out = "not begun before the rollout went back";
    let hosts = json!([
        of("web-1", "reverted", "check healthy: answered 500"),
        of("web-2", "skipped", left_out),
        of("web-3", "skipped", left_out),
        of("web-4", "skipped", "offline when its turn came"),
    ]);
    let server = ScriptedApi::start(move |request| match request.line().as_str() {
        "GET /api/v1/environments" => list(&json!([environment()])),
        _ => list(&hosts),
    });
    let shown = Slipway::at(&server).run(&["status"]).stdout;
    let notes: Vec<&str> = shown.trim_end().lines().skip(6).collect();
    assert_eq!(
        notes,
        [
            "! web-1: went back: check healthy: answered 500",
            "  2 hosts were left out: not begun before the rollout went back",
            "  web-4 was left out: offline when its turn came",
        ],
        "{shown}"
    );
}

#[test]
fn a_host_reboots_on_the_release_that_it_runs() {
    let server = |state: &'static str| {
        ScriptedApi::start(move |request| {
            let mut host = host("web-1");
            host["live"] = json!(CLOSURE);
            let of_step = if state == "went back" { "reverted" } else { state };
            host["step"] = json!({"rollout": ROLLOUT, "state": of_step, "closure": CLOSURE, "reason": null});
            if state == "went back" {
                host["release"] = json!({"id": RELEASE, "number": 2});
            }
            match request.line().as_str() {
                "GET /api/v1/hosts/web-1" => ScriptedReply::json(200, &host),
                line if line == format!("GET /api/v1/rollouts/{ROLLOUT}") => {
                    ScriptedReply::json(200, &rollout("succeeded", None, ["committed", "committed"]))
                }
                "POST /api/v1/rollouts" => {
                    let sent: Value = serde_json::from_str(&request.body).unwrap();
                    let expected = json!({"environment": "prod", "release": RELEASE, "hosts": ["web-1"], "reboot": true});
                    assert_eq!(sent, expected);
                    ScriptedReply::json(201, &rollout("staging", None, ["waiting", "waiting"]))
                }
                _ => ScriptedReply::empty(500),
            }
        })
    };
    let ran = Slipway::at(&server("committed")).run(&["host", "reboot", "web-1"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout
            .contains(&format!("next: slipway rollout watch {ROLLOUT}")),
        "{ran:?}"
    );
    // Its newest rollout went back, and `host show` knows what runs all the same.
    let ran = Slipway::at(&server("went back")).run(&["host", "reboot", "web-1"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = Slipway::at(&server("reverted")).run(&["host", "reboot", "web-1"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr
            .contains("slipway rollout start prod RELEASE --host web-1 --reboot"),
        "{ran:?}"
    );
}
