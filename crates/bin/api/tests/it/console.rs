//! The console's pages: sessions, forms, and what docs/console.md says protects them.

mod attachments;
mod attacks;
mod crowd;
mod destinations;
mod export;
mod forms;
mod many;
mod output;
mod subjects;
mod told;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::json;
use slipway_wire::route;
use sqlx::PgPool;
use tower::ServiceExt;

use crate::support::{PASSWORD, TestApp};

/// What a browser got.
struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The value of a hidden field.
    fn hidden(&self, name: &str) -> String {
        let begin = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.text.split_once(&begin).expect(name);
        rest.split('"').next().unwrap().to_owned()
    }
}

/// A browser, with the cookie that it was given.
struct Browser<'a> {
    app: &'a TestApp,
    cookie: String,
}

impl<'a> Browser<'a> {
    const fn new(app: &'a TestApp) -> Self {
        Self {
            app,
            cookie: String::new(),
        }
    }

    async fn signed_in(app: &'a TestApp, token: &str) -> Self {
        let mut browser = Self::new(app);
        let got = browser
            .post("/sign-in", &format!("token={token}&next=/audit"), &[])
            .await;
        assert_eq!(
            (got.status, got.header("location")),
            (303, "/audit"),
            "{}",
            got.text
        );
        let cookie = got.header("set-cookie");
        cookie.split(';').next().unwrap().clone_into(&mut browser.cookie);
        browser
    }

    /// The answer as it comes, its body still unread.
    async fn open(&self, method: Method, path: &str, body: String, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("cookie", &self.cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).unwrap();
        self.app.router.clone().oneshot(request).await.unwrap()
    }

