//! Lists of hosts and tokens come in pages, and nothing is skipped or shown twice.

use serde_json::{Value, json};
use slipway_domain::Role;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{TestApp, observation};

/// All entries of the list, two a page, by this field.
async fn walk(app: &TestApp, token: &str, list: &str, field: &str) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("{list}?limit=2{after}");
        let page = app
            .call(http::Method::GET, &path, token, None)
            .await
            .expect(200)
            .body;
        let items = page["items"].as_array().unwrap();
        assert!((1..=2).contains(&items.len()), "{page:#}");
        found.extend(items.iter().map(|item| item[field].as_str().unwrap().to_owned()));
        match &page["next"] {
            Value::Null => return found,
            next => after = format!("&after={}", next.as_str().unwrap()),
        }
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn hosts_come_by_name(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-2", "db", "web-10", "app", "web-1"])
        .await;
    app.fleet("test", &["other"]).await;
    let of = format!("{}?environment=prod", route::HOSTS);
    let all = app.get(&of).await.expect(200).body["items"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(all, 5);
    let names = walk(&app, &app.admin, route::HOSTS, "name").await;
    assert_eq!(names, ["app", "db", "other", "web-1", "web-10", "web-2"]);
    let path = format!("{of}&limit=2&after=db");
    let page = app.get(&path).await.expect(200).body;
    assert_eq!(
        (&page["items"][0]["name"], &page["next"]),
        (&json!("web-1"), &json!("web-10"))
    );
    for (query, field) in [
        ("after=Web_1", "after"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
    ] {
        let refused = app.get(&format!("{}?{query}", route::HOSTS)).await;
        assert!((400..=422).contains(&refused.status), "{refused:?}");
        refused.field(field);
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn tokens_come_newest_first_and_only_ones_own(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let viewer = app.principal("vera", Role::Viewer).await;
    app.fleet("prod", &["web-1", "web-2"]).await;
    for label in ["a", "b", "c"] {
        let body = json!({ "label": label, "principal": "vera" });
        app.post(route::TOKENS, body).await.expect(201);
    }
    let all = walk(&app, &app.admin, route::TOKENS, "label").await;
    assert_eq!(all, ["c", "b", "a", "agent", "agent", "test", "test"]);
    assert_eq!(
        walk(&app, &viewer, route::TOKENS, "label").await,
        ["c", "b", "a", "test"]
    );
    let none = format!("{}?after=0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10", route::TOKENS);
    app.get(&none).await.expect(404);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_hosts_trouble_is_shown(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    let mut seen = observation("web-1");
    seen["journal_trouble"] = json!("the journal was damaged\0; it is kept aside");
    seen["unsettled"] = json!("6f1c2a3b-4d5e-6f70-8192-a3b4c5d6e7f8");
    app.call(http::Method::POST, route::AGENT_SYNC, &token, Some(seen.clone()))
        .await
        .expect(200);
    let host = app.get(&route::fill(route::HOST, "web-1")).await.expect(200).body;
    assert_eq!(
        host["journal_trouble"],
        "the journal was damaged\u{fffd}; it is kept aside"
    );
    assert_eq!(host["unsettled"], seen["unsettled"]);
    let well = observation("web-1");
    app.call(http::Method::POST, route::AGENT_SYNC, &token, Some(well))
        .await
        .expect(200);
    let host = app.get(&route::fill(route::HOST, "web-1")).await.expect(200).body;
    assert_eq!(
        (&host["journal_trouble"], &host["unsettled"]),
        (&Value::Null, &Value::Null)
    );
}
