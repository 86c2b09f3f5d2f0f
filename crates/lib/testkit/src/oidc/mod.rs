//! A provider of `OpenID` Connect over real HTTP, which does what a test says. A test approves in a person's place, or a
//! browser does on its page.

mod keys;
mod page;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;
use url::form_urlencoded::{Serializer, parse};

use keys::{Keys, encoded, half_hash};

pub use keys::Signing;

/// The client that the provider knows.
pub const CLIENT_ID: &str = "slipway";
/// Its secret.
pub const CLIENT_SECRET: &str = "the client's secret / with signs & ä";

/// How it answers a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Answers {
    /// As a provider does.
    #[default]
    Well,
    /// Never.
    Hangs,
    /// With this status.
    Status(u16),
    /// With a redirect to itself.
    Redirects,
    /// With two million bytes.
    Large,
    /// With something that is no JSON.
    Nonsense,
}

/// What it does, for a test to change.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Claims of its tokens in place of the usual ones; null leaves one out.
    pub claims: Value,
    /// What it says of itself in place of the usual; null leaves something out.
    pub metadata: Value,
    /// What it says of the person when it is asked.
    pub user_info: Value,
    /// How its tokens are signed.
    pub signing: Signing,
    /// How it tells of itself.
    pub describes: Answers,
    /// How it gives tokens.
    pub gives_tokens: Answers,
    /// How it tells of a person.
    pub tells_of_people: Answers,
    /// Whether it takes a code again and again.
    pub takes_codes_again: bool,
    /// How far its clock is ahead, in seconds.
    pub ahead: i64,
}

/// A code that was given out.
struct Code {
    nonce: String,
    challenge: String,
    redirect: String,
    is_used: bool,
}

struct Shared {
    issuer: String,
    behaviour: Mutex<Behaviour>,
    codes: Mutex<HashMap<String, Code>>,
    keys: Mutex<Keys>,
    described: Mutex<u32>,
}

/// The provider.
#[derive(Clone)]
pub struct TestProvider {
    shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// The same with these fields in place of others; null leaves one out.
fn changed(mut value: Value, by: &Value) -> Value {
    let all = value.as_object_mut().unwrap();
    for (name, new) in by.as_object().into_iter().flatten() {
        match new {
            Value::Null => drop(all.remove(name)),
            new => drop(all.insert(name.clone(), new.clone())),
        }
    }
    value
}

impl TestProvider {
    /// Listens on a port of this machine until the test's runtime ends.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/realms/ops", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            issuer,
            behaviour: Mutex::new(Behaviour {
                claims: json!({}),
                metadata: json!({}),
                user_info: json!({}),
                signing: Signing::EdDsa,
                describes: Answers::Well,
                gives_tokens: Answers::Well,
                tells_of_people: Answers::Well,
                takes_codes_again: false,
                ahead: 0,
            }),
            codes: Mutex::default(),
            keys: Mutex::new(Keys::generate()),
            described: Mutex::default(),
        });
        let router = Router::new()
            .route("/realms/ops/.well-known/openid-configuration", get(describe))
            .route("/realms/ops/keys", get(show_keys))
            .route("/realms/ops/token", post(give_token))
            .route("/realms/ops/userinfo", get(show_user))
            .route("/realms/ops/authorize", get(page::ask).post(page::decide))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shared }
    }

    /// What it calls itself.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Has it do something else from now on.
    pub fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock(&self.shared.behaviour));
    }

    /// Has its tokens say this in place of what they usually say.
    pub fn claim(&self, claims: Value) {
        self.change(|behaviour| behaviour.claims = claims);
    }

    /// Takes other keys in place of its own.
    pub fn change_keys(&self) {
        *lock(&self.shared.keys) = Keys::generate();
    }

    /// How often it was asked what it is.
    #[must_use]
    pub fn times_described(&self) -> u32 {
        *lock(&self.shared.described)
    }

    /// Signs a person in who was led to this address, and gives the query with which the browser is sent back.
    ///
    /// Panics unless the address asks for what it must.
    #[must_use]
    pub fn approve(&self, address: &str) -> String {
        let address = Url::parse(address).unwrap();
        let expected = format!("{}/authorize", self.shared.issuer);
        assert!(address.as_str().starts_with(&expected), "{address}");
        let asked: HashMap<String, String> = address.query_pairs().into_owned().collect();
        self.shared.approve(&asked)
    }
}

