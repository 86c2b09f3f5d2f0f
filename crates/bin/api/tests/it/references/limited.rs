//! References as those give them who may not see everything.

use axum::http::Method;
use serde_json::{Value, json};
use slipway_api::access::Subjects;
use slipway_api::router::endpoints;
use slipway_domain::Role;
use slipway_wire::route;
use sqlx::PgPool;

use super::{ENOUGH, finish, number_of, release, start, text};
use crate::support::TestApp;

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_of_some_hosts_does_not_say_what_the_environment_ran(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2"]).await;
    for _ in 0..2 {
        let id = app.release(&["web-1", "web-2"]).await;
        start(&app, "prod", &id).await.expect(201);
        finish(&app, "succeeded").await;
    }
    assert_eq!(number_of(&app, "previous@prod").await, 1);
    let token = async |hosts: &[&str]| {
        let body = json!({ "label": "x", "limits": { "hosts": hosts } });
        let made = app.post(route::TOKENS, body).await.expect(201).body;
        text(&made, "token").to_owned()
    };
    release(&app, "web-1", Some("own")).await;
    let body = json!({ "environment": "prod", "release": "own" });
    for (hosts, previous) in [(&["web-1"][..], 1), (&["web-1", "web-2"], 2)] {
        let token = token(hosts).await;
        app.call(Method::POST, route::ROLLOUTS, &token, Some(body.clone()))
            .await
            .expect(201);
        finish(&app, "succeeded").await;
        assert_eq!(number_of(&app, "previous@prod").await, previous, "{hosts:?}");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_short_reference_leads_a_limited_token_to_another_environment(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("dev", &["dev-1"]).await;
    app.fleet("prod", &["prod-1"]).await;
    let own = release(&app, "dev-1", Some("own")).await;
    let own_rollout = start(&app, "dev", "own").await.expect(201).body;
    finish(&app, "succeeded").await;
    let other = release(&app, "prod-1", Some("other")).await;
    start(&app, "prod", "other").await.expect(201);
    finish(&app, "succeeded").await;
    release(&app, "prod-1", None).await;
    let rollout = start(&app, "prod", "latest").await.expect(201).body;
    let limits = json!({ "environments": ["dev"] });
    let made = app
        .post(route::TOKENS, json!({ "label": "x", "limits": limits }))
        .await;
    let made = made.expect(201).body;
    let token = text(&made, "token");
    let ask = async |method: &Method, path: &str, body: Option<Value>| {
        app.call(method.clone(), path, token, body).await
    };
    let (id, rollout) = (text(&other, "id"), text(&rollout, "id"));
    let mut asked = 0;
    for endpoint in endpoints() {
        let references = match endpoint.subject {
            Subjects::Release => [
                id,
                &id[..ENOUGH],
                &id[..6],
                "2",
                "other",
                "latest",
                "latest@prod",
                "previous@prod",
            ],
            Subjects::Rollout => [
                rollout,
                &rollout[..ENOUGH],
                &rollout[..6],
                "3",
                "2",
                "latest",
                "latest@prod",
                "previous@prod",
            ],
            _ => continue,
        };
        let body = (endpoint.method == Method::POST).then(|| json!({ "command": "abort" }));
        let none = ask(
            &endpoint.method,
            &route::fill(&endpoint.path, "999"),
            body.clone(),
        )
        .await;
        for reference in references {
            let path = route::fill(&endpoint.path, reference);
            let refused = ask(&endpoint.method, &path, body.clone()).await.expect(403);
            // Nothing tells it from what is not there.
            assert_eq!(refused.body["detail"], none.body["detail"], "{path}");
            asked += 1;
        }
    }
    assert!(asked >= 60, "{asked}");
    // Its own it may have by any of them.
    for reference in ["1", "own", "latest@dev", &text(&own, "id")[..ENOUGH]] {
        ask(&Method::GET, &route::fill(route::RELEASE, reference), None)
            .await
            .expect(200);
    }
    for reference in ["1", "latest@dev", &text(&own_rollout, "id")[..ENOUGH]] {
        ask(&Method::GET, &route::fill(route::ROLLOUT, reference), None)
            .await
            .expect(200);
    }
    // In a body and a query neither: what it may not see is not told from what is not there.
    let of_release = json!({ "environment": "dev", "release": "999" });
    let none = ask(&Method::POST, route::ROLLOUTS, Some(of_release))
        .await
        .expect(403);
    for reference in [
        "other",
        "latest@prod",
        "previous@prod",
        "2",
        id,
        &id[..6],
        &id[..ENOUGH],
        "unknown",
        "latest@nowhere",
    ] {
        let body = json!({ "environment": "dev", "release": reference });
        let preflight = format!(
            "/api/v1/environments/dev/preflight?release={}",
            reference.replace('@', "%40")
        );
        for (method, path, body) in [
            (Method::POST, route::ROLLOUTS, Some(body.clone())),
            (Method::POST, route::ROLLOUT_PLANS, Some(body)),
            (Method::GET, preflight.as_str(), None),
        ] {
            let refused = ask(&method, path, body).await.expect(403);
            assert_eq!(refused.body["detail"], none.body["detail"], "{path}: {reference}");
        }
        let body = json!({ "environment": "prod", "release": reference });
        ask(&Method::POST, route::ROLLOUTS, Some(body)).await.expect(403);
    }
    // Of its own environment it is told that there is none.
    let body = json!({ "environment": "dev", "release": "previous" });
    ask(&Method::POST, route::ROLLOUTS, Some(body)).await.expect(404);
    let body = json!({ "environment": "dev", "release": "latest" });
    let made = ask(&Method::POST, route::ROLLOUTS, Some(body))
        .await
        .expect(201)
        .body;
    assert_eq!(made["release"], own["id"]);
}

/// Who has another role in one environment may by any reference what the role says there, and elsewhere not.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_role_of_one_environment_is_asked_for_short_references_too(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("dev", &["dev-1"]).await;
    app.fleet("prod", &["prod-1"]).await;
    app.rollout("dev", &["dev-1"]).await;
    app.rollout("prod", &["prod-1"]).await;
    let body = json!({ "name": "ci", "role": "viewer", "environment_roles": { "dev": "deployer" } });
    app.post(route::PRINCIPALS, body).await.expect(201);
    let token = app.token_of("ci").await;
    let pause = async |reference: &str| {
        let path = route::fill(route::ROLLOUT_COMMANDS, reference);
        let body = json!({ "command": "pause" });
        app.call(Method::POST, &path, &token, Some(body)).await.status
    };
    assert_eq!(pause("1").await, 202);
    assert_eq!(pause("latest@dev").await, 202);
    for reference in ["2", "latest", "latest@prod", "previous@dev", "999"] {
        assert_eq!(pause(reference).await, 403, "{reference}");
    }
    let viewer = app.principal("vic", Role::Viewer).await;
    let path = route::fill(route::ROLLOUT_COMMANDS, "1");
    let body = Some(json!({ "command": "pause" }));
    app.call(Method::POST, &path, &viewer, body).await.expect(403);
}
