//! Who may do what: tokens, roles, the login and the limit on failures.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;
use slipway_api::access::{Does, Subjects};
use slipway_api::auth::Access;
use slipway_api::listen::Peer;
use slipway_api::router::{Endpoint, endpoints};
use slipway_domain::Role;
use slipway_wake::Wake;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{Answer, PASSWORD, TestApp, observation, some_token};

/// The path with something of the right form in place of its parameter.
fn filled(path: &str) -> String {
    path.replace("{id}", "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10")
        .replace("{name}", "nobody")
}

#[test]
fn the_table_of_routes() {
    let lines: Vec<String> = endpoints()
        .iter()
        .map(|endpoint| {
            let Endpoint {
                method, path, access, ..
            } = endpoint;
            let about = match (access, endpoint.subject) {
                (Access::Open | Access::Token | Access::Host, _) | (_, Subjects::Everything) => String::new(),
                (_, subject) => format!(" of {subject:?}"),
            };
            let does = match endpoint.does {
                Does::Command(command) => format!(" as {command}"),
                Does::Asked => " as what the request says".to_owned(),
                Does::Read | Does::Undeclared => String::new(),
            };
            format!("{method} {path} {access:?}{about}{does}")
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn every_path_of_the_contract_is_in_the_table() {
    let source = include_str!("../../../../lib/wire/src/route.rs");
    let paths: Vec<&str> = source
        .lines()
        .filter(|line| line.starts_with("pub const ") && !line.starts_with("pub const PREFIX"))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        assert!(
            endpoints().iter().any(|endpoint| endpoint.path == path),
            "{path} is not served"
        );
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn every_route_lets_in_whom_the_table_says_and_nobody_else(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let host = app.fleet("prod", &["web-1"]).await.remove(0);
    let callers = [
        (None, host),
        (Some(Role::Viewer), app.principal("v", Role::Viewer).await),
        (Some(Role::Deployer), app.principal("d", Role::Deployer).await),
        (Some(Role::Approver), app.principal("p", Role::Approver).await),
        (Some(Role::Admin), app.principal("a", Role::Admin).await),
    ];
    for endpoint in endpoints() {
        let path = filled(&endpoint.path);
        let body = (endpoint.method != Method::GET).then(|| json!({}));
        for (role, token) in &callers {
            let allowed = match (endpoint.access, role) {
                (Access::Open | Access::Token, _) | (Access::Host, None) => true,
                (Access::Role(least), Some(role)) => *role >= least,
                (Access::Host, Some(_)) | (Access::Role(_), None) => false,
            };
            let answer = app
                .call(endpoint.method.clone(), &path, token, body.clone())
                .await;
            let what = format!("{} {path} as {role:?}: {:#}", endpoint.method, answer.body);
            assert_eq!(answer.status == 403, !allowed, "{what}");
            assert!(answer.status != 401 && answer.status < 500, "{what}");
        }
        let request = Request::builder()
            .method(endpoint.method.clone())
            .uri(&path)
            .body(Body::empty())
            .unwrap();
        let answer = app.send(request).await;
        let refused = [401, 429].contains(&answer.status);
        assert_eq!(
            refused,
            endpoint.access != Access::Open,
            "{} {path} without a token",
            endpoint.method
        );
    }
}

async fn whoami(app: &TestApp, authorization: &str) -> Answer {
    let request = Request::get(route::WHOAMI)
        .header("authorization", authorization)
        .body(Body::empty());
    app.send(request.unwrap()).await
}

/// Somebody with the database could otherwise make the api decide and seal something, and then restore the row.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_role_that_was_written_into_the_database_opens_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.principal("eve", Role::Viewer).await;
    let list = async || {
        app.call(Method::GET, route::PRINCIPALS, &token, None)
            .await
            .status
    };
    let become_ = async |role: &str| {
        sqlx::query("UPDATE principals SET role = $1 WHERE name = 'eve'")
            .bind(role)
            .execute(&app.pool)
            .await
            .unwrap();
    };
    assert_eq!(list().await, 200);
    become_("admin").await;
    assert_eq!(list().await, 401);
    become_("viewer").await;
    assert_eq!(list().await, 200);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn every_bad_token_gets_the_same_answer(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let revoked = app.principal("gone", Role::Viewer).await;
    let id = app.get(route::TOKENS).await.body["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    app.call(Method::DELETE, &route::fill(route::TOKEN, id), &app.admin, None)
        .await
        .expect(204);
    let expired = app.principal("late", Role::Viewer).await;
    sqlx::query("UPDATE tokens SET expires_at = now() FROM principals p WHERE p.id = principal_id AND p.name = 'late'")
        .execute(&app.pool)
        .await
        .unwrap();
    let disabled = app.principal("fired", Role::Viewer).await;
    app.call(
        Method::DELETE,
        &route::fill(route::PRINCIPAL, "fired"),
        &app.admin,
        None,
    )
    .await
    .expect(204);
    let mut answers = Vec::new();
    for bad in [
        format!("Bearer {}", some_token()),
        "Bearer nonsense".to_owned(),
        format!("Basic {}", app.admin),
        format!("Bearer {revoked}"),
        format!("Bearer {expired}"),
        format!("Bearer {disabled}"),
    ] {
        let mut answer = whoami(&app, &bad).await.expect(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"slipway\"");
        answer.body.as_object_mut().unwrap().remove("request_id");
        answers.push(answer.body);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
    insta::assert_json_snapshot!(answers[0]);
    whoami(&app, &format!("Bearer {}", app.admin)).await.expect(200);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn too_many_failures_are_refused_and_good_tokens_pass(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for _ in 0..10 {
        whoami(&app, "Bearer nonsense").await.expect(401);
    }
    let refused = whoami(&app, "Bearer nonsense").await.expect(429);
    assert_eq!(refused.kind(), "too-many-failures");
    let left: u32 = refused.header("retry-after").parse().unwrap();
    assert!((40..=60).contains(&left), "{left}");
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let refused = whoami(&app, "Bearer nonsense").await.expect(429);
    let later: u32 = refused.header("retry-after").parse().unwrap();
    assert!(
        later + 2 <= left,
        "what is left of the minute: {left}, then {later}"
    );
    whoami(&app, &format!("Bearer {}", app.admin)).await.expect(200);
    // A password can be guessed, so there the right one is refused too.
    let login = app
        .post(route::LOGIN, json!({ "name": "admin", "password": PASSWORD }))
        .await;
    assert_eq!(login.expect(429).kind(), "too-many-failures");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_named_proxy_tells_its_clients_apart_and_another_does_not(pool: PgPool) {
    let settings = [("API_TRUSTED_PROXIES", "10.0.0.0/24")];
    let app = TestApp::with(pool, Wake::none(), &settings).await;
    let from = async |proxy: &str, client: &str| {
        let request = Request::get(route::WHOAMI)
            .extension(Peer::Ip(proxy.parse().unwrap()))
            .header("x-real-ip", client)
            .body(Body::empty());
        app.send(request.unwrap()).await.status
    };
    for _ in 0..10 {
        assert_eq!(from("10.0.0.9", "198.51.100.7").await, 401);
        assert_eq!(from("10.0.1.9", "198.51.100.7").await, 401);
    }
    assert_eq!(from("10.0.0.9", "198.51.100.7").await, 429);
    assert_eq!(from("10.0.0.9", "198.51.100.8").await, 401);
    // An unknown proxy can invent any address, so its clients count as one.
    assert_eq!(from("10.0.1.9", "198.51.100.8").await, 429);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn failures_count_over_all_replicas(pool: PgPool) {
    let (one, two) = (
        TestApp::with_redis(pool.clone()).await,
        TestApp::with_redis(pool).await,
    );
    for n in 0..10 {
        whoami(if n % 2 == 0 { &one } else { &two }, "Bearer nonsense")
            .await
            .expect(401);
    }
    whoami(&one, "Bearer nonsense").await.expect(429);
    whoami(&two, "Bearer nonsense").await.expect(429);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_admins_password_becomes_a_token(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let made = app
        .post(
            route::LOGIN,
            json!({ "name": "admin", "password": PASSWORD, "label": "laptop" }),
        )
        .await
        .expect(201);
    let token = made.body["token"].as_str().unwrap();
    assert!(made.body["expires_at"].is_string());
    let who = app
        .call(Method::GET, route::WHOAMI, token, None)
        .await
        .expect(200);
    assert_eq!(
        who.body,
        json!({ "kind": "principal", "name": "admin", "role": "admin", "token": made.body["id"] })
    );
    for (name, password) in [("admin", "wrong"), ("admin", ""), ("nobody", PASSWORD)] {
        let answer = app
            .post(route::LOGIN, json!({ "name": name, "password": password }))
            .await
            .expect(401);
        assert!(
            answer.detail().starts_with("the name or the password is wrong"),
            "{}",
            answer.detail()
        );
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn tokens_are_ones_own_but_for_admins(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let viewer = app.principal("v", Role::Viewer).await;
    app.principal("other", Role::Viewer).await;
    let post = async |body| app.call(Method::POST, route::TOKENS, &viewer, Some(body)).await;

    let own = post(json!({ "label": "ci", "expires_in_days": 7 }))
        .await
        .expect(201);
    let listed = app
        .call(Method::GET, route::TOKENS, &viewer, None)
        .await
        .expect(200);
    let items = listed.body["items"].as_array().unwrap();
    assert!(
        items.len() == 2 && items.iter().all(|token| token["principal"] == "v"),
        "{items:#?}"
    );
    assert!(!listed.body.to_string().contains("slw_"));

    let answer = post(json!({ "label": "x", "principal": "other" }))
        .await
        .expect(403);
    assert!(
        answer.detail().contains("takes the role admin"),
        "{}",
        answer.detail()
    );
    for (body, field, cure) in [
        (
            json!({ "label": "x", "expires_in_days": 0 }),
            "expires_in_days",
            "use 1 to 3650",
        ),
        (
            json!({ "label": "x", "expires_in_days": 3651 }),
            "expires_in_days",
            "use 1 to 3650",
        ),
        (json!({ "label": " " }), "label", "it is empty"),
        (json!({ "label": "x".repeat(101) }), "label", "at most 100"),
        (json!({ "label": "a\u{0}b" }), "label", "hidden character U+0000"),
    ] {
        let answer = post(body).await.expect(422);
        assert!(answer.field(field).contains(cure), "{:#}", answer.body);
    }

    let all = app.get(route::TOKENS).await;
    let others = all.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|token| token["principal"] == "other")
        .unwrap();
    let path = route::fill(route::TOKEN, others["id"].as_str().unwrap());
    app.call(Method::DELETE, &path, &viewer, None).await.expect(404);
    let path = route::fill(route::TOKEN, own.body["id"].as_str().unwrap());
    app.call(Method::DELETE, &path, &viewer, None).await.expect(204);
    let token = own.body["token"].as_str().unwrap();
    app.call(Method::GET, route::WHOAMI, token, None)
        .await
        .expect(401);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn principals_are_made_and_disabled_but_not_by_themselves(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post(route::PRINCIPALS, json!({ "name": "ci", "role": "deployer" }))
        .await
        .expect(201);
    let taken = app
        .post(route::PRINCIPALS, json!({ "name": "ci", "role": "viewer" }))
        .await
        .expect(409);
    assert_eq!(taken.kind(), "conflict");
    let bad = app
        .post(route::PRINCIPALS, json!({ "name": "ci-2", "role": "root" }))
        .await
        .expect(400);
    assert!(
        bad.field("role").contains("expected one of `viewer`"),
        "{:#}",
        bad.body
    );
    let token = app.token_of("ci").await;
    app.call(
        Method::DELETE,
        &route::fill(route::PRINCIPAL, "ci"),
        &app.admin,
        None,
    )
    .await
    .expect(204);
    app.call(Method::GET, route::WHOAMI, &token, None)
        .await
        .expect(401);
    let itself = app
        .call(
            Method::DELETE,
            &route::fill(route::PRINCIPAL, "admin"),
            &app.admin,
            None,
        )
        .await
        .expect(403);
    assert!(
        itself.detail().contains("nobody can disable themselves"),
        "{}",
        itself.detail()
    );
    let unknown = app
        .call(
            Method::DELETE,
            &route::fill(route::PRINCIPAL, "who"),
            &app.admin,
            None,
        )
        .await
        .expect(404);
    assert_eq!(unknown.kind(), "not-found");
    let for_disabled = app
        .post(route::TOKENS, json!({ "label": "x", "principal": "ci" }))
        .await
        .expect(422);
    assert!(for_disabled.field("principal").contains("disabled"));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_hosts_token_syncs_its_own_host_and_nothing_else(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1", "web-2"]).await.remove(0);
    let who = app
        .call(Method::GET, route::WHOAMI, &token, None)
        .await
        .expect(200);
    assert_eq!(who.body, json!({ "kind": "host", "name": "web-1" }));
    let other = app
        .call(
            Method::POST,
            route::AGENT_SYNC,
            &token,
            Some(observation("web-2")),
        )
        .await
        .expect(403);
    assert_eq!(other.kind(), "forbidden");
    assert!(
        other.detail().contains("host `web-1`") && other.detail().contains("host `web-2`"),
        "{}",
        other.detail()
    );
    let seen = app.get(&route::fill(route::HOST, "web-2")).await.body;
    assert!(seen["last_seen_at"].is_null(), "{seen:#}");
}
