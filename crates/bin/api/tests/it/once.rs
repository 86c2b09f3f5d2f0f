//! Requests that are sent again under their key make nothing twice.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use slipway_domain::Role;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{Answer, TestApp, closure};
use crate::times::in_days;

pub(crate) async fn send(app: &TestApp, path: &str, key: &str, body: &Value) -> Answer {
    send_as(app, &app.admin, path, key, body).await
}

pub(crate) async fn send_as(app: &TestApp, token: &str, path: &str, key: &str, body: &Value) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("idempotency-key", key);
    app.send(request.body(Body::from(body.to_string())).unwrap())
        .await
}

pub(crate) async fn events(app: &TestApp) -> i64 {
    app.app.store.event_head().await.unwrap().number
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whatever_is_made_is_made_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2"]).await;
    let release = app.release(&["web-1"]).await;
    for (path, body) in [
        (route::PRINCIPALS, json!({"name": "ci", "role": "deployer"})),
        (route::TOKENS, json!({"label": "ci"})),
        (route::ENVIRONMENTS, json!({"name": "dev"})),
        (route::HOSTS, json!({"name": "db-1", "environment": "prod"})),
        (
            "/api/v1/environments/prod/freezes",
            json!({"until": in_days(1), "reason": "audit"}),
        ),
        ("/api/v1/hosts/web-2/token", json!({})),
        (route::RELEASES, json!({"closures": {"web-1": closure("web-1")}})),
        (route::DRAFTS, json!({"message": "long"})),
        (
            route::ROLLOUTS,
            json!({"environment": "prod", "release": release}),
        ),
    ] {
        let first = send(&app, path, "key-1", &body).await.expect(201);
        let head = events(&app).await;
        let again = send(&app, path, "key-1", &body).await.expect(201);
        assert_eq!(first.body, again.body, "{path}");
        assert_eq!(events(&app).await, head, "{path}");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_that_was_taken_back_comes_back_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    app.call(Method::DELETE, "/api/v1/hosts/web-1", &app.admin, None)
        .await
        .expect(204);
    let path = "/api/v1/hosts/web-1/restore";
    let first = send(&app, path, "k", &json!({})).await.expect(201);
    let again = send(&app, path, "k", &json!({})).await.expect(201);
    assert_eq!(first.body["token"], again.body["token"]);
    // Without the key it is told as ever.
    assert_eq!(app.post(path, json!({})).await.expect(409).kind(), "conflict");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_token_of_the_second_answer_works(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"label": "ci"});
    send(&app, route::TOKENS, "k", &body).await.expect(201);
    let again = send(&app, route::TOKENS, "k", &body).await.expect(201).body;
    let token = again["token"].as_str().unwrap();
    app.call(Method::GET, route::WHOAMI, token, None)
        .await
        .expect(200);
    let list = app.get(route::TOKENS).await.expect(200).body;
    let made = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|token| token["label"] == "ci");
    assert_eq!(made.count(), 1);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn another_key_body_or_caller_is_another_request(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let other = app.principal("other", Role::Admin).await;
    let body = json!({"label": "ci"});
    let mut made = vec![
        send(&app, route::TOKENS, "k", &body).await,
        send(&app, route::TOKENS, "k-2", &body).await,
        send(&app, route::TOKENS, "k", &json!({"label": "cd"})).await,
        send_as(&app, &other, route::TOKENS, "k", &body).await,
        app.post(route::TOKENS, body.clone()).await,
    ];
    let mut tokens: Vec<_> = made
        .drain(..)
        .map(|made| made.expect(201).body["token"].to_string())
        .collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 5);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn one_key_at_two_paths_is_two_requests(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2"]).await;
    let mut made = Vec::new();
    for host in ["web-1", "web-2"] {
        let path = route::fill(route::HOST_TOKEN, host);
        made.push(send(&app, &path, "nightly", &json!({})).await.expect(201).body);
    }
    assert_ne!(made[0]["token"], made[1]["token"]);
    assert_ne!(made[0]["id"], made[1]["id"]);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn two_at_once_under_one_key_make_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let release = app.release(&["web-1"]).await;
    for (path, body) in [
        (route::HOSTS, json!({"name": "db-1", "environment": "prod"})),
        (route::RELEASES, json!({"closures": {"web-1": closure("web-1")}})),
        (
            route::ROLLOUTS,
            json!({"environment": "prod", "release": release}),
        ),
    ] {
        let all = futures_util::future::join_all((0..4).map(|_| send(&app, path, "k", &body))).await;
        let bodies: Vec<_> = all.into_iter().map(|answer| answer.expect(201).body).collect();
        let id = |body: &Value| [&body["id"], &body["token"]].map(ToString::to_string);
        assert!(
            bodies.iter().all(|body| id(body) == id(&bodies[0])),
            "{path}: {bodies:#?}"
        );
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_refused_request_can_be_sent_again_under_its_key(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"name": "db-1", "environment": "prod"});
    send(&app, route::HOSTS, "k", &body).await.expect(404);
    app.fleet("prod", &[]).await;
    send(&app, route::HOSTS, "k", &body).await.expect(201);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_sealed_draft_is_sealed_again_by_its_author_alone(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let draft = app.post(route::DRAFTS, json!({})).await.expect(201).body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let page = json!({"closures": {"web-1": closure("web-1")}});
    app.post(&route::fill(route::DRAFT_CLOSURES, &draft), page)
        .await
        .expect(201);
    let seal = route::fill(route::DRAFT_SEAL, &draft);
    let first = app.post(&seal, json!({"hosts": 1})).await.expect(201);
    let again = app.post(&seal, json!({"hosts": 1})).await.expect(201);
    assert_eq!(first.body, again.body);
    app.post(&seal, json!({"hosts": 2})).await.expect(404);
    let other = app.principal("other", Role::Deployer).await;
    app.call(Method::POST, &seal, &other, Some(json!({"hosts": 1})))
        .await
        .expect(404);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn another_token_of_the_caller_is_not_shown_what_this_one_made(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let short = json!({"label": "short", "expires_in_days": 1});
    let short = app.post(route::TOKENS, short).await.expect(201).body;
    let body = json!({"label": "ci"});
    let long = send(&app, route::TOKENS, "k", &body).await.expect(201).body;
    let token = short["token"].as_str().unwrap();
    let other = send_as(&app, token, route::TOKENS, "k", &body)
        .await
        .expect(201)
        .body;
    assert_ne!(long["token"], other["token"]);
    assert!(!other["expires_at"].is_null());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_that_was_revoked_is_not_given_out_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let path = "/api/v1/hosts/web-1/token";
    send(&app, path, "nightly", &json!({})).await.expect(201);
    send(&app, path, "other", &json!({})).await.expect(201);
    let told = send(&app, path, "nightly", &json!({})).await.expect(409);
    assert!(
        told.detail().contains("was revoked; take another key"),
        "{}",
        told.detail()
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_draft_that_comes_late_makes_nothing_beside_its_release(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let begun = send(&app, route::DRAFTS, "k", &json!({})).await.expect(201).body;
    let draft = begun["id"].as_str().unwrap();
    let page = json!({"closures": {"web-1": closure("web-1")}});
    app.post(&route::fill(route::DRAFT_CLOSURES, draft), page)
        .await
        .expect(201);
    let seal = route::fill(route::DRAFT_SEAL, draft);
    let first = app.post(&seal, json!({"hosts": 1})).await.expect(201);
    let late = send(&app, route::DRAFTS, "k", &json!({})).await.expect(201).body;
    assert_eq!((&late["id"], &late["hosts"]), (&begun["id"], &json!(1)));
    assert_eq!(
        app.post(&seal, json!({"hosts": 1})).await.expect(201).body,
        first.body
    );
}

/// It keeps the id of before, which no request decided.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_environment_that_comes_back_is_made_once_and_told_as_taken(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"name": "dev"});
    app.post(route::ENVIRONMENTS, body.clone()).await.expect(201);
    app.call(Method::DELETE, "/api/v1/environments/dev", &app.admin, None)
        .await
        .expect(204);
    send(&app, route::ENVIRONMENTS, "k", &body).await.expect(201);
    let head = events(&app).await;
    let again = send(&app, route::ENVIRONMENTS, "k", &body).await.expect(409);
    assert_eq!(again.kind(), "conflict");
    assert_eq!(events(&app).await, head);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_key_that_cannot_be_used_is_told(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for key in ["", &"k".repeat(256), "clé"] {
        let told = send(&app, route::TOKENS, key, &json!({"label": "ci"}))
            .await
            .expect(400);
        assert!(
            told.detail().contains("1 to 255 visible ASCII"),
            "{}",
            told.detail()
        );
    }
}
