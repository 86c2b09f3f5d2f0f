//! Errors on the wire: RFC 9457 problem documents (`application/problem+json`).

use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Every `type` begins with this; the part after it is stable and names the kind.
pub const TYPE_PREFIX: &str = "urn:slipway:problem:";

/// An error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `urn:slipway:problem:` and one of the kinds in [`kind`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words; the same for every error of the kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong this time, and what to do. Constant for 5xx.
    pub detail: String,
    /// The request's id, to be found in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Fields of the request that were wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// Whether nothing of the request was done, so that it can be sent again whatever it asks for. Only a 503 says so, and
    /// only a server that knows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nothing_done: bool,
}

/// One field that was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldProblem {
    /// Where, such as `strategy.verify.passes`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub detail: String,
}

impl Problem {
    /// The kind without its prefix.
    #[must_use]
    pub fn short_kind(&self) -> &str {
        self.kind.strip_prefix(TYPE_PREFIX).unwrap_or(&self.kind)
    }
}

/// The stable kinds, without the prefix.
pub mod kind {
    /// 400: not JSON, or not of the form that the route takes.
    pub const MALFORMED: &str = "malformed-request";
    /// 422: of the right form, but not possible.
    pub const INVALID: &str = "invalid-request";
    /// 401: no token, or one that is unknown, revoked or expired.
    pub const UNAUTHENTICATED: &str = "unauthenticated";
    /// 403: the token may not do this.
    pub const FORBIDDEN: &str = "forbidden";
    /// 404: no such thing, or no such route.
    pub const NOT_FOUND: &str = "not-found";
    /// 405.
    pub const METHOD_NOT_ALLOWED: &str = "method-not-allowed";
    /// 409: it does not fit what is there, such as a name that is taken.
    pub const CONFLICT: &str = "conflict";
    /// 409: another rollout of the environment is under way.
    pub const ENVIRONMENT_BUSY: &str = "environment-busy";
    /// 409: the rollout's state does not take this command.
    pub const WRONG_STATE: &str = "wrong-state";
    /// 409: an agent's observation is older than what is known of its host.
    pub const OLD_OBSERVATION: &str = "old-observation";
    /// 409: two machines use one host's token.
    pub const TWO_LIVES: &str = "two-lives";
    /// 408: the request took longer than the server's limit.
    pub const TIMEOUT: &str = "timeout";
    /// 413: the body is over the limit.
    pub const TOO_LARGE: &str = "body-too-large";
    /// 431: the request's header is over the limit.
    pub const HEADER_TOO_LARGE: &str = "header-too-large";
    /// 415: the body is not `application/json`.
    pub const MEDIA_TYPE: &str = "unsupported-media-type";
    /// 429: too many failed logins from this address; see `Retry-After`.
    pub const TOO_MANY_FAILURES: &str = "too-many-failures";
    /// 503: the database is away or too many requests wait; see `Retry-After`.
    pub const UNAVAILABLE: &str = "unavailable";
    /// 500: the log has the cause under the request id.
    pub const INTERNAL: &str = "internal";
}
