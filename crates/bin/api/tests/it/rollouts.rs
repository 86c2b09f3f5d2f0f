//! Rollouts and commands.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use slipway_domain::Role;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::TestApp;

const FLEET: [&str; 3] = ["web-1", "web-2", "web-3"];

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_is_planned_in_waves(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &FLEET).await;
    let release = app.release(&FLEET).await;
    let strategy = json!({ "canary": ["web-2"], "batch": 1 });
    let body = json!({ "environment": "prod", "release": release, "strategy": strategy });
    let made = app.post(route::ROLLOUTS, body).await.expect(201).body;
    assert_eq!(
        (&made["state"], &made["author"]),
        (&json!("staging"), &json!("admin"))
    );
    let waves: Vec<(&Value, &Value)> = made["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (&step["host"], &step["wave"]))
        .collect();
    assert_eq!(
        waves,
        [
            (&json!("web-2"), &json!(0)),
            (&json!("web-1"), &json!(1)),
            (&json!("web-3"), &json!(2))
        ]
    );
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        app.get(&route::fill(route::ROLLOUT, id)).await.expect(200).body,
        made
    );
    let listed = app
        .get("/api/v1/rollouts?environment=prod")
        .await
        .expect(200)
        .body;
    assert_eq!(listed["items"][0]["id"], id);
    let environment = app.get(&route::fill(route::ENVIRONMENT, "prod")).await.body;
    assert_eq!(environment["open_rollout"], id);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_to_some_hosts_leaves_the_others_alone_and_can_reboot_them(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &FLEET).await;
    let release = app.release(&FLEET).await;
    let some =
        |hosts: &[&str]| json!({ "environment": "prod", "release": release, "hosts": hosts, "reboot": true });
    let refused = app
        .post(route::ROLLOUTS, some(&["web-2", "web-9"]))
        .await
        .expect(422)
        .body;
    let said = refused["detail"].as_str().unwrap();
    assert!(said.contains("web-9") && !said.contains("web-2"), "{said}");
    let mut own = some(&["web-2"]);
    own["strategy"] = json!({});
    let refused = app.post(route::ROLLOUTS, own).await.expect(422).body;
    assert!(
        refused["detail"].as_str().unwrap().contains("reboot: always"),
        "{refused}"
    );
    let planned = app
        .post(route::ROLLOUT_PLANS, some(&["web-2"]))
        .await
        .expect(200)
        .body;
    assert_eq!(planned["left_alone"], json!(["web-1", "web-3"]));
    let made = app.post(route::ROLLOUTS, some(&["web-2"])).await.expect(201).body;
    let steps = made["steps"].as_array().unwrap();
    assert_eq!((steps.len(), &steps[0]["host"]), (1, &json!("web-2")));
    assert_eq!(
        (&made["strategy"]["reboot"], &made["strategy"]["on_failure"]),
        (&json!("always"), &json!("revert_host"))
    );
    // It is a rollout like any other, so no second one is begun beside it.
    app.post(route::ROLLOUTS, some(&["web-1"])).await.expect(409);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_strategy_that_cannot_be_used_is_refused_field_by_field(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &FLEET).await;
    let release = app.release(&FLEET).await;
    let post = async |strategy: Value| {
        app.post(
            route::ROLLOUTS,
            json!({ "environment": "prod", "release": release, "strategy": strategy }),
        )
        .await
    };
    for (strategy, field, cure) in [
        (json!({ "batch": 0 }), "strategy.batch", "use 1 or more"),
        (json!({ "batch": "101%" }), "strategy.batch", "use 1% to 100%"),
        (
            json!({ "max_unavailable": "0%" }),
            "strategy.max_unavailable",
            "use 1 or more",
        ),
        (json!({ "canary": 4 }), "strategy.canary", "use 0 to 3"),
        (
            json!({ "canary": ["db-1"] }),
            "strategy.canary",
            "not hosts of the rollout: db-1",
        ),
    ] {
        let answer = post(strategy).await.expect(422);
        assert!(answer.field(field).contains(cure), "{:#}", answer.body);
    }
    // What is no strategy at all is refused while it is read, with the same field.
    for (strategy, field, cure) in [
        (
            json!({ "batch": -1 }),
            "strategy.batch",
            "a number of hosts such as 2",
        ),
        (
            json!({ "batch": 1.5 }),
            "strategy.batch",
            "a number of hosts such as 2",
        ),
        (
            json!({ "verify": { "passes": "3" } }),
            "strategy.verify.passes",
            "expected u32",
        ),
        (
            json!({ "on_failure": "shrug" }),
            "strategy.on_failure",
            "revert_rollout",
        ),
        (json!({ "batches": 2 }), "strategy.batches", "expected one of"),
        (
            json!({ "order": "role=db" }),
            "strategy.order",
            "expected a sequence",
        ),
    ] {
        let answer = post(strategy).await.expect(400);
        assert!(answer.field(field).contains(cure), "{:#}", answer.body);
    }
    let many = post(json!({ "canary": 9, "batch": 0, "retries": 99 }))
        .await
        .expect(422);
    assert_eq!(
        many.body["fields"].as_array().unwrap().len(),
        3,
        "{:#}",
        many.body
    );
    insta::assert_json_snapshot!(many.body, { ".request_id" => "[id]" });
    assert_eq!(app.get(route::ROLLOUTS).await.body["items"], json!([]));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_environment_takes_one_rollout_at_a_time(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &FLEET).await;
    let release = app.release(&FLEET).await;
    let body = json!({ "environment": "prod", "release": release });
    // At the same time, too.
    let both = tokio::join!(
        app.post(route::ROLLOUTS, body.clone()),
        app.post(route::ROLLOUTS, body.clone())
    );
    let (made, busy) = if both.0.status == 201 {
        both
    } else {
        (both.1, both.0)
    };
    let number = made.expect(201).body["number"].clone();
    assert_eq!(busy.expect(409).kind(), "environment-busy");
    let busy = app.post(route::ROLLOUTS, body).await.expect(409);
    assert_eq!(busy.kind(), "environment-busy");
    assert!(
        busy.detail().contains(&format!("#{number}")) && busy.detail().contains("abort it"),
        "{}",
        busy.detail()
    );
    let retire = app
        .call(
            Method::DELETE,
            &route::fill(route::HOST, "web-1"),
            &app.admin,
            None,
        )
        .await
        .expect(409);
    assert!(
        retire.detail().contains(&format!("#{number}")),
        "{}",
        retire.detail()
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_without_hosts_or_parts_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    app.fleet("test", &["test-1"]).await;
    let release = app.release(&["web-1"]).await;
    let none = app
        .post(
            route::ROLLOUTS,
            json!({ "environment": "test", "release": release }),
        )
        .await
        .expect(422);
    assert!(
        none.field("release")
            .contains("no closure for any host of environment `test`"),
        "{:#}",
        none.body
    );
    let environment = app
        .post(
            route::ROLLOUTS,
            json!({ "environment": "qa", "release": release }),
        )
        .await
        .expect(404);
    assert!(environment.detail().contains("no environment `qa`"));
    let unknown = "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10";
    let release = app
        .post(
            route::ROLLOUTS,
            json!({ "environment": "prod", "release": unknown }),
        )
        .await
        .expect(404);
    assert!(release.detail().contains("no release"), "{}", release.detail());
    let id = app
        .post(
            route::ROLLOUTS,
            json!({ "environment": "prod", "release": "Latest" }),
        )
        .await
        .expect(400);
    id.field("release");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn commands_are_noted_for_the_worker(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &FLEET).await;
    let id = app.rollout("prod", &FLEET).await;
    let path = route::fill(route::ROLLOUT_COMMANDS, &id);
    let noted = app
        .post(&path, json!({ "command": "pause", "reason": "lunch" }))
        .await
        .expect(202)
        .body;
    assert_eq!(
        (&noted["state"], &noted["pending_commands"]),
        (&json!("staging"), &json!(["pause"]))
    );
    let wrong = app.post(&path, json!({ "command": "resume" })).await.expect(409);
    assert_eq!(wrong.kind(), "wrong-state");
    assert!(
        wrong
            .detail()
            .contains("a rollout that is staging cannot take `resume`"),
        "{}",
        wrong.detail()
    );
    let unknown = app.post(&path, json!({ "command": "stop" })).await.expect(400);
    assert!(
        unknown.field("command").contains("expected one of `approve`"),
        "{:#}",
        unknown.body
    );
    app.post(&path, json!({ "command": "abort", "reason": "" }))
        .await
        .expect(422)
        .field("reason");
    let nowhere = route::fill(route::ROLLOUT_COMMANDS, "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10");
    app.post(&nowhere, json!({ "command": "abort" }))
        .await
        .expect(404);
    let viewer = app.principal("v", Role::Viewer).await;
    app.call(Method::POST, &path, &viewer, Some(json!({ "command": "abort" })))
        .await
        .expect(403);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_approval_takes_somebody_else_with_the_role(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let environment = route::fill(route::ENVIRONMENT, "prod");
    app.call(
        Method::PATCH,
        &environment,
        &app.admin,
        Some(json!({ "approval_required": true })),
    )
    .await
    .expect(200);
    let deployer = app.principal("d", Role::Deployer).await;
    let approver = app.principal("p", Role::Approver).await;
    let release = app.release(&["web-1"]).await;
    let body = json!({ "environment": "prod", "release": release });
    let made = app
        .call(Method::POST, route::ROLLOUTS, &approver, Some(body))
        .await
        .expect(201)
        .body;
    assert_eq!(made["state"], "pending_approval");
    let path = route::fill(route::ROLLOUT_COMMANDS, made["id"].as_str().unwrap());
    let approve = async |token: &str| {
        app.call(Method::POST, &path, token, Some(json!({ "command": "approve" })))
            .await
    };
    let weak = approve(&deployer).await.expect(403);
    assert!(
        weak.detail().contains("takes the role approver"),
        "{}",
        weak.detail()
    );
    let own = approve(&approver).await.expect(403);
    assert!(own.detail().contains("ask somebody else"), "{}", own.detail());
    assert_eq!(
        approve(&app.admin).await.expect(202).body["pending_commands"],
        json!(["approve"])
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_is_part_of_the_callers_trace_or_begins_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &FLEET).await;
    app.fleet("lab", &["lab-1"]).await;
    let start = async |environment: &str, hosts: &[&str], traceparent: &str| {
        let body = json!({ "environment": environment, "release": app.release(hosts).await });
        let request = Request::post(route::ROLLOUTS)
            .header("authorization", format!("Bearer {}", app.admin))
            .header("content-type", "application/json")
            .header("traceparent", traceparent)
            .body(Body::from(body.to_string()));
        let made = app.send(request.unwrap()).await.expect(201).body;
        made["trace_id"].as_str().unwrap().to_owned()
    };
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(
        start("prod", &FLEET, parent).await,
        "0af7651916cd43dd8448eb211c80319c"
    );
    // What is no such header is ignored.
    let own = start("lab", &["lab-1"], "00-0-0-01").await;
    assert!(
        own.len() == 32 && own.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "{own}"
    );
}
