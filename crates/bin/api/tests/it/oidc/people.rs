//! Who somebody is, and what they may do.

use axum::http::Method;
use serde_json::{Value, json};
use slipway_testkit::oidc::Answers;
use slipway_wire::route;
use sqlx::PgPool;

use super::Oidc;

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn two_people_with_one_name_are_two_and_one_with_two_names_is_one(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    oidc.is("1", "anna@example.org", json!(["developers"]));
    let anna = oidc.sign_in().await.who().await;
    // The address was given to somebody else.
    oidc.is("2", "anna@example.org", json!(["developers"]));
    let other = oidc.sign_in().await.who().await;
    assert_eq!(anna["name"], "anna-example-org");
    let name = other["name"].as_str().unwrap();
    assert!(
        name.starts_with("anna-example-org-") && name.len() == 25,
        "{name}"
    );
    // And Anna has another one.
    oidc.is("1", "berg@example.org", json!(["developers"]));
    assert_eq!(oidc.sign_in().await.who().await["name"], anna["name"]);
    let people = oidc.app.get(route::PRINCIPALS).await.expect(200).body;
    assert_eq!(people["items"].as_array().unwrap().len(), 3, "{people:#}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn roles_follow_the_groups_at_each_sign_in_in_all_sessions(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    oidc.app.fleet("prod", &["web-1"]).await;
    let who = async |groups: Value| {
        oidc.is("1", "anna@example.org", groups);
        let browser = oidc.sign_in().await;
        let who = browser.who().await;
        (browser, who["role"].clone(), who["environment_roles"].clone())
    };
    let (first, role, _) = who(json!(["platform", "unknown"])).await;
    assert_eq!(role, "admin");
    let (_, role, elsewhere) = who(json!(["on-call"])).await;
    assert_eq!(
        (&role, &elsewhere),
        (&json!("viewer"), &json!({ "prod": "approver" }))
    );
    // The session of before is not an admin's any more.
    assert_eq!(first.who().await["role"], "viewer");
    let make = json!({ "name": "test" });
    let refused = oidc
        .app
        .call(Method::POST, route::ENVIRONMENTS, first.token(), Some(make))
        .await;
    refused.expect(403);
    let (_, role, _) = who(json!("developers")).await;
    assert_eq!(role, "deployer");
    // The audit log proves the present role and no other.
    sqlx::query(
        "UPDATE principals SET role = 'admin', environment_roles = '{}' WHERE name = 'anna-example-org'",
    )
    .execute(&oidc.app.pool)
    .await
    .unwrap();
    oidc.app
        .call(Method::GET, route::WHOAMI, first.token(), None)
        .await
        .expect(401);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whoever_has_no_role_any_more_is_told_and_gets_no_session(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    oidc.is("1", "anna@example.org", json!(["<b>sales</b>", "everyone"]));
    let (status, page) = oidc.refused().await;
    assert_eq!(status, 403, "{page}");
    assert!(
        page.contains("&lt;b&gt;sales") && page.contains("everyone"),
        "{page}"
    );
    assert!(page.contains("OIDC_ROLES"), "{page}");
    let people = oidc.app.get(route::PRINCIPALS).await.expect(200).body;
    assert_eq!(people["items"].as_array().unwrap().len(), 1, "{people:#}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_was_granted_ends_with_a_sign_in_without_a_role(pool: PgPool) {
    let oidc = Oidc::with(pool, &[("OIDC_DOMAINS", "example.org")]).await;
    for refused in [
        json!({ "sub": "1", "email": "anna@example.org", "groups": ["sales"] }),
        json!({ "sub": "1", "email": "anna@example.com", "groups": ["platform"] }),
        // People can often change their address themselves, and it is not verified then.
        json!({ "sub": "1", "email": "anna@example.org", "email_verified": false, "groups": ["platform"] }),
    ] {
        oidc.is("1", "anna@example.org", json!(["platform"]));
        let browser = oidc.sign_in().await;
        let token = oidc.token_of("anna-example-org").await;
        assert_eq!(oidc.role(&token).await, (200, json!("admin")));

        oidc.provider
            .change(|behaviour| behaviour.user_info = json!({ "sub": "1" }));
        // A provider that cannot be asked for the address takes nothing away.
        oidc.provider
            .claim(json!({ "sub": "1", "email": null, "groups": ["platform"] }));
        oidc.provider
            .change(|behaviour| behaviour.tells_of_people = Answers::Status(500));
        assert_eq!(oidc.refused().await.0, 403);
        oidc.provider
            .change(|behaviour| behaviour.tells_of_people = Answers::Well);
        assert_eq!(oidc.role(browser.token()).await, (200, json!("admin")));
        assert_eq!(oidc.role(&token).await, (200, json!("admin")));

        oidc.provider.claim(refused.clone());
        for _ in 0..2 {
            assert_eq!(oidc.refused().await.0, 403, "{refused}");
            assert_eq!(oidc.role(browser.token()).await.0, 401, "{refused}");
            assert_eq!(oidc.role(&token).await, (200, json!("viewer")), "{refused}");
        }
        // An administrator's slip in the settings is undone by the next sign-in.
        oidc.is("1", "anna@example.org", json!(["developers"]));
        oidc.sign_in().await;
        assert_eq!(oidc.role(&token).await, (200, json!("deployer")));
    }
    let report = oidc.app.get(route::AUDIT_VERIFY).await.expect(200).body;
    assert_eq!(report["whole"], json!(true), "{report:#}");
}

/// Many providers leave an empty claim out. So whoever lost all groups must not keep the roles of before.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_claim_that_is_left_out_keeps_nobodys_roles(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    let events = async || {
        let query = format!("{}?limit=500&kind=principal", route::EVENTS);
        let events = oidc.app.get(&query).await.expect(200).body;
        let causes = events["items"].as_array().unwrap().iter();
        let causes = causes.map(|event| event["cause"].as_str().unwrap().to_owned());
        causes
            .filter(|cause| cause.contains("who has no role any more"))
            .collect::<Vec<_>>()
    };
    oidc.provider
        .change(|behaviour| behaviour.user_info = json!({ "sub": "1" }));
    for (groups, told) in [
        (json!(null), "tells no groups"),
        (json!({ "a": 1 }), "is no list"),
        (json!(["platform", 1]), "something other than text"),
    ] {
        oidc.is("1", "anna@example.org", json!(["platform"]));
        let browser = oidc.sign_in().await;
        let token = oidc.token_of("anna-example-org").await;
        assert_eq!(oidc.role(&token).await, (200, json!("admin")));

        // While the provider cannot be asked, nobody knows.
        oidc.is("1", "anna@example.org", json!(null));
        oidc.provider
            .change(|behaviour| behaviour.tells_of_people = Answers::Status(500));
        assert_eq!(oidc.refused().await.0, 503);
        oidc.provider
            .change(|behaviour| behaviour.tells_of_people = Answers::Well);
        assert_eq!(oidc.role(&token).await, (200, json!("admin")));

        oidc.is("1", "anna@example.org", groups.clone());
        let (status, page) = oidc.refused().await;
        assert_eq!(status, 403, "{groups}: {page}");
        assert!(page.contains(told), "{groups}: {page}");
        assert_eq!(oidc.role(browser.token()).await.0, 401, "{groups}");
        assert_eq!(oidc.role(&token).await, (200, json!("viewer")), "{groups}");

        // The audit log says why, once: the next try finds nothing to take.
        let taken = events().await;
        assert!(
            taken.last().is_some_and(|cause| cause.contains(told)),
            "{taken:?}"
        );
        assert_eq!(oidc.refused().await.0, 403);
        assert_eq!(events().await, taken, "{groups}");
    }
    let report = oidc.app.get(route::AUDIT_VERIFY).await.expect(200).body;
    assert_eq!(report["whole"], json!(true), "{report:#}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_person_who_was_disabled_does_not_come_back(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    let browser = oidc.sign_in().await;
    let path = route::fill(route::PRINCIPAL, "anna-example-org");
    oidc.app
        .call(Method::DELETE, &path, &oidc.app.admin, None)
        .await
        .expect(204);
    oidc.app
        .call(Method::GET, route::WHOAMI, browser.token(), None)
        .await
        .expect(401);
    let (status, page) = oidc.refused().await;
    assert_eq!(status, 403, "{page}");
    assert!(page.contains("is disabled here"), "{page}");
    // Not even if somebody takes that out of the database.
    sqlx::query("UPDATE principals SET disabled_at = NULL")
        .execute(&oidc.app.pool)
        .await
        .unwrap();
    let (status, page) = oidc.refused().await;
    assert_eq!(status, 409, "{page}");
    assert!(page.contains("was taken out of use by event"), "{page}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nobody_approves_in_one_session_what_they_started_in_another(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    oidc.app.fleet("prod", &["web-1"]).await;
    let prod = route::fill(route::ENVIRONMENT, "prod");
    let rule = json!({ "approval_required": true });
    oidc.app
        .call(Method::PATCH, &prod, &oidc.app.admin, Some(rule))
        .await
        .expect(200);
    let release = oidc.app.release(&["web-1"]).await;
    oidc.is("1", "anna@example.org", json!(["developers", "on-call"]));
    let (author, again) = (oidc.sign_in().await, oidc.sign_in().await);
    let start = json!({ "environment": "prod", "release": release });
    let made = oidc
        .app
        .call(Method::POST, route::ROLLOUTS, author.token(), Some(start))
        .await
        .expect(201);
    let commands = route::fill(route::ROLLOUT_COMMANDS, made.body["id"].as_str().unwrap());
    let approve = async |token: &str| {
        let command = json!({ "command": "approve" });
        oidc.app.call(Method::POST, &commands, token, Some(command)).await
    };
    for session in [&author, &again] {
        approve(session.token()).await.expect(403);
    }
    // A token that one of the sessions makes is the same person's.
    let wish = json!({ "label": "another hand" });
    let made = oidc
        .app
        .call(Method::POST, route::TOKENS, again.token(), Some(wish))
        .await
        .expect(201);
    approve(made.body["token"].as_str().unwrap()).await.expect(403);
    // Another name at the provider is the same person too.
    oidc.is("1", "berg@example.org", json!(["on-call"]));
    approve(oidc.sign_in().await.token()).await.expect(403);

    oidc.is("2", "ben@example.org", json!(["on-call"]));
    let other = oidc.sign_in().await;
    approve(other.token()).await.expect(202);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn only_people_of_the_domains_are_let_in(pool: PgPool) {
    let oidc = Oidc::with(pool, &[("OIDC_DOMAINS", "example.org")]).await;
    oidc.sign_in().await;
    oidc.is("2", "eve@example.org.evil.test", json!(["platform"]));
    assert_eq!(oidc.refused().await.0, 403);
    oidc.provider.claim(json!({ "email_verified": false }));
    assert_eq!(oidc.refused().await.0, 403);
}
