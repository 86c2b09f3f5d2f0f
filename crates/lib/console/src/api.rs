//! Requests to the API's router, within the process.

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{Extensions, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use slipway_wire::access::TokenSecret;
use slipway_wire::header::IDEMPOTENCY_KEY;
use slipway_wire::page::{MAX_LIMIT, Page};
use slipway_wire::problem::{self, FieldProblem, Problem};
use tower::ServiceExt;

use crate::query::Query;

/// The most pages of a list that one page of the console reads: 20,000 entries.
const MAX_PAGES: usize = 40;

/// What the browser's request brought along, for the API's layers: the client's address and the request's id.
#[derive(Debug, Clone)]
pub struct PageRequest(pub Extensions);

/// What an answer of the API keeps while it is in memory, such as its place among those that may be long. A page that passes it
/// on keeps this too.
#[derive(Debug, Clone)]
pub struct UntilSent(#[expect(dead_code, reason = "it is kept and then dropped")] Arc<dyn Any + Send + Sync>);

/// Bytes of an answer with what they keep.
struct Kept<T> {
    bytes: T,
    _kept: UntilSent,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Kept<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl UntilSent {
    /// Keeps this.
    pub fn new(kept: impl Any + Send + Sync) -> Self {
        Self(Arc::new(kept))
    }

    /// Gives it to the bytes. A server drops a body as soon as it has taken its last bytes, which may wait in memory for a
    /// client that reads slowly.
    pub fn keep(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Kept { bytes, _kept: self })
    }
}

/// The API, as one person may use it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    router: Router,
    token: Option<TokenSecret>,
    request: PageRequest,
}

/// The answer of a request that was refused or failed.
#[derive(Debug)]
pub(crate) struct Refused(Box<Problem>);
pub(crate) type Answer<T> = Result<T, Refused>;

impl Api {
    pub(crate) const fn new(router: Router, token: Option<TokenSecret>, request: PageRequest) -> Self {
        Self {
            router,
            token,
            request,
        }
    }

    /// The same, with another token.
    pub(crate) fn with_token(&self, token: TokenSecret) -> Self {
        Self {
            token: Some(token),
            ..self.clone()
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Answer<T> {
        self.send(Method::GET, path, None::<&()>, None).await
    }

    /// The same of what may be long, with what its answer keeps.
    pub(crate) async fn get_long<T: DeserializeOwned>(&self, path: &str) -> Answer<(T, Option<UntilSent>)> {
        let (bytes, mut extensions) = self.ask(Method::GET, path, None::<&()>, None).await?;
        Ok((read(&bytes)?, extensions.remove()))
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        once: Option<&str>,
    ) -> Answer<T> {
        self.send(Method::POST, path, Some(body), once).await
    }

    pub(crate) async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Answer<T> {
        self.send(Method::PATCH, path, Some(body), None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer<()> {
        self.ask(Method::DELETE, path, None::<&()>, None).await.map(drop)
    }

    /// All entries of a list, as far as one page of the console reads.
    pub(crate) async fn list<T: DeserializeOwned>(&self, list: &Query) -> Answer<Vec<T>> {
        let list = list.clone().with("limit", MAX_LIMIT);
        let mut all = Vec::new();
        let mut after = None;
        for _ in 0..MAX_PAGES {
            let page: Page<T> = self.get(&list.clone().with_some("after", after)).await?;
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(all)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        once: Option<&str>,
    ) -> Answer<T> {
        let (bytes, _) = self.ask(method, path, body, once).await?;
        read(&bytes)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        once: Option<&str>,
    ) -> Answer<(Bytes, Extensions)> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .extension(self.request.clone());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, bearer(token)?);
        }
        if let Some(key) = once {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let body = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Body::from(serde_json::to_vec(body).map_err(|error| internal(&error))?)
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|_| unsendable())?;
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.map_err(|error| internal(&error))?.to_bytes();
        if parts.status.is_success() {
            return Ok((bytes, parts.extensions));
        }
        let mut refused: Problem = serde_json::from_slice(&bytes).map_err(|error| internal(&error))?;
        refused.detail = without_commands(&refused.detail);
        if let Some(seconds) = parts
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
        {
            refused.detail = format!("{} Try again in {seconds} s.", sentence(&refused.detail));
        }
        Err(Refused(Box::new(refused)))
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    serde_json::from_slice(bytes).map_err(|error| internal(&error))
}

impl Refused {
    /// The same in words of a form that takes tokens. The API's are for programs, which send them in a header.
    pub(crate) fn of_a_token(self, field: &str) -> Self {
        if self.status == StatusCode::UNAUTHORIZED {
            let said = "this token does not work: it is not whole, was revoked, or has ended";
            return plain(problem::kind::UNAUTHENTICATED, StatusCode::UNAUTHORIZED, said).at(field);
        }
        self
    }

    /// The same, told at a field of the form.
    pub(crate) fn at(mut self, field: &str) -> Self {
        if self.0.fields.is_empty() {
            let detail = self.0.detail.clone();
            self.0.fields.push(FieldProblem {
                field: field.to_owned(),
                detail,
            });
        }
        self
    }
}

impl Deref for Refused {
    type Target = Problem;

    fn deref(&self) -> &Problem {
        &self.0
    }
}

/// The words without what to type on a command line: a page has links for it.
pub(crate) fn without_commands(text: &str) -> String {
    let (text, _) = text.split_once(": slipway ").unwrap_or((text, ""));
    let clauses = text.split("; ");
    let kept: Vec<&str> = clauses
        .filter(|clause| !clause.starts_with("`slipway "))
        .collect();
    if kept.is_empty() {
        text.to_owned()
    } else {
        kept.join("; ")
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim_end_matches(['.', ' ']);
    format!("{text}.")
}

/// The header with the token that somebody pasted or that the cookie has.
fn bearer(token: &TokenSecret) -> Answer<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| {
        plain(
            problem::kind::UNAUTHENTICATED,
            StatusCode::UNAUTHORIZED,
            "a token is one word without line breaks; paste it whole",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a browser sent makes no request: it is too long for a path, or has characters that no header can have.
fn unsendable() -> Refused {
    plain(
        problem::kind::INVALID,
        StatusCode::UNPROCESSABLE_ENTITY,
        "what was sent is too long, or has characters that it cannot have; load the page again",
    )
}

/// A fault of the console's own: the API gave what it cannot read.
fn internal(error: &(dyn std::error::Error + 'static)) -> Refused {
    tracing::error!(error, "a page could not read an answer of the API");
    plain(
        problem::kind::INTERNAL,
        StatusCode::INTERNAL_SERVER_ERROR,
        "the page could not be made; the server's log has the cause",
    )
}

/// A problem of the console's own.
pub(crate) fn plain(kind: &str, status: StatusCode, detail: impl Into<String>) -> Refused {
    Refused(Box::new(Problem {
        kind: format!("{}{kind}", problem::TYPE_PREFIX),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        detail: detail.into(),
        request_id: None,
        fields: Vec::new(),
        nothing_done: false,
    }))
}

/// What was sent cannot be read, or means nothing.
pub(crate) fn invalid(detail: impl Into<String>) -> Refused {
    plain(problem::kind::INVALID, StatusCode::UNPROCESSABLE_ENTITY, detail)
}

/// What no path and no query takes as more than itself: the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A value in a path or a query.
pub(crate) fn escape(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stay_legible_and_whole() {
        assert_eq!(escape("web-1.v1_4~x"), "web-1.v1_4~x");
        assert_eq!(escape("a/b?c=d&e#f %"), "a%2Fb%3Fc%3Dd%26e%23f%20%25");
    }

    #[test]
    fn a_page_tells_of_no_commands() {
        let told = "there is no host `web-9`; `slipway host list` shows those that there are";
        assert_eq!(without_commands(told), "there is no host `web-9`");
        assert_eq!(
            without_commands("let an admin permit it: slipway env set prod"),
            "let an admin permit it"
        );
        assert_eq!(without_commands("one; and two"), "one; and two");
        assert_eq!(without_commands("`slipway x` does it"), "`slipway x` does it");
    }
}
