//! Whoever is not the person, or not at the browser that began.

use axum::http::Method;
use serde_json::json;
use slipway_testkit::oidc::{Answers, Signing};
use slipway_wire::route;
use sqlx::PgPool;

use super::{Browser, Oidc};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_browser_that_did_not_begin_is_not_signed_in(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    let mut attacker = Browser::new(&oidc.app);
    let query = attacker.go(&oidc.provider, "/").await;
    // With no sign-in of its own, with another one, and with what it made up.
    let mut victim = Browser::new(&oidc.app);
    let mut busy = Browser::new(&oidc.app);
    let own = busy.go(&oidc.provider, "/").await;
    let state = query.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let mut forger = Browser::new(&oidc.app);
    let until = "99999999999";
    let made_up = format!("{}.{until}:{state}:%2F", "0".repeat(64));
    forger.cookies.push(("__Host-slipway-oidc".to_owned(), made_up));
    for browser in [&mut victim, &mut busy, &mut forger] {
        let got = browser.get(&format!("/sign-in/oidc?{query}")).await;
        assert_eq!((got.status, browser.token()), (401, ""), "{}", got.text);
        assert!(got.text.contains("not begun in this browser"), "{}", got.text);
    }
    // What this browser began in another tab goes on.
    busy.get(&format!("/sign-in/oidc?{own}")).await;
    assert!(busy.token().starts_with("slw_"));
    // The code was not used up by any of them.
    attacker.get(&format!("/sign-in/oidc?{query}")).await;
    assert!(attacker.token().starts_with("slw_"));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_sign_in_counts_once_even_if_the_provider_takes_its_code_again(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    oidc.provider
        .change(|behaviour| behaviour.takes_codes_again = true);
    let mut browser = Browser::new(&oidc.app);
    let query = browser.go(&oidc.provider, "/").await;
    let mut copy = browser.clone();
    browser.get(&format!("/sign-in/oidc?{query}")).await;
    assert!(browser.token().starts_with("slw_"));
    let got = copy.get(&format!("/sign-in/oidc?{query}")).await;
    assert_eq!((got.status, copy.token()), (401, ""), "{}", got.text);
    assert!(got.text.contains("used before"), "{}", got.text);
    // The back button has no cookie any more.
    let again = browser.get(&format!("/sign-in/oidc?{query}")).await;
    assert_eq!(again.status, 401, "{}", again.text);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_that_cannot_be_trusted_signs_nobody_in(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    for claims in [
        json!({ "nonce": "another" }),
        json!({ "aud": "another" }),
        json!({ "exp": 1 }),
    ] {
        oidc.provider.claim(claims.clone());
        let (status, page) = oidc.refused().await;
        assert_eq!(status, 401, "{claims}: {page}");
    }
    oidc.provider.claim(json!({}));
    for signing in [Signing::None, Signing::Hs256, Signing::Foreign] {
        oidc.provider.change(|behaviour| behaviour.signing = signing);
        let (status, page) = oidc.refused().await;
        assert_eq!(status, 401, "{signing:?}: {page}");
    }
    let people = oidc.app.get(route::PRINCIPALS).await.expect(200).body;
    assert_eq!(people["items"].as_array().unwrap().len(), 1, "{people:#}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn who_guesses_codes_gets_no_more_tries(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    let mut browser = Browser::new(&oidc.app);
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let query = browser.go(&oidc.provider, "/").await;
        let (_, state) = query.split_once("&state=").unwrap();
        let got = browser
            .get(&format!("/sign-in/oidc?code=guess&state={state}"))
            .await;
        statuses.push(got.status);
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 2]);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_the_provider_says_is_text_and_only_for_who_began(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    let mut browser = Browser::new(&oidc.app);
    let query = browser.go(&oidc.provider, "/").await;
    let (_, state) = query.split_once("&state=").unwrap();
    let said = format!("error=access_denied&error_description=%3Cb%3Ecall+me%3C/b%3E%0A&state={state}");
    let stranger = Browser::new(&oidc.app)
        .get(&format!("/sign-in/oidc?{said}"))
        .await;
    assert!(!stranger.text.contains("call me"), "{}", stranger.text);
    let told = browser.get(&format!("/sign-in/oidc?{said}")).await;
    assert_eq!(told.status, 401);
    assert!(
        told.text.contains("access_denied: &lt;b&gt;call me&lt;/b&gt;"),
        "{}",
        told.text
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nobody_is_led_to_another_site_or_signed_in_from_one(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    for next in [
        "https://evil.test",
        "//evil.test",
        "/\\evil.test",
        "javascript:x",
        "%22%3E%3Cscript",
    ] {
        let mut browser = Browser::new(&oidc.app);
        let query = browser.go(&oidc.provider, next).await;
        let back = browser.get(&format!("/sign-in/oidc?{query}")).await;
        assert_eq!(back.leads_to(), "/", "{next}");
    }
    // Somebody with the browser's cookie jar changed where it leads.
    let mut browser = Browser::new(&oidc.app);
    let query = browser.go(&oidc.provider, "/audit").await;
    let kept = browser
        .cookie("__Host-slipway-oidc")
        .replace("%2Faudit", "%2F%2Fevil.test");
    browser.cookies = vec![("__Host-slipway-oidc".to_owned(), kept)];
    assert_eq!(
        browser.get(&format!("/sign-in/oidc?{query}")).await.leads_to(),
        "/"
    );
    // The button of another site's page.
    let request = http::Request::post("/sign-in/oidc")
        .header("sec-fetch-site", "cross-site")
        .body(axum::body::Body::from("next=/"))
        .unwrap();
    let answer = tower::ServiceExt::oneshot(oidc.app.router.clone(), request)
        .await
        .unwrap();
    assert_eq!(answer.status(), 403);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_provider_that_goes_away_is_told_and_costs_no_tries(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    oidc.sign_in().await;
    for answers in [
        Answers::Status(500),
        Answers::Redirects,
        Answers::Large,
        Answers::Nonsense,
    ] {
        for _ in 0..4 {
            oidc.provider.change(|behaviour| behaviour.gives_tokens = answers);
            let (status, page) = oidc.refused().await;
            assert_eq!(status, 503, "{answers:?}: {page}");
            assert!(page.contains("sign in with a token"), "{page}");
        }
    }
    oidc.provider
        .change(|behaviour| behaviour.gives_tokens = Answers::Well);
    oidc.sign_in().await;
    // Meanwhile a token goes on to work.
    oidc.app
        .call(Method::GET, route::WHOAMI, &oidc.app.admin, None)
        .await
        .expect(200);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn ten_thousand_groups_and_changed_keys_are_no_trouble(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    let mut groups: Vec<String> = (0..10_000).map(|n| format!("group-{n}")).collect();
    groups.push("platform".to_owned());
    oidc.is("1", "anna@example.org", json!(groups));
    assert_eq!(oidc.sign_in().await.who().await["role"], "admin");
    oidc.provider.change_keys();
    oidc.sign_in().await;
}
