//! Making something once, however often its request comes.
//!
//! A client that got no answer cannot know whether its request was carried out. With an `Idempotency-Key` it sends the
//! request again, with the same key. The id of what is made follows from the key, the token, the path and the body. So
//! the database refuses a second one, and nobody has to remember keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, Method};
use serde::Serialize;
use slipway_domain::digest::{Digest, Digester, id_of};
use slipway_store::{StoreError, TokenHash};
use slipway_wire::access::TokenSecret;
use slipway_wire::header::IDEMPOTENCY_KEY;
use slipway_wire::message::Confidential;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use uuid::Uuid;

use crate::auth::{self, Access, RequestContext};
use crate::error::{ApiError, Result};
use crate::routes::{Created, created};

/// Characters of a key.
pub(crate) const MAX_KEY: usize = 255;

/// The key of a request, and where it was sent.
#[derive(Debug, Clone)]
pub(crate) struct RepeatKey {
    key: String,
    path: String,
}

impl RepeatKey {
    /// The key of a request that may make something, if it has one.
    pub(crate) fn of(parts: &Parts) -> Result<Option<Self>> {
        if parts.method != Method::POST {
            return Ok(None);
        }
        Ok(read(&parts.headers)?.map(|key| Self {
            key,
            path: parts.uri.path().to_owned(),
        }))
    }

    fn digest(&self, context: &RequestContext, body: &impl Serialize) -> Result<Digest> {
        let body = serde_json::to_string(body).map_err(|error| ApiError::Internal(error.into()))?;
        let mut digester = Digester::new("request");
        digester
            .field("principal", context.caller.id)
            // A token must not be shown to one that ends earlier than the one that made it.
            .field("token", context.caller.token)
            .field("path", &self.path)
            .field("key", &self.key)
            .field("body", body);
        Ok(digester.finish())
    }
}

fn read(headers: &HeaderMap) -> Result<Option<String>> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(value), more) = (values.next(), values.next()) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let fits = (1..=MAX_KEY).contains(&text.len()) && more.is_none();
    if fits {
        return Ok(Some(text.to_owned()));
    }
    let detail = format!(
        "Idempotency-Key: send it once, with 1 to {MAX_KEY} visible ASCII characters, such as a UUID"
    );
    Err(ApiError::Malformed(detail, Vec::new()))
}

/// Whether a route takes a key: it makes something, or asks something of a rollout, for somebody with a role.
pub(crate) fn takes_key(method: &Method, access: Access, makes: bool) -> bool {
    *method == Method::POST && matches!(access, Access::Role(_)) && makes
}

/// The key as the document shows it.
pub(crate) fn parameter() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "Names the request, so that sending it again makes nothing twice: the same key, path and body are answered with \
             what the first request made",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MAX_KEY))))
        .build()
}

/// What follows from a request that may come again; from one without a key, nothing.
pub(crate) struct Once {
    id: Option<Uuid>,
    token: Option<[u8; auth::TOKEN_BYTES]>,
}

impl RequestContext {
    /// What follows from this request with this body.
    pub(crate) fn once(&self, body: &impl Serialize) -> Result<Once> {
        let Some(key) = &self.repeat_key else {
            return Ok(Once {
                id: None,
                token: None,
            });
        };
        let request = key.digest(self, body)?;
        // Nobody without the server's key can tell an id before it is used, or a token ever.
        let [id, token] = ["id", "token"].map(|purpose| self.audit_key.derive(purpose, &request));
        Ok(Once {
            id: Some(id_of(&id)),
            token: Some(token),
        })
    }
}

impl Once {
    /// The id for what is made, if the request decides it.
    pub(crate) const fn made(&self) -> Option<Uuid> {
        self.id
    }

    /// The id for what is made.
    pub(crate) fn id<T>(&self, from: fn(Uuid) -> T, new: fn() -> T) -> T {
        self.id.map_or_else(new, from)
    }

    /// The token for what is made: the same one each time, since only its hash is kept.
    pub(crate) fn token(&self) -> Result<(TokenSecret, TokenHash)> {
        self.token
            .map_or_else(auth::new_token, |bytes| Ok(auth::token_of(&bytes)))
    }

    /// The secret that signs what goes to a new webhook: the same one each time.
    pub(crate) fn signing_secret(&self) -> Result<Confidential> {
        let bytes = self.token.map_or_else(auth::random_bytes, Ok)?;
        Ok(Confidential::new(format!("whsec_{}", STANDARD.encode(bytes))))
    }

    /// Answers with what an earlier request of this key made, or makes it.
    ///
    /// `find` is no async closure, since the future of one is not known to be `Send`.
    pub(crate) async fn answer<T, Found, Made>(&self, find: impl Fn(Uuid) -> Found, make: Made) -> Created<T>
    where
        Found: Future<Output = Result<Option<T>>>,
        Made: Future<Output = Result<T>>,
    {
        let Some(id) = self.id else {
            return Ok(created(make.await?));
        };
        if let Some(made) = find(id).await? {
            return Ok(created(made));
        }
        match make.await {
            Ok(thing) => Ok(created(thing)),
            // The same request may have come twice at once, and the other one was faster.
            Err(error) => find(id).await?.map(created).ok_or(error),
        }
    }
}

/// What the store found, or nothing.
pub(crate) fn found<T>(result: std::result::Result<T, StoreError>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
