//! What holds for every route: ids, headers, bodies and their limits, unknown routes.

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{Answer, TestApp};

async fn post(app: &TestApp, content_type: Option<&str>, body: Body) -> Answer {
    let mut request =
        Request::post(route::ENVIRONMENTS).header("authorization", format!("Bearer {}", app.admin));
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    app.send(request.body(body).unwrap()).await
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn every_answer_has_an_id_and_is_not_kept(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in [route::WHOAMI, route::LIVE, "/api/v1/nowhere"] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("x-request-id").len(), 32);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let request = Request::get("/api/nowhere")
        .header("x-request-id", "build-7")
        .body(Body::empty())
        .unwrap();
    let answer = app.send(request).await.expect(404);
    assert_eq!(
        (answer.header("x-request-id"), answer.kind()),
        ("build-7", "not-found")
    );
    assert_eq!(answer.body["request_id"], "build-7");
    assert!(answer.detail().contains("openapi.json"));
    let method = app
        .call(Method::PUT, route::HOSTS, &app.admin, None)
        .await
        .expect(405);
    assert_eq!(
        (method.kind(), method.header("allow")),
        ("method-not-allowed", "GET,HEAD,POST")
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_body_that_is_no_json_is_refused_with_the_reason(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let json = Some("application/json");
    for (body, said) in [
        ("", "the body is empty"),
        ("{", "EOF while parsing"),
        ("name=prod", "expected ident"),
        (r#"{"name": "prod",}"#, "trailing comma"),
        (r#"{"name": "prod"} {}"#, "goes on after its JSON"),
        ("[]", "not of the right form"),
        (r#""prod""#, "not of the right form"),
        ("{}", "missing field `name`"),
        ("{\"name\": \"a\u{ff}\"}", "is not a valid environment name"),
    ] {
        let answer = post(&app, json, Body::from(body)).await.expect(400);
        assert_eq!(answer.kind(), "malformed-request");
        assert!(answer.detail().contains(said), "{body}: {}", answer.detail());
    }
    let utf8 = post(&app, json, Body::from(&b"{\"name\": \"\xff\"}"[..]))
        .await
        .expect(400);
    assert!(utf8.detail().contains("unicode"), "{}", utf8.detail());
    let deep = format!("{{\"name\": {}", "[".repeat(100_000));
    assert!(
        post(&app, json, Body::from(deep))
            .await
            .expect(400)
            .detail()
            .contains("name")
    );
    for media in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let answer = post(&app, media, Body::from(r#"{"name": "prod"}"#))
            .await
            .expect(415);
        assert_eq!(answer.kind(), "unsupported-media-type");
        assert!(answer.detail().contains("`Content-Type: application/json`"));
    }
    let charset = Some("Application/JSON; charset=utf-8");
    post(&app, charset, Body::from(r#"{"name": "prod"}"#))
        .await
        .expect(201);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_body_over_the_limit_is_refused_however_it_comes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let large = || format!(r#"{{"name": "{}"}}"#, "x".repeat(10 * 1024 * 1024));
    let whole = post(&app, Some("application/json"), Body::from(large()))
        .await
        .expect(413);
    assert_eq!(
        (whole.kind(), whole.header("connection")),
        ("body-too-large", "close")
    );
    assert!(whole.detail().contains("at most 1048576 bytes"));
    let pieces = large().into_bytes();
    let pieces: Vec<_> = pieces
        .chunks(65_536)
        .map(|piece| Ok::<_, std::io::Error>(Frame::data(piece.to_vec().into())))
        .collect();
    let chunked = Body::new(StreamBody::new(Pieces::<axum::body::Bytes>(pieces.into_iter())));
    post(&app, Some("application/json"), chunked).await.expect(413);
    let most = format!(r#"{{"name": "prod"{}}}"#, " ".repeat(1024 * 1024 - 16));
    assert_eq!(most.len(), 1024 * 1024);
    post(&app, Some("application/json"), Body::from(most))
        .await
        .expect(201);
}

/// Pieces of a body of unknown length.
struct Pieces<D>(std::vec::IntoIter<Result<Frame<D>, std::io::Error>>);

impl<D: Unpin> futures_util::Stream for Pieces<D> {
    type Item = Result<Frame<D>, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nothing_but_monitoring_is_served_before_the_schema_was_checked(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let settings = [
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"),
        ("SECRET_KEY", crate::support::SECRET_KEY),
        ("ADMIN_PASSWORD", crate::support::PASSWORD),
    ];
    let settings =
        slipway_settings::ApiSettings::from_source(&slipway_settings::SettingsSource::from_map(settings))
            .unwrap();
    let fresh = slipway_api::state::Shared::new(
        &settings,
        slipway_store::Store::from_pool(app.pool.clone()),
        slipway_wake::Wake::none(),
        tokio_util::sync::CancellationToken::new(),
    );
    let fresh = slipway_api::router::router(&fresh.unwrap());
    let mut app = app;
    app.router = fresh;
    app.get(route::LIVE).await.expect(200);
    app.get(route::OPENAPI).await.expect(200);
    for path in [route::READY, route::WHOAMI, route::HOSTS] {
        let answer = app.get(path).await.expect(503);
        assert_eq!(
            (answer.kind(), answer.header("retry-after")),
            ("unavailable", "2")
        );
        assert!(!answer.body.to_string().contains("schema"), "{:#}", answer.body);
    }
    app.post(route::LOGIN, json!({ "name": "admin", "password": "x" }))
        .await
        .expect(503);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_array_is_no_object_and_a_key_is_there_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let json = Some("application/json");
    for (body, field, said) in [
        (
            r#"{"name": "prod", "strategy": [1, "25%"]}"#,
            "strategy",
            "invalid type: sequence",
        ),
        (
            r#"{"name": "prod", "strategy": {"verify": [3, 5, 120]}}"#,
            "strategy.verify",
            "invalid type: sequence",
        ),
        (
            r#"{"name": "prod", "strategy": {"retries": 1, "retries": 2}}"#,
            "strategy",
            "`retries` is there twice",
        ),
    ] {
        let answer = post(&app, json, Body::from(body)).await.expect(400);
        assert!(answer.field(field).contains(said), "{body}: {:#}", answer.body);
    }
    let twice = post(&app, json, Body::from(r#"{"name": "prod", "name": "test"}"#))
        .await
        .expect(400);
    assert!(
        twice.detail().contains("`name` is there twice"),
        "{}",
        twice.detail()
    );
    let release = format!(
        r#"{{"closures": {{"web-1": "{0}", "web-1": "{0}"}}}}"#,
        crate::support::closure("web-1")
    );
    let request = Request::post(route::RELEASES)
        .header("authorization", format!("Bearer {}", app.admin))
        .header("content-type", "application/json")
        .body(Body::from(release));
    let answer = app.send(request.unwrap()).await.expect(400);
    assert!(
        answer.field("closures").contains("`web-1` is there twice"),
        "{:#}",
        answer.body
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_was_wrong_is_repeated_so_far_and_no_further(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let long = "\u{1}\"".repeat(50_000);
    let many: serde_json::Map<_, _> = (0..10_000)
        .map(|n| (format!("Web {n} {}", "x".repeat(60)), json!("\\nowhere")))
        .collect();
    for (path, body) in [
        (route::ENVIRONMENTS, json!({ "name": long })),
        (route::ENVIRONMENTS, json!({ "name": "prod", long.clone(): 1 })),
        (
            route::ENVIRONMENTS,
            json!({ "name": "prod", "strategy": { "batch": long } }),
        ),
        (route::RELEASES, json!({ "closures": many })),
        (route::RELEASES, json!({ "closures": { long.clone(): long } })),
        (
            route::HOSTS,
            json!({ "name": "web-1", "environment": "prod", "labels": { long.clone(): "x" } }),
        ),
        (route::TOKENS, json!({ "label": "x", "principal": long })),
    ] {
        let answer = app.post(path, body).await;
        assert!([400, 422].contains(&answer.status), "{path}: {}", answer.status);
        let size = answer.body.to_string().len();
        assert!(size < 100_000, "{path}: {size} bytes");
    }
    let answer = app
        .post(route::RELEASES, json!({ "closures": many }))
        .await
        .expect(422);
    assert_eq!(answer.body["fields"].as_array().unwrap().len(), 100);
    assert!(
        answer.detail().contains("10000 of 10000 closures"),
        "{}",
        answer.detail()
    );
    assert!(
        answer.detail().contains("the first 100 of 20000 fields are told"),
        "{}",
        answer.detail()
    );
    let target = format!("{}?after={}", route::HOSTS, "x".repeat(20_000));
    let size = app.get(&target).await.expect(400).body.to_string().len();
    assert!(size < 5000, "{size}");
}
