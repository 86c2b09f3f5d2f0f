//! Events and the check of their chain.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;
use slipway_domain::Role;
use slipway_wire::route;
use sqlx::PgPool;
use tower::ServiceExt;

use crate::support::{Answer, TestApp, answer};

async fn waiting(app: &TestApp, path: &str, wait: u32) -> Answer {
    let request = Request::get(path)
        .header("authorization", format!("Bearer {}", app.admin))
        .header("prefer", format!("wait={wait}"));
    app.send(request.body(Body::empty()).unwrap()).await
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn events_come_in_order_and_in_pages(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2"]).await;
    let id = app.rollout("prod", &["web-1"]).await;
    let all = app.get(route::EVENTS).await.expect(200).body;
    let numbers: Vec<i64> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["number"].as_i64().unwrap())
        .collect();
    assert_eq!(
        numbers,
        (1..=i64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>()
    );
    assert!(
        all["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["host_name"] == "web-2")
    );
    let page = app.get("/api/v1/events?after=2&limit=2").await.expect(200).body;
    assert_eq!(
        (&page["items"][0]["number"], &page["next"]),
        (&json!(3), &json!("4"))
    );
    let own = app
        .get(&route::fill(route::ROLLOUT_EVENTS, &id))
        .await
        .expect(200)
        .body;
    let own = own["items"].as_array().unwrap();
    assert_eq!(own.len(), 1, "{own:#?}");
    assert_eq!(
        (&own[0]["kind"], &own[0]["rollout"]),
        (&json!("rollout.created"), &json!(id))
    );
    assert_eq!(own[0]["actor"], json!({ "kind": "principal", "name": "admin" }));
    app.get("/api/v1/events?after=-1")
        .await
        .expect(422)
        .field("after");
    let unknown = route::fill(route::ROLLOUT_EVENTS, "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10");
    // At once, although it would wait.
    let begin = Instant::now();
    waiting(&app, &unknown, 30).await.expect(404);
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whoever_waits_hears_of_the_next_event(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let id = app.rollout("prod", &["web-1"]).await;
    let path = route::fill(route::ROLLOUT_EVENTS, &id);
    let newest = app.get(&path).await.body["items"][0]["number"].as_i64().unwrap();
    let begin = Instant::now();
    let after = format!("{path}?after={newest}");
    let (heard, ()) = tokio::join!(waiting(&app, &after, 30), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let command = route::fill(route::ROLLOUT_COMMANDS, &id);
        app.post(&command, json!({ "command": "pause" }))
            .await
            .expect(202);
    });
    assert_eq!(heard.header("preference-applied"), "wait=30");
    assert_eq!(heard.body["items"][0]["kind"], "command.requested");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    let none = waiting(&app, &format!("{path}?after={}", newest + 100), 1)
        .await
        .expect(200);
    assert_eq!(none.body, json!({ "items": [] }));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_changed_event_is_found_out(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let good = app.get(route::AUDIT_VERIFY).await.expect(200).body;
    assert_eq!((&good["whole"], &good["broken_at"]), (&json!(true), &json!(null)));
    assert_eq!(good["head"].as_str().unwrap().len(), 64);
    sqlx::query("ALTER TABLE events DISABLE TRIGGER events_append_only")
        .execute(&app.pool)
        .await
        .unwrap();
    sqlx::query("UPDATE events SET cause = 'nothing' WHERE number = 3")
        .execute(&app.pool)
        .await
        .unwrap();
    let bad = app.get(route::AUDIT_VERIFY).await.expect(200).body;
    assert_eq!((&bad["whole"], &bad["broken_at"]), (&json!(false), &json!(3)));
    assert!(
        bad["problem"].as_str().unwrap().contains("was changed"),
        "{bad:#}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn checks_of_the_log_do_not_queue_without_bound(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let greedy = app.principal("greedy", Role::Viewer).await;
    // The first check waits for it, with its turn.
    let mut held = slipway_testkit::begin(&app.pool).await;
    sqlx::query("LOCK TABLE event_head")
        .execute(&mut *held)
        .await
        .unwrap();
    let ask = |token: &str| {
        let (router, token) = (app.router.clone(), token.to_owned());
        tokio::spawn(async move {
            let request = Request::get(route::AUDIT_VERIFY)
                .header("authorization", format!("Bearer {token}"))
                .body(Body::empty());
            answer(router.oneshot(request.unwrap()).await.unwrap()).await
        })
    };
    let mut waiting: Vec<_> = (0..40).map(|_| ask(&greedy)).collect();
    let mut sent_away = 0;
    while sent_away < 40 - 1 - 16 {
        let (ended, at, _) = futures_util::future::select_all(&mut waiting).await;
        drop(waiting.remove(at));
        let ended = ended.unwrap().expect(503);
        assert!(ended.header("retry-after").parse::<u64>().unwrap() >= 2);
        assert!(ended.detail().contains("Retry-After"), "{}", ended.detail());
        sent_away += 1;
    }
    // Somebody else's is not.
    waiting.push(ask(&app.admin));
    held.rollback().await.unwrap();
    for check in waiting {
        assert_eq!(check.await.unwrap().expect(200).body["whole"], json!(true));
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn events_are_searched_by_any_reference_of_a_rollout(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("dev", &["dev-1"]).await;
    app.fleet("prod", &["web-1"]).await;
    let dev = app.rollout("dev", &["dev-1"]).await;
    let prod = app.rollout("prod", &["web-1"]).await;
    let by = |reference: &str| format!("{}?rollout={reference}&newest_first=true", route::EVENTS);
    for reference in [&prod, &prod[..23], "2", "%232", "latest", "latest@prod"] {
        let found = app.get(&by(reference)).await.expect(200).body;
        assert_eq!(found["items"][0]["rollout"], json!(prod), "{reference}");
    }
    for (reference, status, said) in [
        ("9", 404, "there is no rollout `#9`"),
        ("0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10", 404, "there is no rollout"),
        ("v1", 400, "`v1` is no rollout: give its number"),
    ] {
        let refused = app.get(&by(reference)).await.expect(status);
        assert!(refused.body.to_string().contains(said), "{:#}", refused.body);
    }
    let limits = json!({ "label": "x", "limits": { "environments": ["dev"] } });
    let made = app.post(route::TOKENS, limits).await.expect(201).body;
    let limited = made["token"].as_str().unwrap();
    let ask = async |path: &str| app.call(Method::GET, path, limited, None).await;
    for reference in [&dev, "1", "latest@dev"] {
        let found = ask(&by(reference)).await.expect(200).body;
        assert_eq!(found["items"][0]["rollout"], json!(dev), "{reference}");
    }
    let refused = ask(route::EVENTS).await.expect(403).body["detail"].clone();
    for reference in [&prod, &prod[..23], &prod[..4], "2", "9", "latest", "latest@prod"] {
        assert_eq!(
            ask(&by(reference)).await.expect(403).body["detail"],
            refused,
            "{reference}"
        );
    }
}
