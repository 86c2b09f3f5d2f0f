//! People who sign in through a provider: at another site, and back from there, with strict cookies and a strict policy.

use serde_json::json;
use slipway_dev::run_dir::write_private;
use slipway_testkit::oidc::{Answers, CLIENT_ID, CLIENT_SECRET, TestProvider};

use super::axe;
use super::browser::{Browser, Driver, Eyes};
use crate::common::rig::Rig;

/// What the console calls the way there.
const BUTTON: &str = "Sign in at 127.0.0.1";
/// A page that takes a session.
const WANTED: &str = "/audit?kind=principal";

struct Scene {
    provider: TestProvider,
    driver: Driver,
    rig: Rig,
}

impl Scene {
    async fn new() -> Self {
        let provider = TestProvider::start().await;
        let issuer = provider.issuer().to_owned();
        let rig = Rig::with_env(1, |folder| {
            let secret = folder.join("oidc-client-secret");
            write_private(&secret, CLIENT_SECRET, None).unwrap();
            [
                ("OIDC_ISSUER", issuer),
                ("OIDC_CLIENT_ID", CLIENT_ID.to_owned()),
                ("OIDC_CLIENT_SECRET_FILE", secret.display().to_string()),
                (
                    "OIDC_ROLES",
                    "admin=platform; deployer=developers; approver@prod=on-call".to_owned(),
                ),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
        })
        .await;
        let driver = Driver::start(&rig.run, rig.stack.nginx.api_url()).await;
        Self {
            provider,
            driver,
            rig,
        }
    }

    /// The person who sits before the provider's page.
    fn is(&self, subject: &str, groups: &serde_json::Value) {
        let email = format!("{subject}@example.org");
        self.provider
            .claim(json!({ "sub": subject, "email": email, "groups": groups }));
        self.provider
            .change(|behaviour| behaviour.user_info = json!({ "sub": subject }));
    }

    /// Goes to the provider's page.
    async fn go(&self, browser: &Browser) {
        browser.press(BUTTON).await;
        browser.see("The provider").await;
        let address = browser.path().await;
        assert!(address.starts_with(self.provider.issuer()), "{address}");
    }
}

/// Nothing of the way was held back by the browser. The provider has no icon.
async fn assert_no_complaint(browser: &Browser) {
    let complaints = browser.complaints().await;
    let mut complaints = complaints.iter().filter(|said| !said.contains("/favicon.ico"));
    assert_eq!(complaints.next(), None);
}

#[tokio::test]
async fn a_person_signs_in_at_another_site_and_lands_on_the_page_that_was_asked_for() {
    let scene = Scene::new().await;
    for eyes in [Eyes::default(), Eyes::phone()] {
        let browser = scene.driver.open(eyes).await;
        scene.is("anna", &json!(["developers", "on-call"]));
        browser.open(WANTED).await;
        scene.go(&browser).await;
        browser.press("It is me").await;
        browser.see("anna-example-org deployer").await;
        assert_eq!(browser.path().await, WANTED);
        browser.see("anna@example.org of http://127.0.0.1").await;
        assert!(!browser.text().await.contains("Messages"), "only an admin's");
        // A click that needs the strict cookie, and a form with its secret.
        browser.open("/environments/prod").await;
        browser.see("Sign out").await;
        browser.press("Sign out").await;
        browser.see(BUTTON).await;
        browser.open(WANTED).await;
        browser.see(BUTTON).await;

        // Another person in the same browser has the roles of other groups.
        scene.is("ben", &json!(["platform"]));
        scene.go(&browser).await;
        browser.press("It is me").await;
        browser.see("ben-example-org admin").await;
        browser.see("Messages").await;
        assert_eq!(browser.path().await, WANTED);
        assert_no_complaint(&browser).await;
    }
    scene.rig.run.close().await.unwrap();
}

#[tokio::test]
async fn whoever_is_not_let_in_reads_why_and_can_begin_again() {
    let scene = Scene::new().await;
    let browser = scene.driver.open(Eyes::default()).await;
    browser.open(WANTED).await;

    // The groups have no role, or the provider names none.
    for (groups, told) in [
        (json!(["sales", "everyone"]), "none of them has a role here"),
        (json!(null), "the provider tells no groups"),
    ] {
        scene.is("anna", &groups);
        scene.go(&browser).await;
        browser.press("It is me").await;
        browser.see(told).await;
        assert!(!browser.text().await.contains("Sign out"), "{groups}");
        assert_eq!(axe::violations(&browser).await, Vec::<String>::new());
    }

    // The provider answers with an error.
    scene.is("anna", &json!(["platform"]));
    scene.go(&browser).await;
    browser.press("Cancel").await;
    browser
        .see("The provider says: access_denied: the person <b>broke off</b>")
        .await;
    scene
        .provider
        .change(|behaviour| behaviour.gives_tokens = Answers::Status(500));
    scene.go(&browser).await;
    browser.press("It is me").await;
    browser.see("sign in with a token").await;
    scene
        .provider
        .change(|behaviour| behaviour.gives_tokens = Answers::Well);

    // The browser no longer knows of the sign-in: its cookie is over.
    scene.go(&browser).await;
    browser.devtools("Network.clearBrowserCookies", json!({})).await;
    browser.press("It is me").await;
    browser
        .see("not begun in this browser, or more than 10 minutes ago")
        .await;
    assert_eq!(axe::violations(&browser).await, Vec::<String>::new());
    assert!(!browser.text().await.contains("Sign out"));

    // All this is a page from which one begins again. A way back that was used signs nobody in a second time.
    scene.go(&browser).await;
    browser.press("It is me").await;
    browser.see("anna-example-org admin").await;
    browser.press("Sign out").await;
    browser.see(BUTTON).await;
    scene.rig.run.close().await.unwrap();
}
