//! Releases.

use axum::http::Method;
use serde_json::{Value, json};
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
    let malformed = app
        .get(&route::fill(route::RELEASE, "newest@prod"))
        .await
        .expect(400);
    assert!(malformed.field("id").contains("`newest@prod` is no release"));
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

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_text_with_something_hidden_is_stored(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    let closures = json!({ "web-1": closure("web-1") });
    let hidden = [
        "\u{1b}", "\t", "\u{7f}", "\u{9b}", "\u{200b}", "\u{202e}", "\u{2028}", "\u{2066}", "\u{feff}",
    ];
    for hidden in hidden {
        let text = format!("a{hidden}b");
        let said = format!("U+{:04X}", u32::from(hidden.chars().next().unwrap()));
        let release = |field: &str| match field {
            "message" => json!({ "closures": closures, "message": text }),
            _ => json!({ "closures": closures, "source": { field: text } }),
        };
        for field in ["message", "flake_ref", "rev", "nar_hash"] {
            let answer = app.post(route::RELEASES, release(field)).await.expect(422);
            assert!(answer.detail().contains(&said), "{field}: {}", answer.detail());
        }
        let label = app
            .post(route::TOKENS, json!({ "label": text }))
            .await
            .expect(422);
        assert!(label.field("label").contains(&said));
        let host = json!({ "name": "web-2", "environment": "prod", "labels": { "zone": text } });
        let host = app.post(route::HOSTS, host).await.expect(422);
        assert!(host.field("labels.zone").contains(&said));
    }
    // Several lines only where there is room for them.
    let message = json!({ "closures": closures, "message": "Fix it\n\nGrüße, 世界 ✨" });
    app.post(route::RELEASES, message).await.expect(201);
    app.post(route::TOKENS, json!({ "label": "a\nb" }))
        .await
        .expect(422);

    // What a host reports is kept, without what was hidden.
    let mut seen = crate::support::observation("web-1");
    seen["journal_trouble"] = json!("lost\u{202e}\u{9b} it\nall");
    seen["agent_version"] = json!("1.0\u{200b}");
    app.call(Method::POST, route::AGENT_SYNC, &token, Some(seen))
        .await
        .expect(200);
    let host = app.get(&route::fill(route::HOST, "web-1")).await.expect(200).body;
    assert_eq!(host["journal_trouble"], "lost\u{fffd}\u{fffd} it\nall");
    assert_eq!(host["agent_version"], "1.0\u{fffd}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_release_of_ten_thousand_hosts_is_written_page_by_page(pool: PgPool) {
    const HOSTS: usize = 10_000;
    let app = TestApp::new(pool.clone()).await;
    app.fleet("prod", &[]).await;
    let sql = "INSERT INTO hosts (id, environment_id, name)
               SELECT gen_random_uuid(), e.id, 'web-' || n FROM environments e, generate_series(1, $1) n";
    let count = i64::try_from(HOSTS).unwrap();
    sqlx::query(sql).bind(count).execute(&pool).await.unwrap();
    let names: Vec<String> = (1..=HOSTS).map(|n| format!("web-{n}")).collect();
    let page = |names: &[String]| -> Value {
        // As long as the names of real systems.
        let path = |name: &str| format!("{}-26.05.20261128.0c5r1m2n3p4q5s6v7w8x9y0z", closure(name));
        let entries = names.iter().map(|name| (name.clone(), Value::from(path(name))));
        json!({ "closures": Value::Object(entries.collect()) })
    };
    // In one piece it does not fit.
    app.post(route::RELEASES, page(&names)).await.expect(413);

    let draft = app
        .post(route::DRAFTS, json!({ "message": "many" }))
        .await
        .expect(201)
        .body;
    let id = draft["id"].as_str().unwrap();
    let (add, seal) = (
        route::fill(route::DRAFT_CLOSURES, id),
        route::fill(route::DRAFT_SEAL, id),
    );
    let pages: Vec<&[String]> = names.chunks(1000).collect();
    let (last, first) = pages.split_last().unwrap();
    for names in first {
        app.post(&add, page(names)).await.expect(201);
    }
    let early = app.post(&seal, json!({ "hosts": HOSTS })).await.expect(409);
    assert!(early.detail().contains("holds 9000 hosts"), "{}", early.detail());
    app.get(&route::fill(route::RELEASE, id)).await.expect(404);
    let unknown = app
        .post(&add, json!({ "closures": { "db-1": closure("db-1") } }))
        .await
        .expect(422);
    unknown.field("closures.db-1");

    assert_eq!(app.post(&add, page(last)).await.expect(201).body["hosts"], HOSTS);
    let release = app.post(&seal, json!({ "hosts": HOSTS })).await.expect(201).body;
    assert_eq!(release["id"], *id);
    assert_eq!(release["closures"].as_object().unwrap().len(), HOSTS);
    app.post(&add, page(last)).await.expect(404);
    // These hosts were written into the database by hand, so none of them is rolled out to.
    let rollout = json!({ "environment": "prod", "release": id });
    let refused = app.post(route::ROLLOUTS, rollout).await.expect(409);
    assert!(
        refused.detail().contains("no event says how host"),
        "{}",
        refused.detail()
    );
}
