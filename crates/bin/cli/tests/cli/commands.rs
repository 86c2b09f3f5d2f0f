//! What the commands send and show.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::common::{AT, CLOSURE, RELEASE, ROLLOUT, Slipway, environment, host, rollout, token};
use serde_json::{Value, json};
use slipway_client::testing::{ReceivedRequest, ScriptedApi, ScriptedReply};
use slipway_wire::problem::kind;

fn list(items: &Value) -> ScriptedReply {
    ScriptedReply::json(200, &json!({ "items": items }))
}

fn body(request: &ReceivedRequest) -> Value {
    serde_json::from_str(&request.body).unwrap()
}

fn fleet() -> ScriptedApi {
    ScriptedApi::start(|request| match request.line().as_str() {
        "GET /api/v1/environments" => list(&json!([environment()])),
        "GET /api/v1/hosts" => {
            let mut skewed = host("web-2");
            skewed["clock_skew_seconds"] = json!(3600);
            skewed["online"] = json!(false);
            skewed["boot_default"] = json!(CLOSURE.replace("0c5r", "1c5r"));
            skewed["step"] = json!({
                "rollout": ROLLOUT, "state": "stuck", "closure": CLOSURE, "reason": "the switch script\nfailed",
            });
            list(&json!([host("web-1"), skewed]))
        }
        _ => ScriptedReply::empty(500),
    })
}

