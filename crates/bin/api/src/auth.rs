//! Who a request is from, and whether it may do what it asks for.

use std::ops::Deref;

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use sha2::{Digest, Sha256};
use slipway_domain::event::Actor;
use slipway_domain::{HostId, HostName, Role};
use slipway_store::{AuthenticatedPrincipal, Caller, EventAuthor, StoreError, TokenHash};
use slipway_wire::access::{TOKEN_PREFIX, TokenSecret};
use subtle::ConstantTimeEq;

use crate::access::Rule;
use crate::client_addr::ClientAddr;
use crate::error::{ApiError, Result};
use crate::observe::{self, note_principal};
use crate::once::RepeatKey;
use crate::reference::Meant;
use crate::state::{App, Shared};

/// Random bytes in a token.
pub(crate) const TOKEN_BYTES: usize = 32;

/// Who may use a route. There is no default: no route exists without this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    Open,
    /// Whoever has a good token, a principal or a host.
    Token,
    /// A host's agent, and nobody else.
    Host,
    /// Principals with this role or one above it.
    Role(Role),
}

impl Access {
    /// Whether this caller may pass; the error says which role is needed.
    pub fn permit(self, caller: &Caller) -> Result<()> {
        match (self, caller) {
            (Self::Open | Self::Token, _) | (Self::Host, Caller::Host { .. }) => Ok(()),
            (Self::Role(least), Caller::Principal(principal)) if principal.rights().strongest() >= least => {
                Ok(())
            }
            (Self::Role(least), Caller::Principal(AuthenticatedPrincipal { name, role, .. })) => {
                Err(ApiError::Forbidden(format!(
                    "this takes the role {least}; the token is of `{name}`, who is {role}. Ask an admin for a token with that role"
                )))
            }
            (Self::Role(_), Caller::Host { name, .. }) => Err(ApiError::Forbidden(format!(
                "the token is of host `{name}`; hosts' tokens can do nothing but sync; use a principal's"
            ))),
            (Self::Host, Caller::Principal(AuthenticatedPrincipal { name, .. })) => {
                Err(ApiError::Forbidden(format!(
                    "only a host's token can sync, and this one is of `{name}`; `slipway host token` makes one"
                )))
            }
        }
    }
}

/// A principal's request: who asks, and what every handler shares.
#[derive(Debug)]
pub(crate) struct RequestContext {
    pub(crate) app: App,
    pub(crate) caller: AuthenticatedPrincipal,
    pub(crate) repeat_key: Option<RepeatKey>,
}

impl RequestContext {
    /// Whoever asks as the author of events.
    pub(crate) fn by(&self) -> EventAuthor<'_> {
        EventAuthor::new(Actor::Principal(self.caller.name.clone()), &self.audit_key)
    }
}

impl Deref for RequestContext {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.app
    }
}

impl FromRequestParts<App> for RequestContext {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        match parts.extensions.get() {
            Some(Caller::Principal(caller)) => Ok(Self {
                app: App::clone(app),
                caller: caller.clone(),
                repeat_key: RepeatKey::of(parts)?,
            }),
            Some(Caller::Host { .. }) => Err(ApiError::Forbidden(
                "hosts' tokens can do nothing but sync".to_owned(),
            )),
            None => Err(ApiError::Internal(
                "the handler wants to know who asks, on a route without a token".into(),
            )),
        }
    }
}

/// The host whose agent sends a request. Less than the whole caller, which each waiting request would hold.
#[derive(Debug)]
pub(crate) struct CallingHost {
    pub(crate) id: HostId,
    pub(crate) name: HostName,
}

impl<S: Send + Sync> FromRequestParts<S> for CallingHost {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        match parts.extensions.get() {
            Some(Caller::Host { id, name }) => Ok(Self {
                id: *id,
                name: name.clone(),
            }),
            _ => Err(ApiError::Forbidden("only a host's token can ask this".to_owned())),
        }
    }
}

/// The layer of every route: lets through whom its access permits.
pub(crate) fn guard(
    State((app, rule)): State<(App, Rule)>,
    client: ClientAddr,
    request: Request,
    next: Next,
) -> impl Future<Output = Response> + Send {
    // Thousands of requests wait for news within `next`, and the check's memory is free by then.
    let admitted = Box::pin(admit(app, rule, client, request));
    async {
        match admitted.await {
            Ok((request, Some(name))) => observe::traced(request, name, next).await,
            Ok((request, None)) => observe::answer(next, request).await,
            Err(error) => error.into_response(),
        }
    }
}