    async fn send(&self, method: Method, path: &str, body: String, headers: &[(&str, &str)]) -> Got {
        let response = self.open(method, path, body, headers).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Got {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.into()).unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Got {
        self.send(Method::GET, path, String::new(), &[]).await
    }

    async fn post(&self, path: &str, form: &str, headers: &[(&str, &str)]) -> Got {
        self.send(Method::POST, path, form.to_owned(), headers).await
    }
}

const PAGES: [&str; 8] = [
    "/",
    "/hosts",
    "/rollouts",
    "/releases",
    "/audit",
    "/access",
    "/destinations",
    "/sessions",
];

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn every_page_asks_for_a_session_and_shows_itself_with_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let stranger = Browser::new(&app);
    let person = Browser::signed_in(&app, &app.admin).await;
    for page in PAGES {
        let refused = stranger.get(page).await;
        assert_eq!(refused.status, 303, "{page}");
        assert!(refused.header("location").starts_with("/sign-in?next="), "{page}");
        let got = person.get(page).await;
        assert_eq!(got.status, 200, "{page}: {}", got.text);
        assert_eq!(
            got.header("content-security-policy"),
            slipway_console::CONTENT_SECURITY_POLICY
        );
        assert!(
            !got.text.contains("style=\"") && !got.text.contains(" onclick"),
            "{page}"
        );
        assert_eq!(
            (got.header("cache-control"), got.header("x-frame-options")),
            ("no-store", "DENY")
        );
    }
    assert_eq!(person.get("/nowhere").await.status, 404);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_cookie_is_a_token_of_its_own_that_ends(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let signed_in = Browser::new(&app)
        .post("/sign-in", &format!("token={}", app.admin), &[])
        .await;
    let cookie = signed_in.header("set-cookie");
    for part in [
        "__Host-slipway=slw_",
        "; Secure",
        "; HttpOnly",
        "; SameSite=Strict",
        "; Path=/",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(
        !cookie.contains(&app.admin),
        "the cookie is the person's own token"
    );

    let idle = Browser::signed_in(&app, &app.admin).await;
    assert_eq!(idle.get("/").await.status, 200);
    sqlx::query(
        "UPDATE tokens SET last_used_at = now() - interval '61 minutes' WHERE idle_seconds IS NOT NULL",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    let over = idle.get("/").await;
    assert_eq!(
        over.status, 303,
        "a session without a request for an hour goes on"
    );
    assert!(over.header("set-cookie").contains("Max-Age=0"));
    // A page's own script is told, and not led to another page.
    let told = idle
        .send(Method::GET, "/", String::new(), &[("x-slipway-part", "1")])
        .await;
    assert_eq!(told.status, 401);

    let person = Browser::signed_in(&app, &app.admin).await;
    let secret = person.get("/").await.hidden("secret");
    let out = person.post("/sign-out", &format!("secret={secret}"), &[]).await;
    assert_eq!(out.header("location"), "/sign-in");
    assert_eq!(
        person.get("/").await.status,
        303,
        "the cookie works after signing out"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_password_signs_in_and_a_wrong_one_does_not(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let browser = Browser::new(&app);
    let form = |password: &str| format!("name=admin&password={}", password.replace(' ', "+"));
    let got = browser.post("/sign-in", &form(PASSWORD), &[]).await;
    assert_eq!(got.status, 303, "{}", got.text);
    for (form, status) in [
        (form("wrong"), 401),
        ("token=nonsense".to_owned(), 401),
        ("token=slw_0000".to_owned(), 401),
        (String::new(), 401),
    ] {
        let got = browser.post("/sign-in", &form, &[]).await;
        assert_eq!(got.status, status, "{form}");
        assert!(
            got.text.contains("role=\"alert\"") && got.header("set-cookie").is_empty(),
            "{form}"
        );
        // Whoever typed a password goes on there, and not in the token's field.
        let of_password = form.starts_with("name=");
        assert_eq!(got.text.contains("<details open>"), of_password, "{}", got.text);
        let (_, focused) = got.text.split_once("name=\"token\"").unwrap();
        let token = focused.split('>').next().unwrap();
        assert_eq!(!token.contains("autofocus"), of_password, "{}", got.text);
    }
    let far = browser
        .post(
            "/sign-in",
            &format!("{}&next=//evil.example", form(PASSWORD)),
            &[],
        )
        .await;
    assert_eq!(far.header("location"), "/");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_form_of_another_site_or_session_does_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    let secret = person.get("/").await.hidden("secret");
    let other = Browser::signed_in(&app, &app.admin)
        .await
        .get("/")
        .await
        .hidden("secret");
    let form = |secret: &str| format!("secret={secret}&once=1&do=create&name=evil&strategy=&windows=");
    for (secret, headers) in [
        ("", &[][..]),
        (other.as_str(), &[]),
        (secret.as_str(), &[("sec-fetch-site", "cross-site")]),
        (
            secret.as_str(),
            &[("origin", "https://evil.example"), ("host", "ship.example")],
        ),
    ] {
        let got = person.post("/environments", &form(secret), headers).await;
        assert_eq!(got.status, 403, "{headers:?}");
    }
    let list = app.get(route::ENVIRONMENTS).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 0);

    // The same form twice makes one thing.
    for _ in 0..2 {
        let got = person
            .post(
                "/environments",
                &form(&secret),
                &[("sec-fetch-site", "same-origin")],
            )
            .await;
        assert_eq!(
            (got.status, got.header("location")),
            (303, "/environments/evil"),
            "{}",
            got.text
        );
    }
    let list = app.get(route::ENVIRONMENTS).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 1);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_people_and_hosts_write_is_never_markup(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    let secret = person.get("/").await.hidden("secret");
    let evil = "<script>alert(1)</script>\"'";
    let encoded = format!(
        "%{}",
        hex::encode(evil)
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap())
            .collect::<Vec<_>>()
            .join("%")
    );
    let got = person
        .post(
            "/environments",
            &format!("secret={secret}&do=create&name={encoded}"),
            &[],
        )
        .await;
    assert_eq!(got.status, 422, "{}", got.text);
    assert!(
        !got.text.contains("<script>alert") && got.text.contains("&lt;script&gt;"),
        "{}",
        got.text
    );
    for path in [
        "/?q=",
        "/?environment=",
        "/audit?kind=",
        "/sign-in?next=/",
        "/rollouts?environment=",
    ] {
        let got = person.get(&format!("{path}{encoded}")).await;
        assert!(!got.text.contains("<script>alert"), "{path}: {}", got.text);
    }
}
