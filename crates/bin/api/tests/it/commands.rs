//! A command that is sent again because its answer was lost is one command, whatever happened to the rollout meanwhile.

use axum::http::Method;
use serde_json::{Value, json};
use slipway_domain::Role;
use slipway_wire::route;
use sqlx::PgPool;

use crate::once::{events, send, send_as};
use crate::support::{TestApp, observation};

async fn state(app: &TestApp, rollout: &str) -> Value {
    let path = route::fill(route::ROLLOUT, rollout);
    app.get(&path).await.expect(200).body["state"].clone()
}

fn commands(rollout: &str) -> String {
    route::fill(route::ROLLOUT_COMMANDS, rollout)
}

/// Hosts whose agents were heard of: none is offline.
async fn online(app: &TestApp, hosts: &[&str]) {
    let tokens = app.fleet("prod", hosts).await;
    for (host, token) in hosts.iter().zip(tokens) {
        let seen = Some(observation(host));
        app.call(Method::POST, route::AGENT_SYNC, &token, seen)
            .await
            .expect(200);
    }
}

/// Sends it twice before the worker looks, and again once it was carried out: one event, and one effect.
async fn one_command(app: &TestApp, token: &str, rollout: &str, command: &str, end: &str) {
    let body = json!({ "command": command, "reason": "because" });
    let (path, key) = (commands(rollout), format!("{rollout}-{command}"));
    let first = send_as(app, token, &path, &key, &body).await.expect(202).body;
    assert_eq!(first["pending_commands"], json!([command]));
    let head = events(app).await;
    let again = send_as(app, token, &path, &key, &body).await.expect(202).body;
    assert_eq!(again["pending_commands"], json!([command]));
    assert_eq!(events(app).await, head, "{command}");
    app.drive().await;
    let head = events(app).await;
    let late = send_as(app, token, &path, &key, &body).await.expect(202).body;
    assert_eq!(
        (&late["state"], &late["pending_commands"]),
        (&json!(end), &json!([]))
    );
    app.drive().await;
    assert_eq!(events(app).await, head, "{command}");
    assert_eq!(state(app, rollout).await, end);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn each_command_is_given_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    online(&app, &["web-1", "web-2"]).await;
    let asks = json!({ "approval_required": true, "related_approval_allowed": true });
    let environment = route::fill(route::ENVIRONMENT, "prod");
    app.call(Method::PATCH, &environment, &app.admin, Some(asks))
        .await
        .expect(200);
    let approver = app.principal("p", Role::Approver).await;
    let first = app.rollout("prod", &["web-1", "web-2"]).await;
    for (command, end) in [
        ("override_freeze", "pending_approval"),
        ("approve", "staging"),
        ("pause", "paused"),
        ("resume", "staging"),
        ("revert", "reverted"),
    ] {
        one_command(&app, &approver, &first, command, end).await;
    }
    let second = app.rollout("prod", &["web-1", "web-2"]).await;
    one_command(&app, &approver, &second, "abort", "aborted").await;
}

/// Somebody else has decided otherwise since, and the late answer must not undo that.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_command_that_comes_late_undoes_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    online(&app, &["web-1"]).await;
    let rollout = app.rollout("prod", &["web-1"]).await;
    let path = commands(&rollout);
    let pause = json!({ "command": "pause" });
    send(&app, &path, "k", &pause).await.expect(202);
    app.drive().await;
    assert_eq!(state(&app, &rollout).await, "paused");
    send(&app, &path, "k-2", &json!({ "command": "resume" }))
        .await
        .expect(202);
    app.drive().await;
    send(&app, &path, "k", &pause).await.expect(202);
    app.drive().await;
    assert_eq!(state(&app, &rollout).await, "staging");
    // Another reason is another command, and so is one without a key.
    app.post(&path, pause).await.expect(202);
    app.drive().await;
    assert_eq!(state(&app, &rollout).await, "paused");
}

/// `latest` names another rollout by now.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_command_that_comes_late_is_for_the_rollout_of_the_first_time(pool: PgPool) {
    let app = TestApp::new(pool).await;
    online(&app, &["web-1"]).await;
    let first = app.rollout("prod", &["web-1"]).await;
    let (path, abort) = (commands("latest@prod"), json!({ "command": "abort" }));
    send(&app, &path, "k", &abort).await.expect(202);
    app.drive().await;
    let second = app.rollout("prod", &["web-1"]).await;
    let late = send(&app, &path, "k", &abort).await.expect(202).body;
    assert_eq!((&late["id"], &late["state"]), (&json!(first), &json!("aborted")));
    app.drive().await;
    assert_eq!(state(&app, &second).await, "staging");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_command_that_comes_twice_at_once_is_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    online(&app, &["web-1"]).await;
    let rollout = app.rollout("prod", &["web-1"]).await;
    let (path, pause, head) = (
        commands(&rollout),
        json!({ "command": "pause" }),
        events(&app).await,
    );
    let all = futures_util::future::join_all((0..4).map(|_| send(&app, &path, "k", &pause))).await;
    for answer in all {
        assert_eq!(answer.expect(202).body["pending_commands"], json!(["pause"]));
    }
    assert_eq!(events(&app).await, head + 1);
}
