//! Extractors whose rejections are problem documents that name the field and the cure.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use slipway_wire::page::{DEFAULT_LIMIT, MAX_LIMIT};
use slipway_wire::problem::FieldProblem;

use crate::error::{ApiError, MAX_BODY_BYTES, MAX_DOCUMENT_BODY_BYTES, MAX_LONG_BODY_BYTES, Result};
use crate::json::Strict;
use crate::room::Place;
use crate::state::App;

/// The longest that a request may wait for news, in seconds.
pub const MAX_WAIT_SECONDS: u64 = 30;

/// A JSON body of at most so many bytes.
#[derive(Debug)]
pub struct JsonBody<T, const MOST: usize = MAX_BODY_BYTES>(pub T);

/// For the few bodies that may be long.
pub type LongJsonBody<T> = JsonBody<T, MAX_LONG_BODY_BYTES>;

impl<T: DeserializeOwned, S: Send + Sync, const MOST: usize> FromRequest<S> for JsonBody<T, MOST> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let length = json_length(request.headers(), MOST)?;
        let bytes = read_body(request, length, MOST).await?;
        parse(&bytes).map(Self)
    }
}

/// The body with a document, not yet read as JSON. It has its place before anything of it is in memory.
#[derive(Debug)]
pub(crate) struct DocumentBody {
    pub(crate) bytes: Bytes,
    pub(crate) place: Place,
}

impl FromRequest<App> for DocumentBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let length = json_length(request.headers(), MAX_DOCUMENT_BODY_BYTES)?;
        let place = app.documents.held.place().await?;
        let bytes = read_body(request, length, MAX_DOCUMENT_BODY_BYTES).await?;
        Ok(Self { bytes, place })
    }
}

/// No body, or an empty object: the route has nothing to ask.
#[derive(Debug)]
pub struct NoBody;

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Empty {}

        let is_json = is_json(request.headers());
        let length = announced(request.headers(), MAX_BODY_BYTES)?;
        let bytes = read_body(request, length, MAX_BODY_BYTES).await?;
        if bytes.is_empty() {
            return Ok(Self);
        }
        if !is_json {
            return Err(ApiError::MediaType);
        }
        parse::<Empty>(&bytes).map(|Empty {}| Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("application/json")
}

/// The length that is announced of a body with JSON.
fn json_length(headers: &HeaderMap, most: usize) -> Result<usize> {
    if !is_json(headers) {
        return Err(ApiError::MediaType);
    }
    announced(headers, most)
}

/// The length that is announced, if it may be so long; 0 where none is.
fn announced(headers: &HeaderMap, most: usize) -> Result<usize> {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or_default();
    if length > most {
        return Err(ApiError::TooLarge(most));
    }
    Ok(length)
}

/// Reads the body up to the limit, whatever its announced length.
async fn read_body(request: Request, length: usize, most: usize) -> Result<Bytes> {
    let mut body = request.into_body();
    let mut kept = Vec::with_capacity(length);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "the body was cut short");
            ApiError::Malformed("the body was cut short; send it again".to_owned(), Vec::new())
        })?;
        let Some(data) = frame.data_ref() else { continue };
        if kept.len() + data.len() > most {
            return Err(ApiError::TooLarge(most));
        }
        kept.extend_from_slice(data);
    }
    Ok(kept.into())
}

pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if bytes.is_empty() {
        return Err(ApiError::Malformed(
            "the body is empty; send a JSON object".to_owned(),
            Vec::new(),
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Strict(&mut reader)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if !inner.is_data() {
            return ApiError::Malformed(format!("the body is not JSON: {inner}"), Vec::new());
        }
        // A key that could not be read has no name: `?`. `.` is the whole body.
        let path = path.strip_suffix(".?").unwrap_or(&path).to_owned();
        if path == "." || path == "?" {
            return ApiError::Malformed(format!("the body is not of the right form: {inner}"), Vec::new());
        }
        let field = FieldProblem {
            field: path,
            detail: inner.to_string(),
        };
        ApiError::Malformed(format!("{}: {}", field.field, field.detail), vec![field])
    })?;
    reader.end().map_err(|error| {
        ApiError::Malformed(format!("the body goes on after its JSON: {error}"), Vec::new())
    })?;
    Ok(value)
}

