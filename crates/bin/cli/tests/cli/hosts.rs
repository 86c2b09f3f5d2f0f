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
