//! Labels of hosts, groups of them, and plans.

use axum::http::Method;
use serde_json::{Value, json};
use slipway_domain::Role;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{Answer, TestApp};

const FLEET: [&str; 5] = ["app-1", "app-2", "db-1", "db-2", "edge-1"];

async fn label(app: &TestApp, host: &str, labels: Value) -> Answer {
    let path = route::fill(route::HOST, host);
    let body = json!({ "labels": labels });
    app.call(Method::PATCH, &path, &app.admin, Some(body)).await
}

/// A fleet with roles, whose databases are members of one cluster, and a release for it.
async fn fleet(app: &TestApp) -> String {
    app.fleet("prod", &FLEET).await;
    for host in FLEET {
        let (role, _) = host.split_once('-').unwrap();
        label(app, host, json!({ "role": role })).await.expect(200);
    }
    for host in ["db-1", "db-2"] {
        label(app, host, json!({ "slipway.cluster": "main" }))
            .await
            .expect(200);
    }
    app.release(&FLEET).await
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_hosts_labels_are_set_and_taken_away(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let given = label(&app, "web-1", json!({ "role": "web", "zone": "a" }))
        .await
        .expect(200);
    assert_eq!(given.body["labels"], json!({ "role": "web", "zone": "a" }));
    let changed = label(&app, "web-1", json!({ "zone": null, "rack": "7" }))
        .await
        .expect(200);
    assert_eq!(changed.body["labels"], json!({ "role": "web", "rack": "7" }));
    let events = app.get("/api/v1/events?limit=100").await.expect(200).body;
    let newest = events["items"].as_array().unwrap().last().unwrap().clone();
    assert!(
        newest["cause"]
            .as_str()
            .unwrap()
            .starts_with("web-1 has other labels: rack=7 role=web ["),
        "{newest:#}"
    );
    label(&app, "web-1", json!({ "rack": "7" })).await.expect(200);
    let after = app.get("/api/v1/events?limit=100").await.expect(200).body;
    assert_eq!(after["items"], events["items"], "what is so already is no event");

    let bad = label(&app, "web-1", json!({ "a b": "x", "zone": "a\nb" }))
        .await
        .expect(422);
    assert!(bad.field("labels.a b").contains("1 to 63"));
    assert!(bad.field("labels.zone").contains("U+000A"));
    let many: Value = (0..31).map(|n| (format!("l{n}"), json!("x"))).collect();
    let many = label(&app, "web-1", many).await.expect(422);
    assert!(
        many.field("labels")
            .contains("would have 33 labels; use at most 32")
    );
    let path = route::fill(route::HOST, "web-1");
    let deployer = app.principal("dora", Role::Deployer).await;
    let body = Some(json!({ "labels": {} }));
    app.call(Method::PATCH, &path, &deployer, body).await.expect(403);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_plan_shows_the_waves_that_the_rollout_then_has(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let release = fleet(&app).await;
    let order = json!([{ "hosts": "role=db", "max_unavailable": 1 }, "role=app"]);
    let strategy = json!({ "order": order, "batch": 5, "max_unavailable": 2 });
    let body = json!({ "environment": "prod", "release": release, "strategy": strategy });
    let plan = app
        .post(route::ROLLOUT_PLANS, body.clone())
        .await
        .expect(200)
        .body;
    assert_eq!(plan["strategy"]["order"], order);
    let mut planned = Vec::new();
    for group in plan["groups"].as_array().unwrap() {
        for wave in group["waves"].as_array().unwrap() {
            for host in wave["hosts"].as_array().unwrap() {
                planned.push(json!([
                    wave["wave"],
                    group["group"],
                    wave["canary"],
                    host["host"]
                ]));
            }
        }
    }
    assert_eq!(
        planned,
        [
            json!([0, 0, true, "db-1"]),
            json!([1, 0, false, "db-2"]),
            json!([2, 1, true, "app-1"]),
            json!([3, 1, false, "app-2"]),
            json!([4, 2, true, "edge-1"]),
        ]
    );
    insta::assert_json_snapshot!(plan, { ".release" => "[id]", ".release_label.id" => "[id]", ".strategy" => "[strategy]" });
    assert_eq!(
        app.get(route::ROLLOUTS).await.body["items"],
        json!([]),
        "nothing begins"
    );

    let made = app.post(route::ROLLOUTS, body.clone()).await.expect(201).body;
    let steps = made["steps"].as_array().unwrap();
    let steps: Vec<Value> = steps
        .iter()
        .map(|step| json!([step["wave"], step["group"], step["canary"], step["host"]]))
        .collect();
    assert_eq!(steps, planned);
    assert_eq!(made["steps"][0]["cluster"], "main");
    let while_open = app.post(route::ROLLOUT_PLANS, body).await.expect(200).body;
    assert_eq!(while_open["open_rollout"], made["id"]);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_order_that_cannot_be_kept_is_refused_with_the_cure(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let release = fleet(&app).await;
    for (strategy, field, cure) in [
        (
            json!({ "order": ["role=web"] }),
            "strategy.order[0]",
            "the hosts' labels are role=app; ",
        ),
        (
            json!({ "order": [{ "hosts": "role=db", "max_unavailable": 2 }] }),
            "strategy.order[0].max_unavailable",
            "db-1, db-2 are members of the cluster `main`",
        ),
        (
            json!({ "canary": ["db-1", "db-2"] }),
            "strategy.canary",
            "name one of them",
        ),
    ] {
        let body = json!({ "environment": "prod", "release": release, "strategy": strategy });
        for path in [route::ROLLOUT_PLANS, route::ROLLOUTS] {
            let answer = app.post(path, body.clone()).await.expect(422);
            assert!(answer.field(field).contains(cure), "{:#}", answer.body);
        }
    }
    for (order, field, cure) in [
        (json!(["db"]), "strategy.order[0]", "write NAME=VALUE"),
        (
            json!([{ "hosts": "role=db", "max": 1 }]),
            "strategy.order[0].max",
            "expected one of",
        ),
    ] {
        let change = json!({ "strategy": { "order": order } });
        let path = route::fill(route::ENVIRONMENT, "prod");
        let answer = app
            .call(Method::PATCH, &path, &app.admin, Some(change))
            .await
            .expect(400);
        assert!(answer.field(field).contains(cure), "{:#}", answer.body);
    }
    let twice = json!({ "name": "stage", "strategy": { "order": ["role=db", "role=db"] } });
    let twice = app.post(route::ENVIRONMENTS, twice).await.expect(422);
    assert!(twice.field("strategy.order[1]").contains("there twice"));
    assert_eq!(app.get(route::ROLLOUTS).await.body["items"], json!([]));
    let viewer = app.principal("vera", Role::Viewer).await;
    let body = json!({ "environment": "prod", "release": release });
    app.call(Method::POST, route::ROLLOUT_PLANS, &viewer, Some(body))
        .await
        .expect(200);
}