/// The one parameter of the path.
#[derive(Debug)]
pub struct PathParam<T>(pub T);

impl<T, S> FromRequestParts<S> for PathParam<T>
where
    T: FromStr,
    T::Err: Display,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let malformed = |detail: String| ApiError::Malformed(detail, Vec::new());
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|rejection| malformed(format!("the path cannot be read: {}", rejection.body_text())))?;
        let (name, value) = params
            .iter()
            .next()
            .ok_or_else(|| ApiError::Internal("the route has no path parameter".into()))?;
        value.parse().map(Self).map_err(|error: T::Err| {
            let field = FieldProblem {
                field: name.to_owned(),
                detail: error.to_string(),
            };
            ApiError::Malformed(field.detail.clone(), vec![field])
        })
    }
}

/// The parameters after the question mark.
#[derive(Debug)]
pub struct QueryParams<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Query(query) = Query::try_from_uri(&parts.uri).map_err(|rejection| {
            let text = rejection.body_text();
            let detail = text.split_once(": ").map_or(text.as_str(), |(_, detail)| detail);
            ApiError::Malformed(format!("the query cannot be read: {detail}"), Vec::new())
        })?;
        Ok(Self(query))
    }
}

/// The entries of a page that were asked for, checked.
pub fn page_limit(limit: Option<u32>) -> Result<u32> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit)
    } else {
        Err(ApiError::field(
            "limit",
            format!("{limit} is out of range; use 1 to {MAX_LIMIT}"),
        ))
    }
}

/// How long the client would wait for news: `Prefer: wait=N` (RFC 7240), at most [`MAX_WAIT_SECONDS`].
///
/// An unknown preference is ignored, as the RFC demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub Option<u64>);

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

impl Wait {
    fn of(headers: &HeaderMap) -> Self {
        let seconds = headers
            .get_all(PREFER)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split([',', ';']))
            .filter_map(|preference| preference.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
            .and_then(|(_, value)| value.trim().trim_matches('"').parse::<u64>().ok());
        Self(
            seconds
                .map(|seconds| seconds.min(MAX_WAIT_SECONDS))
                .filter(|seconds| *seconds > 0),
        )
    }

    /// The wait that ends before requests are cut off.
    #[must_use]
    pub fn within(self, request_timeout: Duration) -> Self {
        let most = request_timeout.as_secs().saturating_sub(1);
        Self(
            self.0
                .map(|seconds| seconds.min(most))
                .filter(|seconds| *seconds > 0),
        )
    }

    /// The wait as a duration.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        self.0.map(Duration::from_secs)
    }

    /// What the answer says about it.
    #[must_use]
    pub fn applied(self) -> Option<[(HeaderName, HeaderValue); 1]> {
        let value = HeaderValue::from_str(&format!("wait={}", self.0?)).ok()?;
        Some([(PREFERENCE_APPLIED, value)])
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_read_as_the_rfc_writes_it() {
        for (value, seconds) in [
            ("wait=30", Some(30)),
            ("wait=31", Some(30)),
            ("respond-async, Wait=10", Some(10)),
            ("wait=\"5\"", Some(5)),
            ("wait=0", None),
            ("wait=-1", None),
            ("wait=soon", None),
            ("wait", None),
        ] {
            let headers = HeaderMap::from_iter([(PREFER, HeaderValue::from_static(value))]);
            assert_eq!(Wait::of(&headers), Wait(seconds), "{value}");
        }
    }

    #[test]
    fn a_wait_ends_before_the_request_is_cut_off() {
        assert_eq!(Wait(Some(30)).within(Duration::from_secs(10)), Wait(Some(9)));
        assert_eq!(Wait(Some(30)).within(Duration::from_secs(1)), Wait(None));
        assert_eq!(Wait(Some(30)).within(Duration::from_mins(2)), Wait(Some(30)));
    }
}
