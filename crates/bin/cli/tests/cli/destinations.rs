//! Destinations of messages.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply};

use crate::common::{AT, Slipway};

const ID: &str = "0198a4e2-7c1b-8f00-8a51-3f0e8d2c9b10";

fn destination(kind: &str, enabled: bool) -> Value {
    json!({
        "name": "ops", "kind": kind, "address": "https://hooks.example.org/…", "environments": [], "messages": [],
        "enabled": enabled, "disabled_because": (!enabled).then_some("it answered 410 Gone"), "waiting": 1, "dead": 2,
        "created_at": AT, "created_by": "admin",
    })
}

fn delivery(state: &str, error: Option<&str>) -> Value {
    json!({
        "id": ID, "destination": "ops", "message": {"type": "rollout.failed", "timestamp": AT, "data": {"environment": "prod"}},
        "state": state, "attempts": 3, "created_at": AT, "last_error": error,
    })
}

#[test]
fn a_webhook_is_made_and_its_secret_shown_with_what_is_next() {
    let server = ScriptedApi::start(|request| {
        assert_eq!(request.line(), "POST /api/v1/destinations");
        let sent: Value = serde_json::from_str(&request.body).unwrap();
        let expected = json!({
            "name": "ops", "kind": "standard", "url": "https://hooks.example.org/x", "environments": ["prod"],
            "messages": ["rollout.failed", "host.stuck"],
        });
        assert_eq!(sent, expected);
        ScriptedReply::json(
            201,
            &json!({ "destination": destination("standard", true), "secret": "whsec_abc" }),
        )
    });
    let ran = Slipway::at(&server).run(&[
        "destination",
        "create",
        "ops",
        "--kind",
        "standard",
        "--to",
        "https://hooks.example.org/x",
        "--environment",
        "prod",
        "--message",
        "rollout.failed",
        "--message",
        "host.stuck",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("secret: whsec_abc\n"), "{ran:?}");
    assert!(
        ran.stdout.ends_with("next: slipway destination test ops\n"),
        "{ran:?}"
    );
}

/// Other users of the machine see the arguments of every program.
#[test]
fn what_is_a_password_comes_from_a_file_or_stdin() {
    let server = ScriptedApi::start(|request| {
        let sent: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(sent["url"], "https://hooks.slack.com/services/secret");
        ScriptedReply::json(201, &json!({ "destination": destination("slack", true) }))
    });
    let slipway = Slipway::at(&server);
    let refused = slipway.run(&[
        "webhook",
        "create",
        "ops",
        "--kind",
        "slack",
        "--to",
        "https://hooks.slack.com/x",
    ]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("--to-file FILE"), "{refused:?}");
    let from_stdin = ["webhook", "create", "ops", "--kind", "slack", "--to-file", "-"];
    let ran = slipway.run_with_stdin(&from_stdin, "https://hooks.slack.com/services/secret\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    fs::write(
        slipway.home.path().join("url"),
        "https://hooks.slack.com/services/secret\n",
    )
    .unwrap();
    let ran = slipway.run(&["webhook", "create", "ops", "--kind", "slack", "--to-file", "url"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_test_says_whether_it_was_delivered() {
    for (end, code, words) in [
        (delivery("delivered", None), 0, "delivered the test to ops\n"),
        (
            delivery("waiting", Some("it answered 500 Internal\u{1b}[2J Server Error")),
            30,
            "not delivered to ops: it answered 500 Internal\u{fffd}[2J Server Error\nIt is tried again for a day.\n",
        ),
        // A receiver that is gone disables its destination at once.
        (
            delivery("dead", Some("it answered 410 Gone")),
            30,
            "not delivered to ops: it answered 410 Gone\nThe destination is disabled",
        ),
    ] {
        let looks = AtomicU32::new(0);
        let server = ScriptedApi::start(move |request| match request.line().as_str() {
            "POST /api/v1/destinations/ops/test" => ScriptedReply::json(201, &delivery("waiting", None)),
            line if line == format!("GET /api/v1/deliveries/{ID}") => {
                let first = looks.fetch_add(1, Ordering::Relaxed) == 0;
                ScriptedReply::json(
                    200,
                    &if first {
                        delivery("waiting", None)
                    } else {
                        end.clone()
                    },
                )
            }
            _ => ScriptedReply::empty(500),
        });
        let ran = Slipway::at(&server).run(&["destination", "test", "ops"]);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stdout.starts_with(words), "{ran:?}");
    }
}

#[test]
fn what_is_dead_is_shown_and_replayed() {
    let server = ScriptedApi::start(|request| match request.line().as_str() {
        "GET /api/v1/destinations" => {
            ScriptedReply::json(200, &json!({ "items": [destination("standard", false)] }))
        }
        "GET /api/v1/destinations/ops" => ScriptedReply::json(200, &destination("standard", false)),
        line if line.starts_with("GET /api/v1/destinations/ops/deliveries") => ScriptedReply::json(
            200,
            &json!({ "items": [delivery("dead", Some("it answered 500"))] }),
        ),
        "POST /api/v1/destinations/ops/replay" => ScriptedReply::json(200, &json!({ "replayed": 2 })),
        line if line == format!("POST /api/v1/deliveries/{ID}/replay") => {
            ScriptedReply::json(200, &delivery("waiting", None))
        }
        "PATCH /api/v1/destinations/ops" => {
            let sent: Value = serde_json::from_str(&request.body).unwrap();
            assert_eq!(sent, json!({ "enabled": true, "messages": [] }));
            ScriptedReply::json(200, &destination("standard", true))
        }
        "DELETE /api/v1/destinations/ops" => ScriptedReply::empty(204),
        _ => ScriptedReply::empty(500),
    });
    for (command, expected) in [
        (&["list"][..], "disabled"),
        (&["show", "ops"], "enabled       no: it answered 410 Gone"),
        (&["deliveries", "ops", "--state", "dead"], "rollout.failed  prod"),
        (&["replay", "ops"], "sending 2 messages to ops again"),
        (&["replay", "--delivery", ID], "to ops again"),
        (
            &["set", "ops", "--enabled", "true", "--all-messages"],
            "enabled       yes",
        ),
        (&["delete", "ops"], "deleted the destination ops"),
    ] {
        let ran = Slipway::at(&server).run(&[&["destination"], command].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains(expected), "{ran:?}");
    }
    for (wrong, said) in [
        (&["replay"][..], "--delivery"),
        (&["set", "ops"], "--enabled"),
        (
            &["create", "x", "--kind", "pager"],
            "use standard, slack, matrix, email",
        ),
        (&["set", "ops", "--message", "nope"], "use rollout."),
        (
            &["deliveries", "ops", "--state", "ded"],
            "use waiting, delivered, dead",
        ),
    ] {
        let ran = Slipway::at(&server).run(&[&["destination"], wrong].concat());
        assert!(ran.code == 2 && ran.stderr.contains(said), "{ran:?}");
    }
    let none = ScriptedApi::start(|_| ScriptedReply::json(200, &json!({ "replayed": 0 })));
    let ran = Slipway::at(&none).run(&["destination", "replay", "ops"]);
    assert!(ran.stdout.contains("nothing is sent again"), "{ran:?}");
}

#[test]
fn a_destination_that_fails_and_a_message_that_waits_for_another_say_so() {
    let server = ScriptedApi::start(|request| {
        let mut one = destination("standard", true);
        one["failing"] = json!("host name not found");
        let reply = match request.path.as_str() {
            "/api/v1/destinations" => json!({ "items": [one] }),
            "/api/v1/destinations/ops/deliveries" => {
                let mut waits = delivery("waiting", None);
                waits["waits_for"] = json!({ "id": ID, "kind": "rollout.started", "rollout_number": 7 });
                json!({ "items": [waits, delivery("waiting", Some("host name not found"))] })
            }
            _ => one,
        };
        ScriptedReply::json(200, &reply)
    });
    let slipway = Slipway::at(&server);
    let listed = slipway.run(&["destination", "list"]).stdout;
    assert!(listed.contains("failing: host name not found"), "{listed}");
    let shown = slipway.run(&["destination", "show", "ops"]).stdout;
    assert!(shown.contains("\nfailing       host name not found\n"), "{shown}");
    let deliveries = slipway.run(&["destination", "deliveries", "ops"]).stdout;
    let lines: Vec<&str> = deliveries.lines().skip(1).collect();
    assert!(
        lines[0].ends_with("waits for rollout.started of rollout #7")
            && lines[1].ends_with("host name not found"),
        "{deliveries}"
    );
}
