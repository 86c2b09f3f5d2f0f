//! Environments and hosts.

use axum::http::Method;
use serde_json::{Value, json};
use slipway_domain::Role;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{TestApp, observation};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn environments_are_made_shown_and_changed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let made = app
        .post(
            route::ENVIRONMENTS,
            json!({ "name": "prod", "strategy": { "canary": 2 }, "approval_required": true }),
        )
        .await
        .expect(201);
    assert_eq!(
        (&made.body["strategy"]["canary"], &made.body["approval_required"]),
        (&json!(2), &json!(true))
    );
    let path = route::fill(route::ENVIRONMENT, "prod");
    let patch = async |body| app.call(Method::PATCH, &path, &app.admin, Some(body)).await;
    let changed = patch(json!({ "approval_required": false })).await.expect(200);
    assert_eq!(changed.body["strategy"]["canary"], 2);
    let changed = patch(json!({ "strategy": { "batch": "50%" } })).await.expect(200);
    assert_eq!(changed.body["strategy"]["batch"], "50%");
    assert_eq!(patch(json!({})).await.expect(200).body, changed.body);
    assert_eq!(app.get(&path).await.expect(200).body, changed.body);
    assert_eq!(
        app.get(route::ENVIRONMENTS).await.expect(200).body["items"][0],
        changed.body
    );

    assert_eq!(
        app.post(route::ENVIRONMENTS, json!({ "name": "prod" }))
            .await
            .expect(409)
            .kind(),
        "conflict"
    );
    let unknown = app
        .get(&route::fill(route::ENVIRONMENT, "test"))
        .await
        .expect(404);
    assert!(
        unknown.detail().contains("no environment `test`") && unknown.detail().contains("slipway env list")
    );
    let malformed = app
        .get(&route::fill(route::ENVIRONMENT, "Prod_1"))
        .await
        .expect(400);
    assert!(
        malformed
            .field("name")
            .contains("`Prod_1` is not a valid environment name")
    );
    assert!(
        patch(json!({ "strategy": { "verify": { "passes": 0 } } }))
            .await
            .expect(422)
            .field("strategy.verify.passes")
            .contains("use 1 or more")
    );
    let typo = patch(json!({ "aproval_required": true })).await.expect(400);
    assert!(
        typo.detail().contains("unknown field `aproval_required`"),
        "{}",
        typo.detail()
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_comes_with_a_token_that_is_shown_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post(route::ENVIRONMENTS, json!({ "name": "prod" }))
        .await
        .expect(201);
    let made = app
        .post(
            route::HOSTS,
            json!({ "name": "web-1", "environment": "prod", "labels": { "zone": "a" } }),
        )
        .await
        .expect(201);
    let first = made.body["token"]["token"].as_str().unwrap().to_owned();
    let path = route::fill(route::HOST, "web-1");
    let shown = app.get(&path).await.expect(200);
    assert_eq!(shown.body["labels"], json!({ "zone": "a" }));
    assert!(!shown.body.to_string().contains("slw_"));
    assert_eq!(
        app.get("/api/v1/hosts?environment=prod").await.expect(200).body["items"][0]["name"],
        "web-1"
    );

    let renewed = app
        .post(&route::fill(route::HOST_TOKEN, "web-1"), json!({}))
        .await
        .expect(201);
    let second = renewed.body["token"].as_str().unwrap();
    app.call(Method::GET, route::WHOAMI, &first, None)
        .await
        .expect(401);
    app.call(Method::GET, route::WHOAMI, second, None)
        .await
        .expect(200);
    app.call(
        Method::POST,
        &route::fill(route::HOST_TOKEN, "web-1"),
        &app.admin,
        None,
    )
    .await
    .expect(201);
    app.post(&route::fill(route::HOST_TOKEN, "web-1"), json!({ "days": 3 }))
        .await
        .expect(400);

    app.call(Method::DELETE, &path, &app.admin, None)
        .await
        .expect(204);
    app.call(Method::GET, route::WHOAMI, second, None)
        .await
        .expect(401);
    assert!(app.get(&path).await.expect(200).body["retired_at"].is_string());
    assert_eq!(app.get(route::HOSTS).await.body["items"], json!([]));
    let again = app
        .post(route::HOSTS, json!({ "name": "web-1", "environment": "prod" }))
        .await
        .expect(409);
    assert!(
        again.detail().contains("is that of a host that was retired on")
            && again.detail().contains("slipway host restore web-1"),
        "{}",
        again.detail()
    );
    app.post(&route::fill(route::HOST_TOKEN, "web-1"), json!({}))
        .await
        .expect(409);

    let restore = route::fill(route::HOST_RESTORE, "web-1");
    let back = app.post(&restore, json!({})).await.expect(201).body;
    assert_eq!(back["host"]["retired_at"], Value::Null);
    let third = back["token"]["token"].as_str().unwrap();
    app.call(Method::GET, route::WHOAMI, second, None)
        .await
        .expect(401);
    app.call(Method::GET, route::WHOAMI, third, None)
        .await
        .expect(200);
    app.post(&restore, json!({})).await.expect(409);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_moves_and_an_empty_environment_goes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    app.fleet("stage", &[]).await;
    let (host, prod) = (
        route::fill(route::HOST, "web-1"),
        route::fill(route::ENVIRONMENT, "prod"),
    );
    let in_use = app
        .call(Method::DELETE, &prod, &app.admin, None)
        .await
        .expect(409);
    assert!(in_use.detail().contains("has 1 hosts"), "{}", in_use.detail());
    let patch = |body: Value| app.call(Method::PATCH, &host, &app.admin, Some(body));
    let moved = patch(json!({ "environment": "stage" })).await.expect(200).body;
    assert_eq!(moved["environment"], "stage");
    assert_eq!(patch(json!({})).await.expect(200).body["environment"], "stage");
    patch(json!({ "environment": "nowhere" })).await.expect(404);
    app.call(Method::DELETE, &prod, &app.admin, None)
        .await
        .expect(204);
    app.get(&prod).await.expect(404);
    app.post(route::ENVIRONMENTS, json!({ "name": "prod" }))
        .await
        .expect(201);
    app.get(&prod).await.expect(200);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_bad_host_is_refused_with_the_cure(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let name = app
        .post(route::HOSTS, json!({ "name": "Web_1", "environment": "prod" }))
        .await
        .expect(400);
    assert!(
        name.field("name")
            .contains("`Web_1` is not a valid host name: use 1 to 63"),
        "{:#}",
        name.body
    );
    let environment = app
        .post(route::HOSTS, json!({ "name": "web-2", "environment": "test" }))
        .await
        .expect(404);
    assert!(
        environment.detail().contains("no environment `test`"),
        "{}",
        environment.detail()
    );
    let labels = json!({ "name": "web-2", "environment": "prod", "labels": { "": "x", "zone": "a\nb" } });
    let labels = app.post(route::HOSTS, labels).await.expect(422);
    assert!(labels.field("labels.").contains("1 to 63"));
    assert!(labels.field("labels.zone").contains("U+000A"));
    let unknown = app.get(&route::fill(route::HOST, "web-9")).await.expect(404);
    assert!(unknown.detail().contains("no host `web-9`") && unknown.detail().contains("slipway host list"));
    let query = app.get("/api/v1/hosts?enviroment=prod").await.expect(400);
    assert!(
        query.detail().contains("unknown field `enviroment`"),
        "{}",
        query.detail()
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_clock_that_is_an_hour_off_is_shown_and_no_trouble(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    let now = app.app.store.now().await.unwrap();
    let mut seen = observation("web-1");
    seen["clock"] = serde_json::to_value(now + std::time::Duration::from_hours(1)).unwrap();
    app.call(Method::POST, route::AGENT_SYNC, &token, Some(seen))
        .await
        .expect(200);
    let host = app.get(&route::fill(route::HOST, "web-1")).await.body;
    assert!(
        (3598..=3602).contains(&host["clock_skew_seconds"].as_i64().unwrap()),
        "{host:#}"
    );
    assert_eq!(host["online"], true);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn long_words_of_agents_are_cut_short_in_a_list(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    let mut seen = observation("web-1");
    let words = "ä".repeat(3000);
    seen["journal_trouble"] = json!(words);
    seen["report"] = json!({ "attempt": "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10", "phase": "committed",
        "message": words, "hooks": { "trouble": words }, "reboot": { "obstacle": words } });
    app.call(Method::POST, route::AGENT_SYNC, &token, Some(seen))
        .await
        .expect(200);
    let list = app.get(route::HOSTS).await.expect(200).body;
    let whole = app.get(&route::fill(route::HOST, "web-1")).await.body;
    for place in [
        "/journal_trouble",
        "/report/message",
        "/report/hooks/trouble",
        "/report/reboot/obstacle",
    ] {
        let short = list["items"][0].pointer(place).unwrap();
        assert_eq!(*short, json!(format!("{}…", "ä".repeat(200))), "{place}");
        assert_eq!(whole.pointer(place).unwrap(), words.as_str(), "{place}");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_reboot_that_is_pending_is_shown_until_the_agent_says_that_it_is_over(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    let pending = async |parts: Value| {
        let mut seen = observation("web-1");
        seen["pending_reboot"] = parts;
        app.call(Method::POST, route::AGENT_SYNC, &token, Some(seen))
            .await
            .expect(200);
        app.get(&route::fill(route::HOST, "web-1")).await.body["pending_reboot"].clone()
    };
    assert_eq!(
        pending(json!(["kernel", "initrd\u{9b}"])).await,
        json!(["kernel", "initrd\u{fffd}"])
    );
    assert_eq!(pending(json!([])).await, Value::Null);
    let many: Vec<String> = (0..1000).map(|n| format!("{n}{}", "x".repeat(1000))).collect();
    let kept = pending(json!(many)).await;
    let kept = kept.as_array().unwrap();
    assert!(kept.len() == 20 && kept.iter().all(|part| part.as_str().unwrap().len() < 200));
    // An agent from before reboots says nothing.
    assert_eq!(pending(Value::Null).await, Value::Null);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn rows_of_a_newer_program_are_no_failure_of_the_server(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let tokens = app.fleet("prod", &["web-1", "web-2"]).await;
    let rollout = app.rollout("prod", &["web-1", "web-2"]).await;
    app.principal("later", Role::Viewer).await;
    let get = async |path: &str| {
        let answer = app.get(path).await;
        assert!([200, 503].contains(&answer.status), "{path}: {:#}", answer.body);
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), "30", "{path}");
        }
    };
    for newer in [
        "ALTER TABLE steps DROP CONSTRAINT steps_state_check; UPDATE steps SET state = 'rebooting'",
        "UPDATE hosts SET report = jsonb_build_object('attempt', gen_random_uuid(), 'phase', 'rebooting')",
        "UPDATE rollouts SET strategy = jsonb_set(strategy, '{on_failure}', '\"ask\"')",
        "UPDATE environments SET strategy = jsonb_set(strategy, '{offline}', '\"wake\"')",
        "ALTER TABLE rollouts DROP CONSTRAINT rollouts_state_check; UPDATE rollouts SET state = 'previewed'",
        "ALTER TABLE principals DROP CONSTRAINT principals_role_check;
         UPDATE principals SET role = 'auditor' WHERE name = 'later'",
        "ALTER TABLE events DROP CONSTRAINT events_actor_check; ALTER TABLE events DISABLE TRIGGER USER;
         UPDATE events SET actor_kind = 'schedule', actor_name = 'nightly' WHERE kind = 'environment.created'",
    ] {
        sqlx::raw_sql(newer).execute(&pool).await.unwrap();
        for list in [
            route::HOSTS,
            route::ENVIRONMENTS,
            route::ROLLOUTS,
            route::RELEASES,
            route::PRINCIPALS,
            route::TOKENS,
            route::EVENTS,
            route::AUDIT_VERIFY,
            route::HEALTH,
        ] {
            get(list).await;
        }
        get(&route::fill(route::ROLLOUT, &rollout)).await;
        get(&route::fill(route::ROLLOUT_EVENTS, &rollout)).await;
        get(&route::fill(route::HOST, "web-1")).await;
        get(&route::fill(route::ENVIRONMENT, "prod")).await;
        let sync = app
            .call(
                Method::POST,
                route::AGENT_SYNC,
                &tokens[0],
                Some(observation("web-1")),
            )
            .await;
        let idle = serde_json::to_value(slipway_domain::Instruction::Idle).unwrap();
        assert_eq!(sync.expect(200).body, idle);
    }
}
