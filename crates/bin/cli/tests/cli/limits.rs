//! Tokens with limits, and roles of single environments.

use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply};

use crate::common::{AT, Slipway, TOKEN_ID, token};

fn api() -> ScriptedApi {
    ScriptedApi::start(|request| {
        let limits = json!({ "environments": ["staging"], "commands": ["start"] });
        match request.line().as_str() {
            "POST /api/v1/tokens" => ScriptedReply::json(201, &token()),
            "GET /api/v1/tokens" => {
                let one = json!({
                    "id": TOKEN_ID, "principal": "ci", "host": null, "label": "ci", "created_at": AT, "expires_at": null,
                    "last_used_at": null, "revoked_at": null, "limits": limits,
                });
                ScriptedReply::json(200, &json!({ "items": [one] }))
            }
            "GET /api/v1/whoami" => {
                let roles = json!({ "staging": "deployer" });
                let who = json!({ "kind": "principal", "name": "ci", "role": "viewer", "environment_roles": roles, "limits": limits });
                ScriptedReply::json(200, &who)
            }
            _ => {
                let roles = json!({ "staging": "deployer" });
                let made = json!({ "name": "ci", "role": "viewer", "environment_roles": roles, "created_at": AT, "disabled_at": null });
                ScriptedReply::json(201, &made)
            }
        }
    })
}

#[test]
fn limits_and_roles_are_sent_and_shown() {
    let api = api();
    let slipway = Slipway::at(&api);
    let args = [
        "token",
        "create",
        "--label",
        "ci",
        "--environment",
        "staging",
        "--environment",
        "dev",
        "--command",
        "start",
        "--command",
        "override-freeze",
        "--host",
        "web-1",
    ];
    let ran = slipway.run(&args);
    assert_eq!(ran.code, 0, "{ran:?}");
    let limits = json!({ "environments": ["dev", "staging"], "commands": ["start", "override_freeze"], "hosts": ["web-1"] });
    let sent = api.requests().pop().unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&sent.bytes).unwrap(),
        json!({ "label": "ci", "limits": limits })
    );
    let ran = slipway.run(&[
        "principal",
        "create",
        "ci",
        "--role",
        "viewer",
        "--environment-role",
        "staging=deployer",
    ]);
    assert!(
        ran.stdout
            .starts_with("made the principal ci, viewer, deployer in staging\n"),
        "{ran:?}"
    );
    let listed = slipway.run(&["token", "list"]).stdout;
    assert!(
        listed.contains("LIMITED TO") && listed.contains("environments staging; commands start"),
        "{listed}"
    );
    let who = slipway.run(&["whoami"]).stdout;
    assert!(
        who.starts_with("ci, role viewer, deployer in staging; the token is limited to the environments staging; commands start at "),
        "{who}"
    );
}

#[test]
fn what_is_wrong_is_named_before_anything_is_sent() {
    let api = api();
    let slipway = Slipway::at(&api);
    for (args, said) in [
        (
            &["token", "create", "--label", "x", "--command", "deploy"][..],
            "`deploy` is not a command of tokens: use release, start",
        ),
        (
            &["token", "create", "--label", "x", "--environment", "Prod!"],
            "not a valid environment name",
        ),
        (
            &[
                "principal",
                "create",
                "ci",
                "--role",
                "viewer",
                "--environment-role",
                "staging",
            ],
            "give ENV=ROLE",
        ),
        (
            &[
                "principal",
                "create",
                "ci",
                "--role",
                "viewer",
                "--environment-role",
                "staging=root",
            ],
            "is not a role",
        ),
    ] {
        let ran = slipway.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
    }
    assert!(api.requests().is_empty());
}
