//! What somebody who is signed in could do to others, and what could be done to them.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use slipway_domain::Role;

use super::*;

/// A request whose answer goes on.
async fn open(app: &TestApp, browser: &Browser<'_>, path: &str) -> Response {
    let request = Request::get(path)
        .header("cookie", &browser.cookie)
        .body(Body::empty())
        .unwrap();
    app.router.clone().oneshot(request).await.unwrap()
}

/// Nobody keeps everybody else's pages from being kept up to date.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn one_person_takes_no_more_than_a_share_of_the_open_pages(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let viewer = app.principal("wall", Role::Viewer).await;
    let one = Browser::signed_in(&app, &viewer).await;
    let again = Browser::signed_in(&app, &viewer).await;
    let other = Browser::signed_in(&app, &app.admin).await;
    let mut kept = Vec::new();
    for _ in 0..slipway_console::MAX_STREAMS_EACH {
        let stream = open(&app, &one, "/live").await;
        assert_eq!(stream.status(), StatusCode::OK);
        kept.push(stream);
    }
    // Another session of the same person is the same person.
    for browser in [&one, &again] {
        let refused = open(&app, browser, "/live").await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(open(&app, &other, "/live").await.status(), StatusCode::OK);
    // A page that is closed makes room.
    kept.pop();
    assert_eq!(open(&app, &again, "/live").await.status(), StatusCode::OK);
}

/// A token for one command cannot revoke others, and its session can be ended all the same.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_session_of_any_token_can_be_ended(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("dev", &["dev-1"]).await;
    for limits in [
        json!({ "commands": ["approve"] }),
        json!({ "environments": ["dev"] }),
        json!({ "hosts": ["dev-1"] }),
    ] {
        let wish = json!({ "label": "limited", "limits": limits });
        let made = app.post(route::TOKENS, wish).await.expect(201).body;
        let person = Browser::signed_in(&app, made["token"].as_str().unwrap()).await;
        let secret = person.get("/sessions").await.hidden("secret");
        let out = person.post("/sign-out", &format!("secret={secret}"), &[]).await;
        assert_eq!(
            (out.status, out.header("location")),
            (303, "/sign-in"),
            "{limits}: {}",
            out.text
        );
        assert!(out.header("set-cookie").contains("Max-Age=0"), "{limits}");
        assert_eq!(person.get("/").await.status, 303, "{limits}");
        // The token that it was made with is not touched.
        let token = made["token"].as_str().unwrap();
        app.call(Method::GET, route::WHOAMI, token, None)
            .await
            .expect(200);
        // Nor may a token that is for other commands revoke those that were made with it.
        if limits["commands"] != Value::Null {
            let other = Browser::signed_in(&app, token).await;
            let tokens = app
                .call(Method::GET, route::TOKENS, token, None)
                .await
                .expect(200)
                .body;
            let mut items = tokens["items"].as_array().unwrap().iter();
            let session = items
                .find(|one| one["session"] == true && one["revoked_at"] == Value::Null)
                .unwrap();
            let path = route::fill(route::TOKEN, session["id"].as_str().unwrap());
            app.call(Method::DELETE, &path, token, None).await.expect(403);
            assert_eq!(other.get("/sessions").await.status, 200);
        }
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_link_to_the_sign_in_page_cannot_break_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for next in [
        "/%00",
        "/%7F",
        "/%C3%A4",
        "/%09/evil.example",
        "/%0d%0aset-cookie:x=y",
        "%2F%2Fevil.example",
    ] {
        let form = format!("token={}&next={next}", app.admin);
        let got = Browser::new(&app).post("/sign-in", &form, &[]).await;
        assert_eq!((got.status, got.header("location")), (303, "/"), "{next}");
        assert!(got.header("set-cookie").starts_with("__Host-slipway="), "{next}");
    }
}

/// Failed sign-ins count for the client behind the page, as those of the API.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn pages_do_not_go_past_the_limit_of_failures(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let browser = Browser::new(&app);
    for _ in 0..10 {
        let got = browser
            .post(
                "/sign-in",
                "name=admin&password=wrong",
                &[("x-real-ip", "192.0.2.9")],
            )
            .await;
        assert_eq!(got.status, 401);
    }
    let right = format!("name=admin&password={}", PASSWORD.replace(' ', "+"));
    // What a stranger writes into a header is nothing.
    for address in ["192.0.2.9", "192.0.2.10"] {
        let got = browser.post("/sign-in", &right, &[("x-real-ip", address)]).await;
        assert_eq!(got.status, 429, "{address}");
    }
    app.post(route::LOGIN, json!({ "name": "admin", "password": PASSWORD }))
        .await
        .expect(429);
}
