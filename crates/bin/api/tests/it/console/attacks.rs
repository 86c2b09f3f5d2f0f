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

/// Nothing that a browser sends is a fault of the server, which the log would tell as one.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_makes_no_request_is_refused_and_no_fault(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let stranger = Browser::new(&app);
    for token in [
        "slw_%0A",
        "slw_12%0D%0A34",
        "slw_%00",
        "slw_%C3%A4",
        &format!("slw_{}", "0".repeat(60_000)),
    ] {
        let got = stranger.post("/sign-in", &format!("token={token}"), &[]).await;
        assert_eq!(got.status, 401, "{token:.20}");
    }
    let person = Browser::signed_in(&app, &app.admin).await;
    let secret = person.get("/").await.hidden("secret");
    let form = format!("secret={secret}&once=a%0Ab&name=dev");
    let got = person.post("/environments", &form, &[]).await;
    assert_eq!(got.status, 422, "{}", got.text);
    let long = "-".repeat(30_000);
    for path in [
        format!("/hosts/{long}"),
        format!("/releases?after={long}"),
        format!("/audit?kind={long}"),
    ] {
        let got = person.get(&path).await;
        assert!((400..500).contains(&got.status), "{path:.20}: {}", got.status);
    }
}

/// What is escaped stays one value of one route.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_value_of_a_page_becomes_no_other_request(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("dev", &["dev-1"]).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    for path in [
        "/hosts/..%2Fenvironments%2Fdev",
        "/hosts/dev-1%2Ftoken",
        "/hosts/dev-1%3Fa=b",
        "/hosts/dev-1%23",
        "/environments/dev%2Fpreflight%3Frelease=1",
        "/releases/..%2F..%2Fhosts",
        "/rollouts/1%2Fevents",
        "/releases/1/compare/..%2F..%2Fhosts%2Fdev-1",
        "/audit?kind=a%26host%3Dnobody%26limit%3D9999",
        "/releases?after=x%26limit%3D9999",
        "/environments/dev/preflight?release=1%26x%3Dy",
    ] {
        let got = person.get(path).await;
        assert!(
            matches!(got.status, 200 | 400 | 404 | 422),
            "{path}: {} {}",
            got.status,
            got.text
        );
        assert!(got.header("content-type").starts_with("text/html"), "{path}");
        if got.status == 200 {
            assert!(path.starts_with("/audit"), "{path}");
        }
    }
    let secret = person.get("/").await.hidden("secret");
    let got = person
        .post(
            "/access/tokens/..%2Fhosts%2Fdev-1",
            &format!("secret={secret}"),
            &[],
        )
        .await;
    assert!((400..500).contains(&got.status), "{}", got.status);
    app.get("/api/v1/hosts/dev-1").await.expect(200);
}
