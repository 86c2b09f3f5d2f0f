//! Requests that make something, sent again under their key.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::sync::atomic::{AtomicUsize, Ordering};

use slipway_client::Client;
use slipway_client::testing::{ReceivedRequest, ScriptedApi, ScriptedReply};
use slipway_domain::RolloutId;
use slipway_domain::snapshot::CommandKind;
use slipway_wire::access::CreatePrincipal;
use slipway_wire::rollout::CreateCommand;

fn client(server: &ScriptedApi) -> Client {
    slipway_client::builder(&server.url()).unwrap().build().unwrap()
}

fn principal() -> CreatePrincipal {
    CreatePrincipal {
        name: "ci".parse().unwrap(),
        role: slipway_domain::Role::Deployer,
        environment_roles: slipway_domain::EnvironmentRoles::default(),
    }
}

fn posts(server: &ScriptedApi) -> Vec<ReceivedRequest> {
    let mut all = server.requests();
    all.retain(|request| request.method == "POST");
    all
}

/// A server that carries the first `lost` requests out without an answer, and says whether it takes keys.
fn loses(lost: usize, takes_keys: bool) -> ScriptedApi {
    let count = AtomicUsize::new(0);
    ScriptedApi::start(move |request| {
        let key = serde_json::json!([{"in": "header", "name": "Idempotency-Key"}]);
        let post =
            serde_json::json!({"post": {"parameters": if takes_keys { key } else { serde_json::json!([]) }}});
        let document = serde_json::json!({"paths": {
            "/api/v1/principals": post, "/api/v1/rollouts/{id}/commands": post}});
        let made = serde_json::json!({"name": "ci", "role": "deployer", "created_at": "2026-03-01T12:00:00Z", "disabled_at": null});
        match request.path.as_str() {
            "/api/v1/openapi.json" => ScriptedReply::json(200, &document),
            _ if count.fetch_add(1, Ordering::SeqCst) < lost => ScriptedReply::cut(),
            _ => ScriptedReply::json(201, &made),
        }
    })
}

#[tokio::test]
async fn what_a_server_makes_once_is_asked_for_again_under_the_same_key() {
    let server = loses(2, true);
    client(&server).create_principal(&principal()).await.unwrap();
    let sent = posts(&server);
    let keys: Vec<_> = sent
        .iter()
        .map(|request| request.header("idempotency-key").unwrap())
        .collect();
    assert_eq!(keys.len(), 3);
    assert!(
        keys.iter().all(|key| *key == keys[0] && key.len() == 32),
        "{keys:?}"
    );
    assert!(sent.iter().all(|request| request.body == sent[0].body));

    client(&server).create_principal(&principal()).await.unwrap();
    let next = posts(&server).pop().unwrap();
    assert_ne!(next.header("idempotency-key").unwrap(), keys[0]);
}

#[tokio::test]
async fn a_server_that_would_make_it_twice_is_not_asked_again() {
    let server = loses(2, false);
    let error = client(&server).create_principal(&principal()).await.unwrap_err();
    assert!(
        error.to_string().contains("look before you ask for it again"),
        "{error}"
    );
    assert_eq!(posts(&server).len(), 1);
}

/// It may have been carried out, and the rollout have gone on since.
#[tokio::test]
async fn a_command_is_given_again_under_the_same_key() {
    let command = CreateCommand {
        command: CommandKind::Pause,
        reason: None,
        plan: None,
    };
    let ask = async |server: &ScriptedApi| {
        let _ = client(server)
            .command_rollout(RolloutId::generate(), &command)
            .await;
        let sent = posts(server);
        let key = |request: &ReceivedRequest| request.header("idempotency-key").unwrap().to_owned();
        assert!(sent.iter().all(|request| key(request) == key(&sent[0])));
        sent.len()
    };
    assert_eq!(ask(&loses(1, true)).await, 2);
    assert_eq!(ask(&loses(1, false)).await, 1);
}
