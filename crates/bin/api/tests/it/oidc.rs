//! Sign-in to the console through a provider, from the button to the session.

mod attacks;
mod people;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use slipway_testkit::oidc::{CLIENT_ID, CLIENT_SECRET, TestProvider};
use slipway_wake::Wake;
use slipway_wire::route;
use sqlx::PgPool;
use tower::ServiceExt;

use crate::support::TestApp;

/// Groups of the provider, and what they may do.
const ROLES: &str = "admin=platform; deployer=developers; approver@prod=on-call; viewer=everybody";

/// An API that has a provider.
struct Oidc {
    app: TestApp,
    provider: TestProvider,
}

impl Oidc {
    async fn new(pool: PgPool) -> Self {
        Self::with(pool, &[]).await
    }

    async fn with(pool: PgPool, settings: &[(&str, &str)]) -> Self {
        let provider = TestProvider::start().await;
        let base = [
            ("PUBLIC_URL", "https://ship.example.org"),
            ("OIDC_ISSUER", provider.issuer()),
            ("OIDC_CLIENT_ID", CLIENT_ID),
            ("OIDC_CLIENT_SECRET", CLIENT_SECRET),
            ("OIDC_ROLES", ROLES),
        ];
        let all: Vec<(&str, &str)> = base.iter().chain(settings).copied().collect();
        let app = TestApp::with(pool, Wake::none(), &all).await;
        Self { app, provider }
    }

    /// A person of these groups, whom the provider calls so.
    fn is(&self, subject: &str, email: &str, groups: impl Into<Value>) {
        let groups: Value = groups.into();
        self.provider
            .claim(json!({ "sub": subject, "email": email, "groups": groups }));
    }

    /// Signs whoever the provider knows in, and gives the browser.
    async fn sign_in(&self) -> Browser<'_> {
        let mut browser = Browser::new(&self.app);
        let query = browser.go(&self.provider, "/").await;
        let back = browser.get(&format!("/sign-in/oidc?{query}")).await;
        assert_eq!(back.status, 200, "{}", back.text);
        assert!(browser.token().starts_with("slw_"), "{}", back.text);
        browser
    }

    /// Who the api says a token is: the status and the role.
    async fn role(&self, token: &str) -> (u16, Value) {
        let who = self.app.call(Method::GET, route::WHOAMI, token, None).await;
        (who.status, who.body["role"].clone())
    }

    /// A token that an administrator makes for this principal.
    async fn token_of(&self, principal: &str) -> String {
        let wish = json!({ "label": "of an admin", "principal": principal });
        let made = self.app.post(route::TOKENS, wish).await.expect(201).body;
        made["token"].as_str().unwrap().to_owned()
    }

    /// The end of a sign-in that does not work: the status and the page.
    async fn refused(&self) -> (u16, String) {
        let mut browser = Browser::new(&self.app);
        let query = browser.go(&self.provider, "/").await;
        let back = browser.get(&format!("/sign-in/oidc?{query}")).await;
        assert_eq!(browser.token(), "", "it is signed in: {}", back.text);
        (back.status, back.text)
    }
}

/// What a browser got.
struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Got {
    /// Where the page leads by itself.
    fn leads_to(&self) -> String {
        let (_, rest) = self.text.split_once("content=\"0; url=").expect(&self.text);
        rest.split('"').next().unwrap().replace("&amp;", "&")
    }
}

/// A browser with its cookies.
#[derive(Clone)]
struct Browser<'a> {
    app: &'a TestApp,
    cookies: Vec<(String, String)>,
}

impl<'a> Browser<'a> {
    const fn new(app: &'a TestApp) -> Self {
        Self {
            app,
            cookies: Vec::new(),
        }
    }

    fn cookie(&self, name: &str) -> &str {
        let mut cookies = self.cookies.iter();
        cookies
            .find(|(own, _)| own == name)
            .map_or("", |(_, value)| value)
    }

    /// The session's token; empty without one.
    fn token(&self) -> &str {
        self.cookie("__Host-slipway")
    }

    async fn send(&mut self, method: Method, path: &str, form: &str) -> Got {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("cookie", cookies.join("; "))
            .body(Body::from(form.to_owned()))
            .unwrap();
        let response = self.app.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for set in parts.headers.get_all("set-cookie") {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(own, _)| own != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        let bytes = body.collect().await.unwrap().to_bytes();
        Got {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.into()).unwrap(),
        }
    }

    async fn get(&mut self, path: &str) -> Got {
        self.send(Method::GET, path, "").await
    }

    /// Presses the button, and is approved at the provider; gives the query of the way back.
    async fn go(&mut self, provider: &TestProvider, next: &str) -> String {
        let got = self
            .send(Method::POST, "/sign-in/oidc", &format!("next={next}"))
            .await;
        assert_eq!(got.status, 200, "{}", got.text);
        provider.approve(&got.leads_to())
    }

