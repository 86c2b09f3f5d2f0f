//! Approving a rollout by the plan that was looked at.

use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply};

use crate::common::{CLOSURE, RELEASE, ROLLOUT, Slipway, rollout};

#[test]
fn an_approval_names_the_plan_that_was_looked_at() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let plans = json!({
        "rollout": ROLLOUT, "environment": "prod", "release": RELEASE, "state": "pending_approval", "digest": digest,
        "plans": [{
            "digest": format!("sha256:{}", "cd".repeat(32)),
            "plan": {"sections": {
                "units": {"entries": [{"name": "web.service", "change": "restart", "why": "ExecStart"}],
                          "cut": {"entries": 9999, "digest": digest}},
                "reboot": {"entries": [{"name": "kernel", "change": "changed", "before": "linux-6.12.1",
                                        "after": "linux-6.12.30"}]},
            }},
            "hosts": [{"host": "web-1", "report": {"digest": digest, "from": CLOSURE, "bytes_before": 1024,
                                                    "bytes_after": 2048, "bytes_new": 1536}}],
        }],
        "unknown": [{"host": "web-2", "state": "waiting", "online": false}],
    });
    let server = ScriptedApi::start(move |request| match request.path.as_str() {
        path if path.ends_with("/host-plans") => ScriptedReply::json(200, &plans),
        _ => ScriptedReply::json(202, &rollout("pending_approval", None, ["staged", "waiting"])),
    });
    let slipway = Slipway::at(&server);
    let shown = slipway.run(&["rollout", "show", "--plan", ROLLOUT]);
    for expected in [
        "needs a reboot (1)\n    kernel: linux-6.12.1 -> linux-6.12.30\n",
        "units (10000)\n    restart web.service (ExecStart)\n    and 9999 more\n",
        "closure 1.0 KiB -> 2.0 KiB, of which 1.5 KiB new here",
        "web-2\n  offline, so not known\n",
        &format!("slipway rollout approve {ROLLOUT} --plan {digest}"),
    ] {
        assert!(shown.stdout.contains(expected), "{expected}: {}", shown.stdout);
    }
    let bare = slipway.run(&["rollout", "approve", ROLLOUT]);
    assert!(
        bare.code == 2 && bare.stderr.contains(&format!("--plan {digest}")),
        "{bare:?}"
    );
    let short = slipway.run(&["rollout", "approve", ROLLOUT, "--plan", "abab"]);
    assert!(
        short.code == 2 && short.stderr.contains("give the whole digest"),
        "{short:?}"
    );
    let ran = slipway.run(&[
        "rollout", "approve", ROLLOUT, "--plan", &digest, "--reason", "because",
    ]);
    assert!(
        ran.stdout.starts_with(&format!(
            "approved the rollout {ROLLOUT} with the plan {digest}; a worker takes it up"
        )),
        "{ran:?}"
    );
    let sent = server.requests().pop().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&sent.body).unwrap(),
        json!({"command": "approve", "reason": "because", "plan": digest})
    );
}

#[test]
fn a_plan_that_cannot_be_approved_says_why_and_gives_no_command_that_fails() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let plans = |unknown: Value, refused: Value| {
        json!({
            "rollout": ROLLOUT, "environment": "prod", "release": RELEASE, "state": "pending_approval", "digest": digest,
            "plans": [], "unknown": unknown, "rollout_number": 5, "approval_refused": refused,
        })
    };
    let host = |name: &str| json!({"host": name, "state": "staging", "online": true});
    let unknown =
        json!([host("web-1"), host("web-2"), {"host": "web-3", "state": "staging", "online": false}]);
    let answer = plans(unknown, Value::Null);
    let server = ScriptedApi::start(move |_| ScriptedReply::json(200, &answer));
    let slipway = Slipway::at(&server);
    let why = "it cannot be approved yet: 2 online hosts have still to fetch: web-1, web-2\n";
    let shown = slipway.run(&["rollout", "show", "--plan", "5"]).stdout;
    assert!(
        shown.contains("\n3 hosts, and no plan is known yet\n")
            && shown.ends_with(&format!("\n{why}look again: slipway rollout show --plan 5\n")),
        "{shown}"
    );
    let bare = slipway.run(&["rollout", "approve", "5"]);
    assert!(bare.code == 2 && bare.stderr.contains(why), "{bare:?}");
    for said in [&shown, &bare.stderr] {
        assert!(!said.contains("approve 5 --plan"), "{said}");
    }
    let refused = plans(json!([]), json!("whoever started a rollout cannot approve it"));
    let server = ScriptedApi::start(move |_| ScriptedReply::json(200, &refused));
    let shown = Slipway::at(&server)
        .run(&["rollout", "show", "--plan", "5"])
        .stdout;
    assert!(
        shown.ends_with("\nyou cannot approve it: whoever started a rollout cannot approve it\n"),
        "{shown}"
    );
}
