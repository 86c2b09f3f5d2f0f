//! Tokens that are made with tokens, and rows that are changed by hand.

use axum::http::Method;
use serde_json::{Value, json};
use slipway_domain::Role;
use slipway_wire::route;
use sqlx::PgPool;

use super::World;
use crate::once::send_as;
use crate::support::{TestApp, some_token};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_token_makes_one_that_may_do_or_last_more_than_itself(pool: PgPool) {
    let world = World::new(pool).await;
    let app = &world.app;
    app.principal("grace", Role::Approver).await;
    let limits = json!({ "environments": ["dev"], "commands": ["token", "start"], "hosts": ["dev-1"] });
    let parent = app.post(
        route::TOKENS,
        json!({ "label": "ci", "expires_in_days": 2, "limits": limits }),
    );
    let parent = parent.await.expect(201).body;
    let token = parent["token"].as_str().unwrap();
    let mint =
        async |token: &str, body: Value| app.call(Method::POST, route::TOKENS, token, Some(body)).await;
    for (field, wider) in [
        ("environments", json!({ "environments": ["dev", "prod"] })),
        ("environments", json!({ "environments": ["prod"] })),
        ("commands", json!({ "commands": ["start", "approve"] })),
        ("hosts", json!({ "hosts": ["dev-2"] })),
    ] {
        for principal in [None, Some("grace")] {
            let mut body = json!({ "label": "x", "limits": wider });
            if let Some(name) = principal {
                body["principal"] = json!(name);
            }
            let refused = mint(token, body.clone()).await.expect(422);
            assert!(
                refused
                    .field(&format!("limits.{field}"))
                    .contains("more than itself"),
                "{:#}",
                refused.body
            );
            // Sent again under a key it is refused as well.
            send_as(app, token, route::TOKENS, "k", &body).await.expect(422);
        }
    }
    // Whatever is left out is as limited as the token that asks, for its children's children too.
    let mut last = token.to_owned();
    for _ in 0..3 {
        let child = mint(&last, json!({ "label": "child" })).await.expect(201).body;
        assert_eq!(child["expires_at"], parent["expires_at"], "none renews itself");
        last = child["token"].as_str().unwrap().to_owned();
        let who = app
            .call(Method::GET, route::WHOAMI, &last, None)
            .await
            .expect(200)
            .body;
        assert_eq!(
            who["limits"],
            json!({ "environments": ["dev"], "commands": ["start", "token"], "hosts": ["dev-1"] })
        );
    }
    mint(&last, json!({ "label": "x", "expires_in_days": 3 }))
        .await
        .expect(422);
    // It sees and ends what was made with it, and no other token of its principal.
    let listed = app
        .call(Method::GET, route::TOKENS, token, None)
        .await
        .expect(200)
        .body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 4);
    let other = app
        .post(route::TOKENS, json!({ "label": "laptop" }))
        .await
        .expect(201)
        .body;
    let revoke = async |id: &Value| {
        let path = route::fill(route::TOKEN, id.as_str().unwrap());
        app.call(Method::DELETE, &path, token, None).await.status
    };
    assert_eq!(revoke(&other["id"]).await, 404);
    assert_eq!(revoke(&listed["items"][0]["id"]).await, 204);
    assert_eq!(revoke(&parent["id"]).await, 204);
    assert_eq!(revoke(&parent["id"]).await, 401, "and with itself, all is over");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn limits_name_what_exists(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (field, bad, said) in [
        (
            "environments",
            json!({ "environments": ["nowhere"] }),
            "there is no environment `nowhere`",
        ),
        ("environments", json!({ "environments": [] }), "it is empty"),
        (
            "hosts",
            json!({ "hosts": ["nobody"] }),
            "there is no host `nobody`",
        ),
    ] {
        let refused = app
            .post(route::TOKENS, json!({ "label": "x", "limits": bad }))
            .await
            .expect(422);
        assert!(
            refused.field(&format!("limits.{field}")).contains(said),
            "{:#}",
            refused.body
        );
    }
    let typo = app
        .post(
            route::TOKENS,
            json!({ "label": "x", "limits": { "host": ["dev-1"] } }),
        )
        .await;
    assert_eq!(typo.status, 400);
}

/// What is written into the database by hand opens nothing, not even for a moment.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn limits_and_roles_that_were_changed_in_the_database_open_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    let app = &world.app;
    let token = world.token(json!({ "environments": ["dev"] })).await;
    let eve = app.principal("eve", Role::Viewer).await;
    let status = async |token: &str| app.call(Method::GET, route::WHOAMI, token, None).await.status;
    for (token, change, back) in [
        (
            &token,
            "UPDATE tokens SET limits = '{}' WHERE limits <> '{}'",
            "UPDATE tokens SET limits = '{\"environments\": [\"dev\"]}' WHERE label = 'x'",
        ),
        (
            &eve,
            "UPDATE principals SET environment_roles = '{\"prod\": \"admin\"}' WHERE name = 'eve'",
            "UPDATE principals SET environment_roles = '{}' WHERE name = 'eve'",
        ),
    ] {
        assert_eq!(status(token).await, 200);
        sqlx::raw_sql(change).execute(&app.pool).await.unwrap();
        assert_eq!(status(token).await, 401, "{change}");
        sqlx::raw_sql(back).execute(&app.pool).await.unwrap();
        assert_eq!(status(token).await, 200, "{back}");
    }
    assert_eq!(status(&some_token()).await, 401);
}

/// Author, then a principal and a token made by it, and so on: whoever is at its end is the author in another coat.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nobody_at_the_end_of_a_chain_of_tokens_approves_what_its_beginning_started(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    app.call(
        Method::PATCH,
        "/api/v1/environments/prod",
        &app.admin,
        Some(json!({ "approval_required": true })),
    )
    .await
    .expect(200);
    let release = app.release(&["web-1"]).await;
    // Nobody made the author, as far as the log knows.
    let mut token = app.principal("author", Role::Admin).await;
    let start = json!({ "environment": "prod", "release": release });
    let rollout = app
        .call(Method::POST, route::ROLLOUTS, &token, Some(start))
        .await
        .expect(201)
        .body;
    let commands = route::fill(route::ROLLOUT_COMMANDS, rollout["id"].as_str().unwrap());
    let approve = async |token: &str| {
        app.call(
            Method::POST,
            &commands,
            token,
            Some(json!({ "command": "approve" })),
        )
        .await
    };
    assert!(
        approve(&token)
            .await
            .expect(403)
            .detail()
            .contains("cannot approve it")
    );
    for link in 0..3 {
        let name = format!("link-{link}");
        let body = json!({ "name": name, "role": "admin" });
        app.call(Method::POST, route::PRINCIPALS, &token, Some(body))
            .await
            .expect(201);
        let body = json!({ "label": "x", "principal": name });
        let made = app
            .call(Method::POST, route::TOKENS, &token, Some(body))
            .await
            .expect(201)
            .body;
        token = made["token"].as_str().unwrap().to_owned();
        let refused = approve(&token).await.expect(403);
        assert!(
            refused.detail().contains("one of them made the other"),
            "{name}: {}",
            refused.detail()
        );
    }
    // A principal that others made, and to whom only a link of the chain lent a token.
    app.principal("lent", Role::Approver).await;
    let body = json!({ "label": "x", "principal": "lent" });
    let lent = app
        .call(Method::POST, route::TOKENS, &token, Some(body))
        .await
        .expect(201)
        .body;
    approve(lent["token"].as_str().unwrap()).await.expect(403);
    let grace = app.principal("grace", Role::Approver).await;
    approve(&grace).await.expect(202);
}