impl Shared {
    fn approve(&self, asked: &HashMap<String, String>) -> String {
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(asked[name], value, "{asked:?}");
        }
        assert!(
            asked["scope"].split(' ').any(|scope| scope == "openid"),
            "{asked:?}"
        );
        let mut codes = lock(&self.codes);
        let code = format!("code-{}", codes.len() + 1);
        let given = Code {
            nonce: asked["nonce"].clone(),
            challenge: asked["code_challenge"].clone(),
            redirect: asked["redirect_uri"].clone(),
            is_used: false,
        };
        codes.insert(code.clone(), given);
        let mut query = Serializer::new(String::new());
        query
            .append_pair("code", &code)
            .append_pair("state", &asked["state"])
            .append_pair("iss", &self.issuer);
        query.finish()
    }
}

/// The answer of a request, once it may be given.
async fn answer(how: Answers, shared: &Shared, well: impl FnOnce() -> Response) -> Response {
    match how {
        Answers::Well => well(),
        Answers::Hangs => {
            tokio::time::sleep(Duration::from_mins(10)).await;
            StatusCode::OK.into_response()
        }
        Answers::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answers::Redirects => Redirect::temporary(&shared.issuer).into_response(),
        Answers::Large => Json(json!({ "large": "x".repeat(2_000_000) })).into_response(),
        Answers::Nonsense => ([("content-type", "application/json")], "<html>").into_response(),
    }
}

async fn describe(State(shared): State<Arc<Shared>>) -> Response {
    *lock(&shared.described) += 1;
    let behaviour = lock(&shared.behaviour).clone();
    let issuer = &shared.issuer;
    let metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA", "HS256", "none"],
        "authorization_response_iss_parameter_supported": true,
    });
    let metadata = changed(metadata, &behaviour.metadata);
    answer(behaviour.describes, &shared, || Json(metadata).into_response()).await
}

async fn show_keys(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(lock(&shared.keys).shown())
}

fn refused(error: &str) -> Response {
    let said = json!({ "error": error, "error_description": "a <b>reason</b>" });
    (StatusCode::BAD_REQUEST, Json(said)).into_response()
}

async fn give_token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let behaviour = lock(&shared.behaviour).clone();
    let how = behaviour.gives_tokens;
    answer(how, &shared, || token_of(&shared, &behaviour, &headers, &body)).await
}

/// RFC 6749 has both escaped as in a form before they are joined (2.3.1).
fn is_client(headers: &HeaderMap) -> bool {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok());
    let basic = header.and_then(|value| value.strip_prefix("Basic "));
    let decoded = basic
        .and_then(|text| STANDARD.decode(text).ok())
        .unwrap_or_default();
    let text = String::from_utf8(decoded).unwrap();
    let (id, secret) = text.split_once(':').unwrap_or_default();
    let plain = |text: &str| {
        let form = format!("x={text}");
        let plain = parse(form.as_bytes()).next().map(|(_, value)| value.into_owned());
        plain.unwrap_or_default()
    };
    plain(id) == CLIENT_ID && plain(secret) == CLIENT_SECRET
}

fn token_of(shared: &Shared, behaviour: &Behaviour, headers: &HeaderMap, body: &str) -> Response {
    let sent: HashMap<String, String> = parse(body.as_bytes()).into_owned().collect();
    if !is_client(headers) {
        return refused("invalid_client");
    }
    let mut codes = lock(&shared.codes);
    let Some(code) = sent.get("code").and_then(|code| codes.get_mut(code)) else {
        return refused("invalid_grant");
    };
    let verifier = sent.get("code_verifier").map(String::as_str).unwrap_or_default();
    let is_right = encoded(digest(&SHA256, verifier.as_bytes())) == code.challenge
        && sent.get("redirect_uri") == Some(&code.redirect)
        && sent
            .get("grant_type")
            .is_some_and(|kind| kind == "authorization_code");
    if !is_right || (code.is_used && !behaviour.takes_codes_again) {
        return refused("invalid_grant");
    }
    code.is_used = true;
    let access_token = "an access token";
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let now = i64::try_from(now).unwrap() + behaviour.ahead;
    let claims = json!({
        "iss": shared.issuer,
        "sub": "248289761001",
        "aud": CLIENT_ID,
        "exp": now + 300,
        "iat": now,
        "nonce": code.nonce,
        "at_hash": half_hash(access_token, behaviour.signing),
        "email": "anna@example.org",
        "email_verified": true,
        "groups": ["platform"],
    });
    let claims = changed(claims, &behaviour.claims);
    let id_token = lock(&shared.keys).sign(&claims, behaviour.signing, CLIENT_SECRET);
    let tokens = json!({ "access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token });
    Json(tokens).into_response()
}

async fn show_user(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if headers
        .get("authorization")
        .is_none_or(|value| value != "Bearer an access token")
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let behaviour = lock(&shared.behaviour).clone();
    let user = changed(json!({ "sub": "248289761001" }), &behaviour.user_info);
    answer(behaviour.tells_of_people, &shared, || Json(user).into_response()).await
}
