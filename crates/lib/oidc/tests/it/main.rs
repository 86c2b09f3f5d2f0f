//! Sign-ins at a provider over real HTTP, which does what each test says.

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

mod provider;
mod tokens;

use std::time::Duration;

use serde_json::Value;
use slipway_oidc::{Attempt, Config, IssuerUrl, Limits, OidcError, Person, Provider};
use slipway_testkit::oidc::{CLIENT_ID, CLIENT_SECRET, TestProvider};
use url::Url;
use url::form_urlencoded::parse;

/// More than a provider takes that answers, on a busy machine too.
const PATIENT: Duration = Duration::from_secs(30);
/// For one that never answers.
const IMPATIENT: Duration = Duration::from_millis(500);

fn attempt() -> Attempt {
    Attempt {
        state: "the state of this sign-in".to_owned(),
        nonce: "the nonce of this sign-in".to_owned(),
        verifier: "v".repeat(64),
    }
}

fn client(provider: &TestProvider) -> Provider {
    client_within(provider, PATIENT)
}

fn client_within(provider: &TestProvider, limit: Duration) -> Provider {
    let config = Config {
        issuer: IssuerUrl::new(provider.issuer().to_owned()).unwrap(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.into(),
        redirect: Url::parse("https://ship.example.org/sign-in/oidc").unwrap(),
        scopes: vec!["profile".to_owned(), "email".to_owned()],
        groups_claim: "groups".to_owned(),
        ca_pem: None,
        limits: Limits {
            connect: limit,
            total: limit,
            ..Limits::default()
        },
    };
    Provider::new(config).unwrap()
}

/// What the browser comes back with.
struct Back {
    code: String,
    issuer: String,
}

async fn approved(client: &Provider, provider: &TestProvider) -> Back {
    let address = client.address(&attempt()).await.unwrap();
    let query = provider.approve(address.as_str());
    let field = |name: &str| {
        let mut pairs = parse(query.as_bytes());
        pairs.find(|(field, _)| field == name).unwrap().1.into_owned()
    };
    assert_eq!(field("state"), attempt().state);
    Back {
        code: field("code"),
        issuer: field("iss"),
    }
}

async fn redeemed(client: &Provider, back: &Back) -> Result<Person, OidcError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test's provider has the machine's clock too"
    )]
    let now = chrono::Utc::now();
    client
        .person(&back.code, Some(&back.issuer), &attempt(), now)
        .await
}

/// Signs in from the beginning to the end.
async fn sign_in(client: &Provider, provider: &TestProvider) -> Result<Person, OidcError> {
    let back = approved(client, provider).await;
    redeemed(client, &back).await
}

/// The same with these claims.
async fn sign_in_with(claims: Value) -> Result<Person, OidcError> {
    let provider = TestProvider::start().await;
    provider.claim(claims);
    sign_in(&client(&provider), &provider).await
}
