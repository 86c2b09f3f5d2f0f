//! What a token and a role must not reach: more time than they have, more tries, an approval of one's own.

use axum::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};
use slipway_domain::Role;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{Answer, PASSWORD, TestApp};

async fn log_in(app: &TestApp, body: Value) -> Answer {
    let mut login = json!({ "name": "admin", "password": PASSWORD });
    login
        .as_object_mut()
        .unwrap()
        .extend(body.as_object().unwrap().clone());
    app.post(route::LOGIN, login).await
}

fn secret(made: &Answer) -> String {
    made.body["token"].as_str().unwrap().to_owned()
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_burst_of_guesses_gets_no_more_tries_than_one_after_the_other(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let guesses = (0..60).map(|n| {
        app.post(
            route::LOGIN,
            json!({ "name": "admin", "password": format!("guess {n}") }),
        )
    });
    let answers = join_all(guesses).await;
    let tried = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(tried, 10);
    assert!(answers.iter().all(|answer| [401, 429].contains(&answer.status)));
    log_in(&app, json!({})).await.expect(429);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_right_password_counts_as_no_failure(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    for _ in 0..30 {
        log_in(&app, json!({})).await.expect(201);
    }
    let wrong = json!({ "name": "admin", "password": "wrong" });
    for _ in 0..10 {
        app.post(route::LOGIN, wrong.clone()).await.expect(401);
    }
    app.post(route::LOGIN, wrong).await.expect(429);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_that_ends_makes_none_that_outlives_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let login = log_in(&app, json!({})).await.expect(201);
    let end = login.body["expires_at"].clone();
    let make =
        async |token: &str, body: Value| app.call(Method::POST, route::TOKENS, token, Some(body)).await;

    let child = make(&secret(&login), json!({ "label": "ci" })).await.expect(201);
    assert_eq!(child.body["expires_at"], end, "it ends with the login");
    let grandchild = make(&secret(&child), json!({ "label": "ci" })).await.expect(201);
    assert_eq!(grandchild.body["expires_at"], end);
    let short = make(&secret(&login), json!({ "label": "ci", "expires_in_days": 7 }))
        .await
        .expect(201);
    assert!(short.body["expires_at"].as_str() < end.as_str());
    let long = make(&secret(&login), json!({ "label": "ci", "expires_in_days": 31 }))
        .await
        .expect(422);
    assert!(
        long.field("expires_in_days").contains("--with-password"),
        "{:#}",
        long.body
    );

    // A token without an end makes what it is asked for.
    let free = make(&app.admin, json!({ "label": "ci", "expires_in_days": 3650 })).await;
    free.expect(201);

    let id = login.body["id"].as_str().unwrap();
    app.call(Method::DELETE, &route::fill(route::TOKEN, id), &app.admin, None)
        .await
        .expect(204);
    for token in [&login, &child, &grandchild, &short] {
        app.call(Method::GET, route::WHOAMI, &secret(token), None)
            .await
            .expect(401);
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_password_makes_a_token_that_is_bound_to_none(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.principal("ci", Role::Deployer).await;
    let wish = json!({ "token": { "principal": "ci", "label": "pipeline" } });
    let made = log_in(&app, wish).await.expect(201);
    assert!(made.body["expires_at"].is_null(), "{:#}", made.body);
    let who = app
        .call(Method::GET, route::WHOAMI, &secret(&made), None)
        .await
        .expect(200);
    assert_eq!(who.body["name"], "ci");
    let bad = json!({ "token": { "principal": "ci", "label": "x", "expires_in_days": 0 } });
    log_in(&app, bad).await.expect(422).field("expires_in_days");
    let unknown = json!({ "token": { "principal": "who", "label": "x" } });
    log_in(&app, unknown).await.expect(404);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whether_somebody_elses_token_exists_is_not_told(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let viewer = app.principal("v", Role::Viewer).await;
    let others = app.get(route::TOKENS).await.body["items"][1]["id"].clone();
    let others = others.as_str().unwrap().to_owned();
    let nobodys = "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10".to_owned();
    let mut answers = Vec::new();
    for id in [&others, &nobodys] {
        for (method, path) in [
            (Method::GET, format!("{}?after={id}", route::TOKENS)),
            (Method::DELETE, route::fill(route::TOKEN, id)),
        ] {
            let answer = app.call(method, &path, &viewer, None).await.expect(404);
            answers.push(answer.detail().replace(id.as_str(), "ID"));
        }
    }
    assert_eq!(answers[..2], answers[2..]);
}

/// Starts a rollout, and gives the path of its commands.
async fn start(app: &TestApp, token: &str) -> String {
    let release = app.release(&["web-1"]).await;
    let body = json!({ "environment": "prod", "release": release });
    let made = app
        .call(Method::POST, route::ROLLOUTS, token, Some(body))
        .await
        .expect(201);
    assert_eq!(made.body["state"], "pending_approval");
    route::fill(route::ROLLOUT_COMMANDS, made.body["id"].as_str().unwrap())
}

/// A principal that is made with a token, with a token that is made with it too.
async fn puppet(app: &TestApp, token: &str, name: &str, role: &str) -> String {
    let body = json!({ "name": name, "role": role });
    app.call(Method::POST, route::PRINCIPALS, token, Some(body))
        .await
        .expect(201);
    let body = json!({ "label": "x", "principal": name });
    secret(
        &app.call(Method::POST, route::TOKENS, token, Some(body))
            .await
            .expect(201),
    )
}

async fn set(app: &TestApp, change: Value) {
    let path = route::fill(route::ENVIRONMENT, "prod");
    app.call(Method::PATCH, &path, &app.admin, Some(change))
        .await
        .expect(200);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nobody_approves_by_a_principal_of_their_own(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    set(&app, json!({ "approval_required": true })).await;
    let root = app.principal("root", Role::Admin).await;
    let independent = app.principal("grace", Role::Approver).await;
    let second = puppet(&app, &root, "second", "admin").await;
    let approver = puppet(&app, &second, "approver", "approver").await;
    let deployer = puppet(&app, &root, "deployer", "deployer").await;
    // Somebody else's name on a token that was kept.
    let borrowed = json!({ "label": "x", "principal": "grace" });
    let borrowed = app
        .call(Method::POST, route::TOKENS, &second, Some(borrowed))
        .await;
    let borrowed = secret(&borrowed.expect(201));

    let approve = json!({ "command": "approve" });
    let abort = json!({ "command": "abort" });
    for (author, by) in [
        (&root, &approver),
        (&deployer, &root),
        (&second, &approver),
        (&approver, &root),
        (&second, &borrowed),
        (&root, &borrowed),
    ] {
        let path = start(&app, author).await;
        let refused = app
            .call(Method::POST, &path, by, Some(approve.clone()))
            .await
            .expect(403);
        assert!(
            refused.detail().contains("--related-approval-allowed true"),
            "{}",
            refused.detail()
        );
        // Whoever would approve it is told before.
        let plans = path.replace("/commands", "/host-plans");
        let told = app.call(Method::GET, &plans, by, None).await.expect(200);
        assert_eq!(told.body["approval_refused"], refused.detail());
        finish(&app, &path, abort.clone()).await;
    }
    let path = start(&app, &deployer).await;
    let plans = path.replace("/commands", "/host-plans");
    let told = app
        .call(Method::GET, &plans, &independent, None)
        .await
        .expect(200);
    assert_eq!(told.body["approval_refused"], Value::Null);
    app.call(Method::POST, &path, &independent, Some(approve.clone()))
        .await
        .expect(202);
    finish(&app, &path, abort.clone()).await;

    set(&app, json!({ "related_approval_allowed": true })).await;
    let path = start(&app, &root).await;
    app.call(Method::POST, &path, &root, Some(approve.clone()))
        .await
        .expect(403);
    app.call(Method::POST, &path, &approver, Some(approve))
        .await
        .expect(202);
}

/// What the worker does with an abort.
async fn finish(app: &TestApp, commands: &str, abort: Value) {
    app.post(commands, abort).await.expect(202);
    sqlx::query("UPDATE rollouts SET state = 'aborted', finished_at = now() WHERE finished_at IS NULL")
        .execute(&app.pool)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn another_strategy_than_the_environments_takes_an_admin(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let deployer = app.principal("d", Role::Deployer).await;
    let release = app.release(&["web-1"]).await;
    let own = app.get(&route::fill(route::ENVIRONMENT, "prod")).await.body["strategy"].clone();
    let mut other = own.clone();
    other["bake_seconds"] = json!(0);
    let begin = async |token: &str, strategy: &Value| {
        let body = json!({ "environment": "prod", "release": release, "strategy": strategy });
        app.call(Method::POST, route::ROLLOUTS, token, Some(body)).await
    };
    let refused = begin(&deployer, &other).await.expect(403);
    assert!(
        refused.detail().contains("--own-strategy-allowed true"),
        "{}",
        refused.detail()
    );
    for (token, strategy) in [(&deployer, &own), (&app.admin, &other)] {
        let made = begin(token, strategy).await.expect(201);
        let path = route::fill(route::ROLLOUT_COMMANDS, made.body["id"].as_str().unwrap());
        finish(&app, &path, json!({ "command": "abort" })).await;
    }
    set(&app, json!({ "own_strategy_allowed": true })).await;
    begin(&deployer, &other).await.expect(201);
}