/// The request with who sends it and what it means, and the sender's name if the route asks for one.
async fn admit(
    app: App,
    rule: Rule,
    client: ClientAddr,
    request: Request,
) -> Result<(Request, Option<String>)> {
    if rule.access == Access::Open {
        return Ok((request, None));
    }
    let (mut parts, body) = request.into_parts();
    let path = RawPathParams::from_request_parts(&mut parts, &app).await.ok();
    let caller = authenticate(&app, &parts.headers, &client).await?;
    let name = match &caller {
        Caller::Principal(principal) => principal.name.to_string(),
        Caller::Host { name, .. } => format!("host:{name}"),
    };
    note_principal(&name);
    rule.access.permit(&caller)?;
    // What it names may not exist. Whoever may not know that hears first that it is forbidden.
    let meant = match Meant::of(&app, rule.subject, path.as_ref()).await {
        Err(error) if error.status().is_server_error() => return Err(error),
        meant => meant,
    };
    if let Caller::Principal(principal) = &caller {
        rule.permit(&app, principal, path.as_ref(), &meant).await?;
    }
    let mut request = Request::from_parts(parts, body);
    request.extensions_mut().insert(caller);
    request.extensions_mut().insert(meant?);
    Ok((request, Some(name)))
}

/// Looks the token up, every time: revoking one works at once. What the database says of it counts only if the audit log
/// says so too.
///
/// Failures are counted by client address, and beyond the limit answered 429. A good token passes all the same, so that
/// one bad client does not lock out everybody behind its address; nobody guesses 256 bits.
async fn authenticate(app: &App, headers: &HeaderMap, client: &ClientAddr) -> Result<Caller> {
    app.phase.require_checked()?;
    let found = match bearer(headers) {
        Some(token) => find(app, &TokenHash::of(token)).await?,
        None => None,
    };
    match found {
        Some(caller) => Ok(caller),
        None => Err(app.failures.failed(client, ApiError::Unauthenticated).await),
    }
}

/// The token's owner. A token that somebody put into the database by hand has none.
async fn find(app: &App, hash: &TokenHash) -> Result<Option<Caller>> {
    match app.store.authenticate(hash, &app.audit_key).await {
        Err(error @ StoreError::Tampered(_)) => {
            tracing::error!(
                error = slipway_telemetry::error_chain(&error),
                "a token was refused that the audit log does not know so"
            );
            Ok(None)
        }
        found => Ok(found?),
    }
}

/// The token of `Authorization: Bearer slw_<64 hex digits>`, if it has the form of one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let digits = token.trim().strip_prefix(TOKEN_PREFIX)?;
    let is_token = scheme.eq_ignore_ascii_case("bearer")
        && digits.len() == 2 * TOKEN_BYTES
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_token.then(|| token.trim())
}

/// A new token and its hash.
pub(crate) fn new_token() -> Result<(TokenSecret, TokenHash)> {
    random_bytes().map(|bytes| token_of(&bytes))
}

/// Bytes that nobody can guess.
pub(crate) fn random_bytes() -> Result<[u8; TOKEN_BYTES]> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| ApiError::Internal(Box::new(error)))?;
    Ok(bytes)
}

/// The token of these bytes and its hash.
pub(crate) fn token_of(bytes: &[u8; TOKEN_BYTES]) -> (TokenSecret, TokenHash) {
    let token = format!("{TOKEN_PREFIX}{}", hex::encode(bytes));
    let hash = TokenHash::of(&token);
    (TokenSecret::new(token), hash)
}

/// Whether two secrets are equal, in a time that does not depend on their content.
pub(crate) fn same_secret(one: &str, other: &str) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    digest(one).as_slice().ct_eq(digest(other).as_slice()).into()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_a_whole_token_is_looked_up() {
        let (token, _) = new_token().unwrap();
        let token = token.expose();
        assert_eq!(bearer(&headers(&format!("Bearer {token}"))), Some(token));
        assert_eq!(bearer(&headers(&format!("bearer {token}"))), Some(token));
        let upper = format!("{TOKEN_PREFIX}{}", token[4..].to_uppercase());
        for bad in [
            token.to_owned(),
            format!("Basic {token}"),
            format!("Bearer {}", &token[4..]),
            format!("Bearer {}", &token[..67]),
            format!("Bearer {token}0"),
            format!("Bearer {upper}"),
            "Bearer ".to_owned(),
        ] {
            assert_eq!(bearer(&headers(&bad)), None, "{bad}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(new_token().unwrap().0, new_token().unwrap().0);
    }

    #[test]
    fn secrets_are_compared_whole() {
        assert!(same_secret("correct horse", "correct horse"));
        for wrong in ["", "correct", "correct horse ", "correct horsf"] {
            assert!(!same_secret(wrong, "correct horse"), "{wrong}");
        }
    }
}