#[test]
fn status_shows_what_needs_a_look() {
    let ran = Slipway::at(&fleet()).run(&["status"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "prod: 2 hosts, 1 online; no rollout under way");
    assert!(lines[1].starts_with("HOST   STATE    SEEN"), "{}", lines[1]);
    assert!(
        lines[2].contains("web-1  online ") && lines[2].contains("same "),
        "{}",
        lines[2]
    );
    assert!(
        lines[3].contains("offline") && lines[3].contains("differs: 1c5r1m2n…-nixos-system-web  stuck"),
        "{}",
        lines[3]
    );
    assert_eq!(lines[4], "! web-2: its clock is 3600 s ahead; set it");
    assert_eq!(lines[5], "! web-2: stuck: the switch script failed");
    assert!(!ran.stdout.contains('\u{1b}'));
}

#[test]
fn status_as_json_is_one_document() {
    let json = Slipway::at(&fleet()).run(&["status", "--json"]).json();
    assert_eq!(json["environments"][0]["name"], "prod");
    assert_eq!(json["hosts"][1]["clock_skew_seconds"], 3600);
}

#[test]
fn a_host_comes_back_or_moves_and_an_environment_goes() {
    let server = ScriptedApi::start(|request| match request.line().as_str() {
        "POST /api/v1/hosts/web-1/restore" => {
            ScriptedReply::json(201, &json!({"host": host("web-1"), "token": token()}))
        }
        "PATCH /api/v1/hosts/web-1" => ScriptedReply::json(200, &host("web-1")),
        _ => ScriptedReply::empty(204),
    });
    let slipway = Slipway::at(&server);
    let file = slipway.home.path().join("token");
    let args = [
        "host",
        "restore",
        "web-1",
        "--env",
        "prod",
        "--token-out",
        file.to_str().unwrap(),
    ];
    let ran = slipway.run(&args);
    assert!(
        ran.stdout.starts_with("took the host back: web-1 in prod\n"),
        "{ran:?}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "slw_made\n");
    assert_eq!(
        body(&server.requests().pop().unwrap()),
        json!({"environment": "prod"})
    );

    let ran = slipway.run(&["host", "move", "web-1", "--env", "prod"]);
    assert_eq!(ran.stdout, "the host web-1 is in prod now\n");
    assert_eq!(
        body(&server.requests().pop().unwrap()),
        json!({"environment": "prod"})
    );

    let ran = slipway.run(&["host", "label", "web-1", "role=db", "rack-"]);
    assert_eq!(ran.stdout, "the host web-1 has now: rack=b2\n");
    assert_eq!(
        body(&server.requests().pop().unwrap()),
        json!({"labels": {"rack": null, "role": "db"}})
    );
    for wrong in [["role"].as_slice(), &["=db"], &["role=db", "role-"], &[]] {
        let ran = slipway.run(&[&["host", "label", "web-1"], wrong].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    }

    let count = server.requests().len();
    let ran = slipway.run(&["env", "delete", "old"]);
    assert!(ran.code == 2 && ran.stderr.contains("--yes"), "{ran:?}");
    assert_eq!(server.requests().len(), count, "nothing is sent unasked");
    let ran = slipway.run(&["env", "delete", "old", "--yes"]);
    assert_eq!(ran.stdout, "deleted the environment old\n");
    assert_eq!(
        server.requests().pop().unwrap().line(),
        "DELETE /api/v1/environments/old"
    );
}

#[test]
fn a_plan_shows_groups_and_waves_before_anything_begins() {
    let host = |name: &str, online: bool, cluster: Option<&str>| json!({"host": name, "online": online, "cluster": cluster});
    let wave =
        |wave: u32, canary: bool, host: Value| json!({"wave": wave, "canary": canary, "hosts": [host]});
    let server = ScriptedApi::start(move |request| match request.line().as_str() {
        "GET /api/v1/environments/prod" => ScriptedReply::json(200, &environment()),
        _ => ScriptedReply::json(
            200,
            &json!({
                "environment": "prod", "release": RELEASE, "strategy": {}, "max_unavailable": 2,
                "groups": [
                    {"group": 0, "name": "role=db", "max_unavailable": 1, "waves": [
                        wave(0, true, host("db-1", true, Some("main"))), wave(1, false, host("db-2", false, Some("main"))),
                    ]},
                    {"group": 2, "name": "all others", "max_unavailable": null, "waves": [wave(2, true, host("web-1", true, None))]},
                ],
                "left_alone": ["old-1", "old-2"], "approval_required": true, "open_rollout": ROLLOUT,
            }),
        ),
    });
    let slipway = Slipway::at(&server);
    let ran = slipway.run(&[
        "rollout",
        "plan",
        "prod",
        RELEASE,
        "--set",
        "order=role=db role=app,zone=a",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let sent = server.requests().pop().unwrap();
    assert_eq!(sent.line(), "POST /api/v1/rollout-plans");
    assert_eq!(
        body(&sent)["strategy"]["order"],
        json!(["role=db", "role=app,zone=a"])
    );
    insta::assert_snapshot!(ran.stdout);
    let ran = slipway.run(&["rollout", "plan", "prod", RELEASE, "--set", "order=db"]);
    assert!(
        ran.code == 2
            && ran
                .stderr
                .contains("--set order=db: `db` is no label: write NAME=VALUE"),
        "{ran:?}"
    );
}

#[test]
fn a_list_of_releases_shows_the_first_line_of_a_message() {
    let server = ScriptedApi::start(|_| {
        let message = format!("Fix it\n\n{}", "because ".repeat(200));
        list(&json!([{
            "id": RELEASE, "author": "ci", "created_at": AT, "message": message, "closures": {"web-1": CLOSURE},
            "source": {},
        }]))
    });
    let ran = Slipway::at(&server).run(&["release", "list"]);
    let line = ran.stdout.lines().nth(1).unwrap();
    assert!(line.ends_with("Fix it…"), "{line}");
}

#[test]
fn a_strategy_is_changed_field_by_field_from_the_environments_own() {
    let server = ScriptedApi::start(|request| match request.method.as_str() {
        "POST" => ScriptedReply::json(201, &rollout("staging", None, ["waiting", "waiting"])),
        _ => ScriptedReply::json(200, &environment()),
    });
    let slipway = Slipway::at(&server);
    let ran = slipway.run(&[
        "env",
        "set",
        "prod",
        "--set",
        "verify.passes=1",
        "--approval-required",
        "true",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let sent = server.requests().pop().unwrap();
    assert_eq!(sent.line(), "PATCH /api/v1/environments/prod");
    assert_eq!(body(&sent)["approval_required"], true);
    assert_eq!(body(&sent)["strategy"]["batch"], 2);
    assert_eq!(body(&sent)["strategy"]["verify"]["passes"], 1);

    let ran = slipway.run(&["rollout", "start", "prod", RELEASE, "--set", "on_failure=pause"]);
    assert_eq!(
        ran.stdout.lines().next(),
        Some(format!("started the rollout {ROLLOUT}: staging").as_str())
    );
    let strategy = &body(&server.requests().pop().unwrap())["strategy"];
    assert_eq!(
        (&strategy["batch"], &strategy["on_failure"]),
        (&json!(2), &json!("pause"))
    );

    // Nothing said: the environment's own, which the API knows.
    slipway.run(&["rollout", "start", "prod", RELEASE]);
    let sent = body(&server.requests().pop().unwrap());
    assert_eq!(sent, json!({"environment": "prod", "release": RELEASE}));

    // A file stands for itself: what it leaves out has its default, not the environment's.
    slipway.run_with_stdin(
        &["rollout", "start", "prod", RELEASE, "--strategy", "-"],
        "{\"canary\": 0}",
    );
    let strategy = &body(&server.requests().pop().unwrap())["strategy"];
    assert_eq!(
        (&strategy["canary"], &strategy["batch"]),
        (&json!(0), &json!("25%"))
    );
}

#[test]
fn a_hosts_token_is_shown_once_or_written_for_its_owner_alone() {
    let server = ScriptedApi::start(|request| match request.path.as_str() {
        "/api/v1/hosts" => ScriptedReply::json(201, &json!({"host": host("web-1"), "token": token()})),
        _ => ScriptedReply::json(201, &token()),
    });
    let slipway = Slipway::at(&server);
    let create = ["host", "create", "web-1", "--env", "prod", "--label", "rack=b2"];
    let ran = slipway.run(&create);
    assert!(
        ran.stdout
            .contains("token: slw_made\nIt is shown now and never again.\n"),
        "{ran:?}"
    );
    assert_eq!(body(&server.requests()[0])["labels"], json!({"rack": "b2"}));

    let out = slipway.home.path().join("web-1.token");
    let written = [&create[..], &["--token-out", "web-1.token", "--json"]].concat();
    let json = slipway.run(&written).json();
    assert_eq!(json["token"]["token_file"], "web-1.token");
    assert!(!json.to_string().contains("slw_made"));
    assert_eq!(fs::read_to_string(&out).unwrap(), "slw_made\n");
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);

    let ran = slipway.run(&["host", "token", "web-1", "--token-out", "web-1.token"]);
    assert!(ran.stdout.contains("earlier tokens are revoked"), "{ran:?}");
    assert_eq!(
        server.requests().pop().unwrap().line(),
        "POST /api/v1/hosts/web-1/token"
    );
    let left: Vec<_> = fs::read_dir(slipway.home.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["web-1.token"]);
}

#[test]
fn what_an_environment_permits_is_said_only_when_it_is_asked_for() {
    let server = ScriptedApi::start(|_| ScriptedReply::json(200, &environment()));
    let slipway = Slipway::at(&server);
    slipway.run(&["env", "create", "prod"]);
    let sent = body(&server.requests().pop().unwrap());
    // An earlier server knows neither field.
    assert!(
        sent.get("own_strategy_allowed").is_none() && sent.get("related_approval_allowed").is_none(),
        "{sent:#}"
    );
    let ran = slipway.run(&[
        "env",
        "set",
        "prod",
        "--own-strategy-allowed",
        "true",
        "--related-approval-allowed",
        "false",
    ]);
    assert!(
        ran.code == 0
            && ran
                .stdout
                .contains("own strategies     not allowed\nrelated approval   not allowed\n"),
        "{ran:?}"
    );
    assert_eq!(
        body(&server.requests().pop().unwrap()),
        json!({"own_strategy_allowed": true, "related_approval_allowed": false})
    );
}

#[test]
fn a_release_is_registered_from_closures() {
    let release = json!({
        "id": RELEASE, "closures": {"web-1": CLOSURE}, "source": {}, "message": "v2", "author": "ci", "created_at": AT,
    });
    let server = ScriptedApi::start(move |_| ScriptedReply::json(201, &release));
    let slipway = Slipway::at(&server);
    let closure = format!("web-1={CLOSURE}");
    let ran = slipway.run(&["release", "create", "--closure", &closure, "-m", "v2"]);
    assert!(
        ran.stdout
            .starts_with(&format!("registered the release {RELEASE} for 1 host\n")),
        "{ran:?}"
    );
    assert_eq!(
        body(&server.requests()[0]),
        json!({"closures": {"web-1": CLOSURE}, "source": {}, "message": "v2"})
    );
}

#[test]
fn lists_follow_pages_up_to_the_limit() {
    let server = ScriptedApi::start(|request| {
        let mut summary = rollout("succeeded", None, ["committed", "committed"]);
        summary.as_object_mut().unwrap().remove("steps");
        let next = (!request.query.contains("after=b")).then_some(if request.query.contains("after=a") {
            "b"
        } else {
            "a"
        });
        ScriptedReply::json(200, &json!({"items": [summary], "next": next}))
    });
    let slipway = Slipway::at(&server);
    let json = slipway
        .run(&["rollout", "list", "--env", "prod", "--json"])
        .json();
    assert_eq!(json["items"].as_array().unwrap().len(), 3);
    let queries: Vec<String> = server
        .requests()
        .into_iter()
        .map(|request| request.query)
        .collect();
    assert_eq!(
        queries,
        [
            "environment=prod&limit=20",
            "environment=prod&after=a&limit=19",
            "environment=prod&after=b&limit=18"
        ]
    );
    let json = slipway.run(&["rollout", "list", "--limit", "2", "--json"]).json();
    assert_eq!(json["items"].as_array().unwrap().len(), 2);
}

#[test]
fn an_order_by_environment_is_for_the_rollout_under_way() {
    let server = ScriptedApi::start(|request| match request.line().as_str() {
        "GET /api/v1/environments/prod" => {
            let mut open = environment();
            open["open_rollout"] = json!(ROLLOUT);
            ScriptedReply::json(200, &open)
        }
        "GET /api/v1/environments/idle" => ScriptedReply::json(200, &environment()),
        "GET /api/v1/environments/v1" => {
            ScriptedReply::problem(404, kind::NOT_FOUND, "there is no environment `v1`")
        }
        _ => ScriptedReply::json(202, &rollout("rolling", None, ["verifying", "waiting"])),
    });
    let slipway = Slipway::at(&server);
    for (order, of) in [
        ("pause", "prod"),
        ("resume", ROLLOUT),
        ("revert", "prod"),
        ("abort", "prod"),
    ] {
        let ran = slipway.run(&["rollout", order, of, "--reason", "because"]);
        assert!(
            ran.stdout
                .starts_with(&format!("asked the rollout {ROLLOUT} to {order}")),
            "{ran:?}"
        );
        let sent = server.requests().pop().unwrap();
        assert_eq!(sent.path, format!("/api/v1/rollouts/{ROLLOUT}/commands"));
        assert_eq!(body(&sent), json!({"command": order, "reason": "because"}));
    }
    let ran = slipway.run(&["rollout", "abort", "idle"]);
    assert!(
        ran.code == 4 && ran.stderr.contains("has no rollout under way"),
        "{ran:?}"
    );
    let ran = slipway.run(&["rollout", "show", "v1"]);
    assert!(
        ran.code == 4
            && ran
                .stderr
                .contains("`v1` is neither a rollout nor an environment"),
        "{ran:?}"
    );
}

#[test]
fn colours_are_for_terminals_only() {
    let server = fleet();
    for variables in [vec![], vec![("CLICOLOR_FORCE", "1")], vec![("NO_COLOR", "1")]] {
        let slipway = variables
            .into_iter()
            .fold(Slipway::at(&server), |slipway, (name, value)| {
                slipway.env(name, value)
            });
        assert!(!slipway.run(&["status"]).stdout.contains('\u{1b}'));
    }
}

#[test]
fn a_rollout_shows_who_stopped_it_and_how_long_checks_may_fail() {
    let server = ScriptedApi::start(|_| {
        let mut shown = rollout("paused", Some("look"), ["verifying", "waiting"]);
        shown["last_command"] = json!({ "command": "pause", "by": "ada", "at": AT, "reason": "look" });
        shown["steps"][0]["checks"] = json!("the checks do not pass yet: web answered 500");
        shown["steps"][0]["checks_seconds_left"] = json!(38);
        ScriptedReply::json(200, &shown)
    });
    let shown = Slipway::at(&server).run(&["rollout", "show", ROLLOUT]).stdout;
    assert!(shown.contains("state        paused: look\n"), "{shown}");
    assert!(
        shown.contains("last command pause, by ada at 2026-03-01 12:00:00Z: look\n"),
        "{shown}"
    );
    assert!(
        shown.contains("38 s left: the checks do not pass yet: web answered 500"),
        "{shown}"
    );
}

#[test]
fn a_release_shows_who_signed_it_and_whether_hosts_trust_that_key() {
    let server = ScriptedApi::start(|_| {
        let signature = |key: &str, fits: Option<bool>, trusted_by: u32| json!({ "key": key, "algorithm": "ssh-ed25519", "fits": fits, "trusted_by": trusted_by });
        ScriptedReply::json(
            200,
            &json!({
                "id": RELEASE, "closures": {"web-1": CLOSURE}, "source": {}, "message": null, "author": "ci",
                "created_at": AT,
                "manifest": {
                    "environment": "prod", "number": 7, "expires": AT, "digest": format!("sha256:{}", "ab".repeat(32)),
                    "signatures": [
                        signature("SHA256:one", Some(true), 3), signature("SHA256:two", Some(true), 0),
                        signature("SHA256:three", Some(false), 3), signature("A1", None, 3), signature("A2", None, 1),
                        signature("A3", None, 0),
                    ],
                },
            }),
        )
    });
    let shown = Slipway::at(&server).run(&["release", "show", RELEASE]).stdout;
    for line in [
        "signature ssh-ed25519 SHA256:one: trusted by 3 hosts\n",
        "signature ssh-ed25519 SHA256:two: unknown key: no host reports that it trusts this key\n",
        "signature ssh-ed25519 SHA256:three: does not fit the manifest\n",
        "signature ssh-ed25519 A1: names a key that 3 hosts trust; only they can check it\n",
        "signature ssh-ed25519 A2: names a key that 1 host trusts; only that host can check it\n",
        "signature ssh-ed25519 A3: unknown key: no host reports that it trusts this key\n",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}
