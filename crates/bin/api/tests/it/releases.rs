//! Releases.

use serde_json::json;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{HASH, TestApp, closure};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn everything_that_is_wrong_with_a_release_is_told_at_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2", "web-3", "web-4"]).await;
    let answer = app
        .post(
            route::RELEASES,
            json!({ "closures": {
                "web-1": closure("web-1"),
                "web-2": "/nix/store/../etc/passwd",
                "web-3": format!("/other/store/{HASH}-web-3"),
                "web-4": "result",
                "web-9": closure("web-9"),
                "Web 5": closure("web-5"),
                "web-8": "relative",
            }}),
        )
        .await
        .expect(422);
    assert_eq!(answer.kind(), "invalid-request");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[id]" });
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_release_for_hosts_that_do_not_exist_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let closures = json!({ "web-1": closure("web-1"), "web-8": closure("web-8"), "web-9": closure("web-9") });
    let answer = app
        .post(route::RELEASES, json!({ "closures": closures }))
        .await
        .expect(422);
    assert!(answer.detail().contains("web-8, web-9"), "{}", answer.detail());
    answer.field("closures.web-8");
    answer.field("closures.web-9");
    assert_eq!(answer.body["fields"].as_array().unwrap().len(), 2);
    let empty = app
        .post(route::RELEASES, json!({ "closures": {} }))
        .await
        .expect(422);
    assert!(empty.field("closures").contains("at least one host"));
    assert_eq!(app.get(route::RELEASES).await.body["items"], json!([]));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn another_store_is_taken_when_it_is_the_hosts_own(pool: PgPool) {
    let app = TestApp::with(pool, slipway_wake::Wake::none(), &[("STORE_DIR", "/srv/store")]).await;
    app.fleet("prod", &["web-1"]).await;
    let path = format!("/srv/store/{HASH}-web-1");
    app.post(route::RELEASES, json!({ "closures": { "web-1": path } }))
        .await
        .expect(201);
    let answer = app
        .post(
            route::RELEASES,
            json!({ "closures": { "web-1": closure("web-1") } }),
        )
        .await
        .expect(422);
    assert!(
        answer
            .field("closures.web-1")
            .contains("not in the store /srv/store"),
        "{:#}",
        answer.body
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn releases_are_listed_page_by_page(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(app.release(&["web-1"]).await);
    }
    made.reverse();
    let (mut listed, mut next) = (Vec::new(), None::<String>);
    loop {
        let after = next.map(|next| format!("&after={next}")).unwrap_or_default();
        let page = app
            .get(&format!("/api/v1/releases?limit=2{after}"))
            .await
            .expect(200)
            .body;
        let items = page["items"].as_array().unwrap().clone();
        listed.extend(
            items
                .iter()
                .map(|release| release["id"].as_str().unwrap().to_owned()),
        );
        next = page["next"].as_str().map(ToOwned::to_owned);
        if next.is_none() {
            break;
        }
        assert_eq!(items.len(), 2);
    }
    assert_eq!(listed, made);
    for (query, status) in [
        ("limit=0", 422),
        ("limit=501", 422),
        ("limit=x", 400),
        ("after=x", 400),
        ("page=2", 400),
    ] {
        app.get(&format!("/api/v1/releases?{query}")).await.expect(status);
    }
    let shown = app.get(&route::fill(route::RELEASE, &made[0])).await.expect(200);
    assert_eq!(shown.body["closures"]["web-1"], closure("web-1"));
    assert_eq!(shown.body["author"], "admin");
    let unknown = route::fill(route::RELEASE, "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10");
    assert!(
        app.get(&unknown)
            .await
            .expect(404)
            .detail()
            .contains("slipway release list")
    );
    let malformed = app.get(&route::fill(route::RELEASE, "latest")).await.expect(400);
    assert!(malformed.field("id").contains("`latest` is not a release id"));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_list_of_releases_counts_hosts_and_does_not_name_their_closures(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hosts: Vec<String> = (0..200).map(|n| format!("web-{n}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    app.fleet("prod", &hosts).await;
    for _ in 0..3 {
        app.release(&hosts).await;
    }
    // An earlier program does not count.
    sqlx::query("UPDATE releases SET host_count = NULL WHERE seq = 2")
        .execute(&app.pool)
        .await
        .unwrap();
    let list = app.get(route::RELEASES).await.expect(200).body;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    for item in items {
        assert_eq!(
            (&item["hosts"], &item["closures"]),
            (&json!(200), &json!({})),
            "{item:#}"
        );
    }
    assert!(list.to_string().len() < 3000);
    let one = route::fill(route::RELEASE, items[0]["id"].as_str().unwrap());
    let one = app.get(&one).await.expect(200).body;
    assert_eq!(one["closures"].as_object().unwrap().len(), 200);
}
