//! What answers say besides what was asked for: hosts and rollouts that the token may not see.

use super::*;

/// A rollout of both hosts of `dev` is open. A token of one of them learns neither its id nor the other host's name.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_of_one_host_learns_nothing_of_the_other_from_its_environment(pool: PgPool) {
    let world = World::new(pool).await;
    let app = &world.app;
    let both = app.release(&["dev-1", "dev-2"]).await;
    let one = app.release(&["dev-1"]).await;
    let body = json!({ "environment": "dev", "release": both });
    let open = app.post(route::ROLLOUTS, body).await.expect(201).body["id"].clone();
    let whole = world.token(json!({ "hosts": ["dev-1", "dev-2"] })).await;
    let part = world.token(json!({ "hosts": ["dev-1"] })).await;
    for (token, shown) in [(whole, open), (part.clone(), Value::Null)] {
        let get = async |path: &str| app.call(Method::GET, path, &token, None).await.expect(200).body;
        assert_eq!(get("/api/v1/environments/dev").await["open_rollout"], shown);
        let list = get(route::ENVIRONMENTS).await;
        let mut items = list["items"].as_array().unwrap().iter();
        let of = |name: &str, item: &&Value| item["name"] == name;
        assert_eq!(
            items.clone().find(|item| of("dev", item)).unwrap()["open_rollout"],
            shown
        );
        assert_eq!(
            items.find(|item| of("prod", item)).unwrap()["open_rollout"],
            Value::Null
        );
        let body = json!({ "environment": "dev", "release": one });
        let plan = app
            .call(Method::POST, route::ROLLOUT_PLANS, &token, Some(body))
            .await;
        assert_eq!(plan.expect(200).body["open_rollout"], shown);
    }
    let admin = json!({ "environment": "dev", "release": one });
    let plan = app
        .post(route::ROLLOUT_PLANS, admin.clone())
        .await
        .expect(200)
        .body;
    assert_eq!(plan["left_alone"], json!(["dev-2"]));
    let plan = app
        .call(Method::POST, route::ROLLOUT_PLANS, &part, Some(admin))
        .await
        .expect(200)
        .body;
    assert!(!plan.to_string().contains("dev-2"), "{plan}");
}

/// The environment of the path is the token's own, and the release is not.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_preflight_tells_nothing_of_a_release_of_another_environment(pool: PgPool) {
    let world = World::new(pool).await;
    let app = &world.app;
    let own = app.release(&["dev-1"]).await;
    let token = world.token(json!({ "environments": ["dev"] })).await;
    let preflight = async |release: &str| {
        let path = format!("/api/v1/environments/dev/preflight?release={release}");
        app.call(Method::GET, &path, &token, None).await
    };
    preflight(&own).await.expect(200);
    let hidden = preflight(&world.release).await.expect(403);
    let missing = preflight(&slipway_domain::ReleaseId::generate().to_string())
        .await
        .expect(403);
    assert_eq!(hidden.detail(), missing.detail());
}