    async fn who(&self) -> Value {
        let answer = self
            .app
            .call(Method::GET, route::WHOAMI, self.token(), None)
            .await;
        answer.expect(200).body
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_person_signs_in_from_the_button_to_the_page_that_was_asked_for(pool: PgPool) {
    let oidc = Oidc::new(pool).await;
    let mut browser = Browser::new(&oidc.app);
    let page = browser.get("/sign-in?next=/audit").await;
    assert!(page.text.contains("Sign in at 127.0.0.1"), "{}", page.text);

    let button = browser
        .send(Method::POST, "/sign-in/oidc", "next=/audit?actor=anna")
        .await;
    let set = button.headers["set-cookie"].to_str().unwrap();
    for part in [
        "__Host-slipway-oidc=",
        "; Secure",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Path=/",
        "; Max-Age=600",
    ] {
        assert!(set.contains(part), "{set}");
    }
    let address = button.leads_to();
    let query = oidc.provider.approve(&address);
    let back = browser.get(&format!("/sign-in/oidc?{query}")).await;
    // Not a redirect: the browser would leave the strict cookie out, for it came from the provider's site.
    assert_eq!(
        (back.status, back.leads_to().as_str()),
        (200, "/audit?actor=anna")
    );
    let set: Vec<&str> = back
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert!(set[0].contains("SameSite=Strict"), "{set:?}");
    assert!(
        set[1].starts_with("__Host-slipway-oidc=;") && set[1].contains("Max-Age=0"),
        "{set:?}"
    );
    assert_eq!(browser.get("/audit?actor=anna").await.status, 200);
    let who = browser.who().await;
    assert_eq!(
        (&who["name"], &who["role"]),
        (&json!("anna-example-org"), &json!("admin"))
    );
    // Nothing of the sign-in's secrets is in an address, where servers and histories keep it.
    assert!(
        !address.contains(browser.token()) && !address.contains(CLIENT_SECRET),
        "{address}"
    );

    let events = oidc
        .app
        .get(&format!("{}?limit=50", route::EVENTS))
        .await
        .expect(200)
        .body
        .to_string();
    assert!(
        events.contains("anna-example-org is a new admin: anna@example.org of http://127.0.0.1")
            && events.contains("subject 248289761001, by the group platform"),
        "{events}"
    );
    oidc.app.get(route::AUDIT_VERIFY).await.expect(200);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_session_ends_as_the_settings_say_or_by_signing_out(pool: PgPool) {
    let oidc = Oidc::with(pool, &[("OIDC_SESSION_SECONDS", "1800")]).await;
    let mut browser = oidc.sign_in().await;
    let (seconds, idle): (f64, i32) = sqlx::query_as(
        "SELECT extract(epoch FROM expires_at - created_at)::float8, idle_seconds FROM tokens WHERE idle_seconds IS NOT NULL",
    )
    .fetch_one(&oidc.app.pool)
    .await
    .unwrap();
    assert_eq!((seconds.round(), idle), (1800.0, 3600));
    let page = browser.get("/").await.text;
    let (_, secret) = page.split_once("name=\"secret\" value=\"").unwrap();
    let secret = secret.split('"').next().unwrap().to_owned();
    let token = browser.token().to_owned();
    browser
        .send(Method::POST, "/sign-out", &format!("secret={secret}"))
        .await;
    assert_eq!(browser.token(), "");
    oidc.app
        .call(Method::GET, route::WHOAMI, &token, None)
        .await
        .expect(401);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn without_a_provider_there_is_no_button_and_with_one_tokens_go_on(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let mut browser = Browser::new(&app);
    assert!(!browser.get("/sign-in").await.text.contains("/sign-in/oidc"));
    let pressed = browser.send(Method::POST, "/sign-in/oidc", "next=/").await;
    assert_eq!(pressed.status, 404, "{}", pressed.text);
    app.get(route::OIDC).await.expect(200);

    // The API starts while the provider is away, and people sign in with tokens.
    let away = [
        ("PUBLIC_URL", "https://ship.example.org"),
        ("OIDC_ISSUER", "http://127.0.0.1:1"),
        ("OIDC_CLIENT_ID", CLIENT_ID),
        ("OIDC_CLIENT_SECRET", CLIENT_SECRET),
        ("OIDC_ROLES", ROLES),
    ];
    let app = TestApp::with(pool, Wake::none(), &away).await;
    let mut browser = Browser::new(&app);
    let pressed = browser.send(Method::POST, "/sign-in/oidc", "next=/").await;
    assert_eq!(pressed.status, 503, "{}", pressed.text);
    assert!(pressed.text.contains("sign in with a token"), "{}", pressed.text);
    let form = format!("token={}", app.admin);
    assert_eq!(browser.send(Method::POST, "/sign-in", &form).await.status, 303);
}
