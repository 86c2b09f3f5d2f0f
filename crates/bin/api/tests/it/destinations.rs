//! Destinations of messages, as somebody who administers them and as somebody who wants more.

use axum::http::{Method, Request};
use serde_json::{Value, json};
use slipway_domain::Role;
use slipway_wake::Wake;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::TestApp;

const URL: &str = "https://hooks.example.org/services/T0/B0/a-secret-path";

fn standard(name: &str) -> Value {
    json!({ "name": name, "kind": "standard", "url": URL })
}

async fn with(pool: PgPool, settings: &[(&str, &str)]) -> TestApp {
    TestApp::with(pool, Wake::none(), settings).await
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_webhook_shows_its_secret_once_and_its_address_never(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let made = app
        .post(route::DESTINATIONS, standard("ops"))
        .await
        .expect(201)
        .body;
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    assert_eq!(made["destination"]["address"], "https://hooks.example.org/…");
    assert_eq!(made["destination"]["created_by"], "admin");
    let path = route::fill(route::DESTINATION, "ops");
    let shown = app.get(&path).await.expect(200).body;
    let list = app.get(route::DESTINATIONS).await.expect(200).body;
    let events = app.get(route::EVENTS).await.expect(200).body;
    for seen in [&shown, &list, &events] {
        let text = seen.to_string();
        assert!(
            !text.contains(&secret[6..]) && !text.contains("a-secret-path"),
            "{text}"
        );
    }
    assert_eq!(list["items"][0], shown);
    let taken = app.post(route::DESTINATIONS, standard("ops")).await.expect(409);
    assert!(taken.detail().contains("`ops` is taken"), "{}", taken.detail());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_request_that_comes_again_makes_one_destination_with_one_secret(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let send = async |body: Value| {
        let request = Request::post(route::DESTINATIONS)
            .header("authorization", format!("Bearer {}", app.admin))
            .header("content-type", "application/json")
            .header("idempotency-key", "k-1");
        app.send(request.body(body.to_string().into()).unwrap()).await
    };
    let first = send(standard("ops")).await.expect(201).body;
    let again = send(standard("ops")).await.expect(201).body;
    assert_eq!(first, again);
    let other = app
        .post(route::DESTINATIONS, standard("other"))
        .await
        .expect(201)
        .body;
    assert_ne!(first["secret"], other["secret"]);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_is_wrong_with_a_destination_is_told_with_its_field(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let with_url = |url: &str| json!({ "name": "x", "kind": "standard", "url": url });
    let matrix = |room: &str, token: Value| json!({ "name": "x", "kind": "matrix", "url": "https://matrix.example.org", "room": room, "token": token });
    for (body, field, words) in [
        (json!({ "name": "x", "kind": "standard" }), "url", "is missing"),
        (with_url("hooks"), "url", "is no URL"),
        (
            with_url("https://me:hunter2@example.org/"),
            "url",
            "user name or a password",
        ),
        (with_url("http://example.org/"), "url", "unencrypted"),
        (with_url("https://127.0.0.1/"), "url", "not public"),
        (with_url("https://[fd00::1]/"), "url", "not public"),
        (with_url("https://169.254.169.254/"), "url", "MESSAGES_NETWORKS"),
        (
            with_url("file:///etc/passwd"),
            "url",
            "neither https:// nor http://",
        ),
        (
            json!({ "name": "x", "kind": "slack", "url": URL, "room": "!a:b" }),
            "room",
            "leave it out",
        ),
        (
            json!({ "name": "x", "kind": "slack", "url": URL, "recipients": ["a@b"] }),
            "recipients",
            "leave it out",
        ),
        (matrix("#alias:example.org", json!("t")), "room", "no room's id"),
        (
            matrix("!a:example.org\r\nX: y", json!("t")),
            "room",
            "no room's id",
        ),
        (matrix("!a:example.org", Value::Null), "token", "is missing"),
        (matrix("!a:example.org", json!("a b")), "token", "visible ASCII"),
        (
            matrix("!a:example.org", json!("slw_0123")),
            "token",
            "of this control plane",
        ),
        (
            json!({ "name": "x", "kind": "email" }),
            "recipients",
            "give 1 to 20",
        ),
        (
            json!({ "name": "x", "kind": "email", "recipients": ["ops@example.org"] }),
            "recipients",
            "set SMTP_HOST",
        ),
        (
            json!({ "name": "x", "kind": "email", "recipients": ["a@b\r\nBcc: c@d"] }),
            "recipients",
            "no address",
        ),
        (
            json!({ "name": "x", "kind": "standard", "url": URL, "environments": ["nope"] }),
            "environments",
            "no environment",
        ),
    ] {
        let answer = app.post(route::DESTINATIONS, body.clone()).await.expect(422);
        assert!(
            answer.field(field).contains(words),
            "{body}: {}",
            answer.field(field)
        );
        assert!(!answer.body.to_string().contains("hunter2"));
    }
    for body in [
        json!({ "name": "x", "kind": "pager", "url": URL }),
        json!({ "name": "x", "kind": "standard", "url": URL, "messages": ["rollout.levitated"] }),
        json!({ "name": "x", "kind": "standard", "url": URL, "secret": "mine" }),
    ] {
        app.post(route::DESTINATIONS, body).await.expect(400);
    }
    assert_eq!(app.get(route::DESTINATIONS).await.body["items"], json!([]));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_the_settings_allow_can_be_made(pool: PgPool) {
    let settings = [
        ("MESSAGES_NETWORKS", "10.0.0.0/8"),
        ("SMTP_HOST", "smtp.example.org"),
        ("SMTP_FROM", "slipway@example.org"),
    ];
    let app = with(pool, &settings).await;
    let body = json!({ "name": "inside", "kind": "standard", "url": "http://10.1.2.3:8080/x" });
    app.post(route::DESTINATIONS, body).await.expect(201);
    let body = json!({ "name": "elsewhere", "kind": "standard", "url": "http://192.168.1.1/" });
    app.post(route::DESTINATIONS, body).await.expect(422);
    let body = json!({ "name": "mail", "kind": "email", "recipients": ["ops@example.org"] });
    let made = app.post(route::DESTINATIONS, body).await.expect(201).body;
    assert_eq!(made.get("secret"), None);
    let path = route::fill(route::DESTINATION, "mail");
    let bad = json!({ "recipients": ["nobody"] });
    let answer = app
        .call(Method::PATCH, &path, &app.admin, Some(bad))
        .await
        .expect(422);
    assert!(answer.field("recipients").contains("`nobody` is no address"));
    let good = json!({ "recipients": ["me@example.org"], "messages": ["host.stuck"] });
    let changed = app
        .call(Method::PATCH, &path, &app.admin, Some(good))
        .await
        .expect(200)
        .body;
    assert_eq!(changed["recipients"], json!(["me@example.org"]));
    assert_eq!(changed["messages"], json!(["host.stuck"]));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_test_is_a_delivery_and_dead_ones_are_shown_and_replayed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post(route::DESTINATIONS, standard("ops")).await.expect(201);
    let test = route::fill(route::DESTINATION_TEST, "ops");
    let mut ids = Vec::new();
    for _ in 0..3 {
        let made = app.post(&test, json!({})).await.expect(201).body;
        assert_eq!(
            (&made["state"], &made["message"]["type"]),
            (&json!("waiting"), &json!("test"))
        );
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let path = route::fill(route::DESTINATION, "ops");
    let off = json!({ "enabled": false });
    let off = app
        .call(Method::PATCH, &path, &app.admin, Some(off))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&off["dead"], &off["disabled_because"]),
        (&json!(3), &json!("admin disabled it"))
    );
    app.post(&test, json!({})).await.expect(409);
    let replay = route::fill(route::DESTINATION_REPLAY, "ops");
    let refused = app.post(&replay, json!({})).await.expect(409);
    assert!(
        refused
            .detail()
            .contains("slipway destination set ops --enabled true"),
        "{}",
        refused.detail()
    );
    app.call(Method::PATCH, &path, &app.admin, Some(json!({ "enabled": true })))
        .await
        .expect(200);

    let list = route::fill(route::DELIVERIES, "ops");
    let first = app
        .get(&format!("{list}?state=dead&limit=2"))
        .await
        .expect(200)
        .body;
    let shown: Vec<&Value> = first["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["id"])
        .collect();
    assert_eq!(shown, [&json!(ids[2]), &json!(ids[1])], "the newest first");
    let next = first["next"].as_str().unwrap();
    let second = app
        .get(&format!("{list}?state=dead&limit=2&after={next}"))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (second["items"].as_array().unwrap().len(), second.get("next")),
        (1, None)
    );
    let one = app
        .post(&route::fill(route::DELIVERY_REPLAY, &ids[0]), json!({}))
        .await
        .expect(200)
        .body;
    assert_eq!((&one["id"], &one["state"]), (&json!(ids[0]), &json!("waiting")));
    let again = app
        .post(&route::fill(route::DELIVERY_REPLAY, &ids[0]), json!({}))
        .await
        .expect(409);
    assert!(
        again.detail().contains("is waiting, and only a dead one"),
        "{}",
        again.detail()
    );
    assert_eq!(
        app.post(&replay, json!({})).await.expect(200).body,
        json!({ "replayed": 2 })
    );
    assert_eq!(
        app.get(&route::fill(route::DELIVERY, &ids[1]))
            .await
            .expect(200)
            .body["state"],
        "waiting"
    );

    app.call(Method::DELETE, &path, &app.admin, None)
        .await
        .expect(204);
    let gone = app.get(&path).await.expect(404);
    assert!(
        gone.detail().contains("slipway destination list"),
        "{}",
        gone.detail()
    );
    app.get(&route::fill(route::DELIVERY, &ids[1])).await.expect(404);
}

/// Where messages go says who is on call, and a test reaches them.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn only_an_admin_sees_or_changes_destinations_and_a_token_may_be_limited_to_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post(route::DESTINATIONS, standard("ops")).await.expect(201);
    let approver = app.principal("p", Role::Approver).await;
    app.call(Method::GET, route::DESTINATIONS, &approver, None)
        .await
        .expect(403);
    let token = async |command: &str| {
        let body = json!({ "label": "x", "limits": { "commands": [command] } });
        app.post(route::TOKENS, body).await.expect(201).body["token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (good, other) = (token("destination").await, token("release").await);
    let test = route::fill(route::DESTINATION_TEST, "ops");
    app.call(Method::POST, &test, &good, Some(json!({})))
        .await
        .expect(201);
    app.call(Method::POST, &test, &other, Some(json!({})))
        .await
        .expect(403);
}
