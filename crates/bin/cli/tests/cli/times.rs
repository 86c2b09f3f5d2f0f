//! Windows, freezes, and the times of rollouts.

use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply};

use crate::common::{AT, RELEASE, ROLLOUT, Slipway, environment, rollout};

const FREEZE: &str = "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b13";

fn freeze() -> Value {
    json!({ "id": FREEZE, "from": AT, "until": "2027-01-04T06:00:00Z", "reason": "year's end", "by": "grace" })
}

fn hold() -> Value {
    json!({ "until": "2027-01-04T08:00:00Z", "why": "frozen until 2027-01-04 06:00:00Z by grace: year's end" })
}

fn api() -> ScriptedApi {
    ScriptedApi::start(|request| match request.line().as_str() {
        "POST /api/v1/environments/prod/freezes" => ScriptedReply::json(201, &freeze()),
        line if line == format!("DELETE /api/v1/freezes/{FREEZE}") => ScriptedReply::empty(204),
        line if line.ends_with("/environments/prod") => {
            let mut environment = environment();
            environment["windows"] = json!(["mon-thu 09:00-16:00 Europe/Berlin"]);
            environment["freezes"] = json!([freeze()]);
            environment["hold"] = hold();
            ScriptedReply::json(200, &environment)
        }
        line => {
            let mut waiting = rollout("rolling", None, ["staged", "staged"]);
            waiting["hold"] = hold();
            waiting["not_before"] = json!("2026-12-01T21:00:00Z");
            waiting["overridden"] = json!({ "by": "grace", "reason": "a hole" });
            ScriptedReply::json(if line.starts_with("POST") { 201 } else { 200 }, &waiting)
        }
    })
}

#[test]
fn what_people_write_of_times_reaches_the_api_in_its_form() {
    let api = api();
    let slipway = Slipway::at(&api);
    for (args, line, body) in [
        (
            &[
                "env",
                "set",
                "prod",
                "--window",
                "MON-THU 9:00-16:00 europe/berlin",
                "--window",
                "sun 10:00-12:00 UTC",
            ][..],
            "PATCH /api/v1/environments/prod".to_owned(),
            json!({ "windows": ["mon-thu 09:00-16:00 Europe/Berlin", "sun 10:00-12:00 UTC"] }),
        ),
        (
            &["env", "set", "prod", "--no-windows"],
            "PATCH /api/v1/environments/prod".to_owned(),
            json!({ "windows": [] }),
        ),
        (
            &[
                "env",
                "freeze",
                "prod",
                "--until",
                "2027-01-04 07:00 Europe/Berlin",
                "--reason",
                "year's end",
            ],
            "POST /api/v1/environments/prod/freezes".to_owned(),
            json!({ "until": "2027-01-04T06:00:00Z", "reason": "year's end" }),
        ),
        (
            &[
                "rollout",
                "start",
                "prod",
                RELEASE,
                "--at",
                "2026-12-01T22:00:00+01:00",
            ],
            "POST /api/v1/rollouts".to_owned(),
            json!({ "environment": "prod", "release": RELEASE, "not_before": "2026-12-01T21:00:00Z" }),
        ),
        (
            &[
                "rollout",
                "start",
                "prod",
                RELEASE,
                "--override-freeze",
                "--reason",
                "a hole",
            ],
            "POST /api/v1/rollouts".to_owned(),
            json!({ "environment": "prod", "release": RELEASE, "override_freeze": "a hole" }),
        ),
        (
            &["rollout", "override-freeze", ROLLOUT, "--reason", "a hole"],
            format!("POST /api/v1/rollouts/{ROLLOUT}/commands"),
            json!({ "command": "override_freeze", "reason": "a hole" }),
        ),
    ] {
        let ran = slipway.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        let sent = api.requests().pop().unwrap();
        assert_eq!(sent.line(), line);
        assert_eq!(
            serde_json::from_slice::<Value>(&sent.bytes).unwrap(),
            body,
            "{args:?}"
        );
    }
    let thawed = slipway.run(&["env", "thaw", FREEZE]);
    assert_eq!(
        thawed.stdout,
        format!("ended the freeze {FREEZE}\n"),
        "{thawed:?}"
    );
}

#[test]
fn a_rollout_that_waits_and_a_frozen_environment_say_until_when_and_why() {
    let api = api();
    let slipway = Slipway::at(&api);
    let shown = slipway.run(&["rollout", "show", ROLLOUT]).stdout;
    for line in [
        "not before   2026-12-01 21:00:00Z\n",
        "waits until  2027-01-04 08:00:00Z: frozen until 2027-01-04 06:00:00Z by grace: year's end\n",
        "overrides    windows and freezes, by grace: a hole\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let shown = slipway.run(&["env", "show", "prod"]).stdout;
    for line in [
        "window             mon-thu 09:00-16:00 Europe/Berlin\n",
        &format!(
            "frozen             2026-03-01 12:00:00Z to 2027-01-04 06:00:00Z by grace: year's end ({FREEZE})\n"
        ),
        "rollouts now       begin nothing until 2027-01-04 08:00:00Z: frozen",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn bad_times_are_refused_before_anything_is_sent() {
    let api = api();
    let slipway = Slipway::at(&api);
    for (args, said) in [
        (
            &["env", "set", "prod", "--window", "mon 09:00-09:00 UTC"][..],
            "for a whole day write 00:00-24:00",
        ),
        (
            &["env", "set", "prod", "--window", "mon 09:00-10:00 Mars/Base"],
            "`Mars/Base` is not a time zone",
        ),
        (
            &[
                "env",
                "set",
                "prod",
                "--window",
                "09:00-10:00 UTC",
                "--no-windows",
            ],
            "cannot be used with",
        ),
        (&["env", "freeze", "prod", "--reason", "x"], "--until"),
        (
            &[
                "env",
                "freeze",
                "prod",
                "--until",
                "2027-01-04 07:00",
                "--reason",
                "x",
            ],
            "write it with an offset",
        ),
        (
            &["rollout", "start", "prod", RELEASE, "--at", "soon"],
            "is not a time: write it with an offset",
        ),
        (
            &[
                "rollout",
                "start",
                "prod",
                RELEASE,
                "--at",
                "2026-10-25 02:30 Europe/Berlin",
            ],
            "show 2026-10-25 02:30 twice",
        ),
        (
            &["rollout", "start", "prod", RELEASE, "--override-freeze"],
            "--reason",
        ),
        (
            &["rollout", "start", "prod", RELEASE, "--reason", "x"],
            "--override-freeze",
        ),
        (
            &["rollout", "override-freeze", "prod", "--reason", "x"],
            "give the number of a rollout",
        ),
    ] {
        let ran = slipway.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
    }
    assert!(api.requests().is_empty());
}
