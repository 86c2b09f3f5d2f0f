//! Pages of one environment, host, release and rollout.

use slipway_domain::Role;

use super::*;

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn every_subject_has_its_page_with_what_is_known_of_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2"]).await;
    let rollout = app.rollout("prod", &["web-1", "web-2"]).await;
    let of = app.get(&format!("/api/v1/rollouts/{rollout}")).await.expect(200);
    let release = of.body["release"].as_str().unwrap();
    let person = Browser::signed_in(&app, &app.admin).await;
    for (page, parts) in [
        ("/environments/prod".to_owned(), &["web-1: never seen", "#1"][..]),
        ("/hosts/web-1".to_owned(), &["never seen", "Retire"]),
        (
            format!("/releases/{release}"),
            &["Release #1", "web-2", "Preview"],
        ),
        (
            format!("/releases/{release}/start?environment=prod"),
            &["2 hosts", "Another rollout of prod is under way"],
        ),
        (
            format!("/environments/prod/preflight?release={release}"),
            &["Preflight", "2 hosts"],
        ),
        (
            format!("/releases/{release}/compare/1"),
            &["Every host has the same closure in both."],
        ),
        ("/rollouts/1".to_owned(), &["Rollout #1", "web-1", "Abort"]),
        (
            "/rollouts?environment=prod".to_owned(),
            &["Rollouts of prod", "#1"],
        ),
        (format!("/audit?rollout={rollout}"), &["rollout.created"]),
    ] {
        let got = person.get(&page).await;
        assert_eq!(got.status, 200, "{page}: {}", got.text);
        for part in parts {
            assert!(got.text.contains(part), "{page} lacks {part}: {}", got.text);
        }
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_release_is_compared_with_any_other(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    for _ in 0..3 {
        app.release(&["web-1"]).await;
    }
    let person = Browser::signed_in(&app, &app.admin).await;
    for (page, first) in [
        ("/releases/3", "value=\"2\""),
        ("/releases/2", "value=\"1\""),
        ("/releases/1", "required autocomplete"),
    ] {
        let form = person.get(page).await.text;
        let (_, field) = form.split_once("name=\"with\"").unwrap();
        let (field, _) = field.split_once('>').unwrap();
        assert!(field.contains(first), "{page}: {field}");
    }
    let sent = person.get("/releases/3?with=%231").await;
    assert_eq!(
        (sent.status, sent.header("location")),
        (303, "/releases/3/compare/%231")
    );
    let compared = person.get(sent.header("location")).await;
    assert!(
        compared.status == 200 && compared.text.contains("#1 and #3"),
        "{}",
        compared.text
    );
    assert_eq!(person.get("/releases/3/compare/nothing").await.status, 404);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_table_of_hosts_shows_what_the_filter_asks_for(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2", "db-1"]).await;
    app.fleet("test", &["web-3"]).await;
    let retired = app.call(Method::DELETE, "/api/v1/hosts/web-2", &app.admin, None);
    retired.await.expect(204);
    let person = Browser::signed_in(&app, &app.admin).await;
    for (query, shown) in [
        ("", &["web-1", "db-1", "web-3"][..]),
        ("?show=attention", &["web-1", "db-1", "web-3"]),
        ("?show=never+seen&environment=prod", &["web-1", "db-1"]),
        ("?show=never_seen&environment=prod&page=9", &["web-1", "db-1"]),
        ("?show=nonsense", &[]),
        ("?environment=nowhere", &[]),
        ("?q=%00web%0d", &["web-1", "web-3"]),
        ("?show=healthy", &[]),
        ("?q=web&environment=test", &["web-3"]),
        ("?q=web+3", &["web-3"]),
    ] {
        let got = person.get(&format!("/hosts{query}")).await;
        for host in ["web-1", "web-2", "web-3", "db-1"] {
            assert_eq!(
                got.text.contains(&format!("href=\"/hosts/{host}\"")),
                shown.contains(&host),
                "{query}: {host}"
            );
        }
    }
    let first = person.get("/").await;
    assert!(
        first.text.contains("href=\"/?show=never_seen#hosts\"") && first.text.contains("3 hosts"),
        "{}",
        first.text
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn who_cannot_approve_is_told_before(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let asks = serde_json::json!({ "approval_required": true });
    let set = app.call(Method::PATCH, "/api/v1/environments/prod", &app.admin, Some(asks));
    set.await.expect(200);
    let other = app.principal("grace", Role::Approver).await;
    app.rollout("prod", &["web-1"]).await;
    let author = Browser::signed_in(&app, &app.admin)
        .await
        .get("/rollouts/1")
        .await;
    assert!(!author.text.contains("Approve this plan"), "{}", author.text);
    assert!(
        author
            .text
            .contains("whoever started a rollout cannot approve it"),
        "{}",
        author.text
    );
    let approver = Browser::signed_in(&app, &other).await.get("/rollouts/1").await;
    assert!(approver.text.contains("Approve this plan"), "{}", approver.text);
    // While a host that is online fetches, the API takes no approval.
    sqlx::query("UPDATE hosts SET last_seen_at = now()")
        .execute(&app.pool)
        .await
        .unwrap();
    let early = Browser::signed_in(&app, &other).await.get("/rollouts/1").await;
    assert!(
        early
            .text
            .contains("It cannot be approved yet: 1 online host has still to fetch.")
            && !early.text.contains("Approve this plan"),
        "{}",
        early.text
    );
    let first = Browser::signed_in(&app, &other).await.get("/").await.text;
    assert!(
        first.contains("badge warn") && first.contains("prod: rollout #1 of #1, started by admin"),
        "{first}"
    );
}
