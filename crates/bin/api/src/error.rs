//! One error type for every handler, and its one mapping to problem documents.
//!
//! A 4xx says what was wrong and what to do. A 5xx says the same every time; its cause goes to the log, once, where the
//! response leaves the server (`observe`).

use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use slipway_domain::HostName;
use slipway_store::StoreError;
use slipway_telemetry::error_chain;
use slipway_wire::Problem;
use slipway_wire::attachment::MAX_DOCUMENT_BYTES;
use slipway_wire::problem::{FieldProblem, MEDIA_TYPE, TYPE_PREFIX, kind};

use crate::observe::MAX_HEADER_BYTES;
use crate::text::shorten;

/// What handlers return.
pub type Result<T, E = ApiError> = std::result::Result<T, E>;

/// What went wrong with a request.
#[derive(Debug)]
pub enum ApiError {
    /// 400: not JSON, or not of the form that the route takes.
    Malformed(String, Vec<FieldProblem>),
    /// 422: of the right form, but not possible.
    Invalid(String, Vec<FieldProblem>),
    /// 401. The same text for every wrong token, so that it reveals nothing.
    Unauthenticated,
    /// 401 at the login.
    WrongPassword,
    /// 401 at the end of a sign-in through a provider.
    SignInFailed(String),
    /// 403.
    Forbidden(String),
    /// 404.
    NotFound(String),
    /// 405.
    MethodNotAllowed,
    /// 409: it conflicts with the present state, such as a name that is taken.
    Conflict(String),
    /// 409: another rollout is under way.
    EnvironmentBusy(String),
    /// 409: the rollout's state does not take the command.
    WrongState(String),
    /// 409: an observation that is not news.
    OldObservation(String),
    /// 409: two machines speak for one host.
    TwoLives(String),
    /// 408.
    Timeout(Duration),
    /// 413.
    TooLarge(usize),
    /// 431.
    HeaderTooLarge,
    /// 415.
    MediaType,
    /// 429: try again after so many seconds.
    TooManyFailures(u64),
    /// 503: try again after so many seconds. The cause, if any, is for the log.
    Unavailable(u64, Option<BoxError>),
    /// 503: the provider of sign-in does not answer. The cause is for the log.
    ProviderAway(BoxError),
    /// 500. The cause is for the log.
    Internal(BoxError),
}

/// Any cause.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The error behind a response, left in its extensions for whoever logs it.
#[derive(Debug, Clone)]
pub(crate) struct ResponseCause(pub(crate) Arc<ApiError>);

/// Seconds until another try when the database is away.
const DATABASE_RETRY_SECONDS: u64 = 2;
/// Seconds until another try when this version cannot read what the database holds.
const UNREADABLE_RETRY_SECONDS: u64 = 30;
/// Seconds until another try when the provider of sign-in is away.
const PROVIDER_RETRY_SECONDS: u64 = 5;
/// The limit on bodies: many times the largest release.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The longest body with a manifest: JSON may double what it quotes.
pub const MAX_LONG_BODY_BYTES: usize = 5 * MAX_BODY_BYTES;
/// The longest body with a document: JSON makes an indented one of the greatest length longer by less than half.
pub const MAX_DOCUMENT_BODY_BYTES: usize = MAX_DOCUMENT_BYTES + MAX_DOCUMENT_BYTES / 2;

/// Characters of a detail, and of a field's name: what a client sent wrong is repeated so far and no further.
const MAX_DETAIL: usize = 500;
const MAX_FIELD: usize = 120;
/// Fields that are told of in one answer.
const MAX_FIELDS: usize = 100;

impl ApiError {
    /// 422 about one field.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let problem = FieldProblem {
            field: field.into(),
            detail: detail.into(),
        };
        Self::Invalid(format!("{}: {}", problem.field, problem.detail), vec![problem])
    }

    /// 404 about a thing of this kind.
    pub fn no_such(what: &str, name: impl fmt::Display, cure: &str) -> Self {
        Self::NotFound(format!("there is no {what} `{name}`; {cure}"))
    }

    /// No other request may wait. The time to come back is somewhat random, so that those sent away do not all come
    /// back at once.
    pub(crate) fn crowded() -> Self {
        let mut byte = [0];
        // Without randomness all come back at the same time, which does no harm either.
        let _ = getrandom::fill(&mut byte);
        Self::Unavailable(
            2 + u64::from(byte[0] % 8),
            Some("too many requests wait already".into()),
        )
    }

    /// Status, kind and title.
    const fn class(&self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Malformed(..) => (S::BAD_REQUEST, kind::MALFORMED, "The request cannot be read"),
            Self::Invalid(..) => (
                S::UNPROCESSABLE_ENTITY,
                kind::INVALID,
                "The request is not possible",
            ),
            Self::Unauthenticated | Self::WrongPassword | Self::SignInFailed(_) => {
                (S::UNAUTHORIZED, kind::UNAUTHENTICATED, "Authentication is needed")
            }
            Self::Forbidden(_) => (S::FORBIDDEN, kind::FORBIDDEN, "The token may not do this"),
            Self::NotFound(_) => (S::NOT_FOUND, kind::NOT_FOUND, "There is no such thing"),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                kind::METHOD_NOT_ALLOWED,
                "The route does not take this method",
            ),
            Self::Conflict(_) => (S::CONFLICT, kind::CONFLICT, "It does not fit what is there"),
            Self::EnvironmentBusy(_) => (
                S::CONFLICT,
                kind::ENVIRONMENT_BUSY,
                "Another rollout is under way in the environment",
            ),
            Self::WrongState(_) => (
                S::CONFLICT,
                kind::WRONG_STATE,
                "The rollout's state does not take this command",
            ),
            Self::OldObservation(_) => (
                S::CONFLICT,
                kind::OLD_OBSERVATION,
                "Something newer of the host is known",
            ),
            Self::TwoLives(_) => (S::CONFLICT, kind::TWO_LIVES, "Two machines use one host's token"),
            Self::Timeout(_) => (S::REQUEST_TIMEOUT, kind::TIMEOUT, "The request took too long"),
            Self::TooLarge(_) => (S::PAYLOAD_TOO_LARGE, kind::TOO_LARGE, "The body is too large"),
            Self::HeaderTooLarge => (
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                kind::HEADER_TOO_LARGE,
                "The header is too large",
            ),
            Self::MediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                kind::MEDIA_TYPE,
                "The body must be JSON",
            ),
            Self::TooManyFailures(_) => (
                S::TOO_MANY_REQUESTS,
                kind::TOO_MANY_FAILURES,
                "Too many failed authentications",
            ),
            Self::Unavailable(..) | Self::ProviderAway(_) => (
                S::SERVICE_UNAVAILABLE,
                kind::UNAVAILABLE,
                "The service cannot answer now",
            ),
            Self::Internal(_) => (S::INTERNAL_SERVER_ERROR, kind::INTERNAL, "The server failed"),
        }
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.class().0
    }

    fn detail(&self) -> String {
        match self {
            Self::Malformed(detail, _)
            | Self::Invalid(detail, _)
            | Self::SignInFailed(detail)
            | Self::Forbidden(detail)
            | Self::NotFound(detail)
            | Self::Conflict(detail)
            | Self::EnvironmentBusy(detail)
            | Self::WrongState(detail)
            | Self::OldObservation(detail)
            | Self::TwoLives(detail) => detail.clone(),
            Self::Unauthenticated => "the token is missing, malformed, unknown, revoked or expired; send \
                `Authorization: Bearer slw_…` with a token from `slipway login`, `slipway token create` or \
                `slipway host create`"
                .to_owned(),
            Self::WrongPassword => {
                "the name or the password is wrong; only `admin` has a password, the server's \
                ADMIN_PASSWORD; everybody else uses a token"
                    .to_owned()
            }
            Self::MethodNotAllowed => "the `Allow` header names the methods that the route takes".to_owned(),
            Self::Timeout(limit) => {
                format!(
                    "it took longer than {} s, and may be done all the same: look before you send it again; send less at once, or \
                     look whether the network is slow",
                    limit.as_secs()
                )
            }
            Self::TooLarge(most) => format!("send at most {most} bytes"),
            Self::HeaderTooLarge => {
                format!("send at most {MAX_HEADER_BYTES} bytes of header, target included")
            }
            Self::MediaType => "send JSON, with `Content-Type: application/json`".to_owned(),
            Self::TooManyFailures(seconds) => format!(
                "too many authentications failed from this address; try again in {seconds} s, with a token that works"
            ),
            Self::Unavailable(..) => "try again after the seconds in `Retry-After`; \
                /api/v1/monitoring/health shows what is missing"
                .to_owned(),
            Self::ProviderAway(_) => {
                "the provider of sign-in does not answer as it should, and the server's log says why; try \
                again, or sign in with a token"
                    .to_owned()
            }
            Self::Internal(_) => "the server's log has the cause under this request id".to_owned(),
        }
    }

    /// The problem document.
    #[must_use]
    pub fn problem(&self, request_id: Option<String>) -> Problem {
        let (status, kind, title) = self.class();
        let fields = match self {
            Self::Malformed(_, fields) | Self::Invalid(_, fields) => fields.as_slice(),
            _ => &[],
        };
        let mut detail = self.detail();
        shorten(&mut detail, MAX_DETAIL);
        if fields.len() > MAX_FIELDS {
            let _ = write!(
                detail,
                " (the first {MAX_FIELDS} of {} fields are told)",
                fields.len()
            );
        }
        let fields = fields.iter().take(MAX_FIELDS).cloned().map(|mut problem| {
            shorten(&mut problem.field, MAX_FIELD);
            shorten(&mut problem.detail, MAX_DETAIL);
            problem
        });
        Problem {
            kind: format!("{TYPE_PREFIX}{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
            request_id,
            fields: fields.collect(),
            nothing_done: false,
        }
    }

    /// What is for the log only, with all its sources.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Internal(cause) | Self::ProviderAway(cause) | Self::Unavailable(_, Some(cause)) => {
                Some(error_chain(&**cause))
            }
            _ => None,
        }
    }

    /// The response, with the request's id in its body.
    pub(crate) fn response(&self, request_id: Option<String>) -> Response {
        let body = serde_json::to_vec(&self.problem(request_id)).unwrap_or_default();
        let mut response = (self.status(), [(CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unauthenticated | Self::WrongPassword | Self::SignInFailed(_) => {
                headers.insert(
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"slipway\""),
                );
            }
            Self::TooManyFailures(seconds) | Self::Unavailable(seconds, _) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(*seconds));
            }
            Self::ProviderAway(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(PROVIDER_RETRY_SECONDS));
            }
            // The rest of the body would be read as the next request.
            Self::Timeout(_) | Self::TooLarge(_) | Self::HeaderTooLarge => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        use StoreError as E;
        let words = error.to_string();
        match error {
            E::NotFound { what, .. } => {
                let list = match what {
                    "host" => "; `slipway host list` shows those that there are",
                    "environment" => "; `slipway env list` shows those that there are",
                    "release" => "; `slipway release list` shows those that there are",
                    "kept release" => {
                        "; `slipway release show` says whether one is kept, and `slipway release keep` keeps it"
                    }
                    "rollout" => "; `slipway rollout list` shows those that there are",
                    "principal" => "; `slipway principal list` shows those that there are",
                    "token" => "; `slipway token list` shows those that there are",
                    "freeze" => ", or it is over; `slipway env show ENV` shows those that there are",
                    "destination" => "; `slipway destination list` shows those that there are",
                    "delivery" => {
                        ", or it was forgotten; `slipway destination deliveries NAME` shows those that there are"
                    }
                    "draft" => ", or it was sealed, or forgotten after a day; begin another",
                    _ => "",
                };
                Self::NotFound(format!("{words}{list}"))
            }
            E::NoneYet(_) | E::Unsigned { .. } => Self::NotFound(words),
            E::NameTaken { .. }
            | E::NameOfRetired { .. }
            | E::Retired { .. }
            | E::NotRetired { .. }
            | E::EnvironmentInUse { .. }
            | E::TooManyFreezes { .. }
            | E::TooManyDestinations { .. }
            | E::DestinationDisabled { .. }
            | E::NotDead { .. }
            | E::TooManyRoots { .. }
            | E::NoDrift { .. }
            | E::NotReleased { .. }
            | E::LabelsChanged { .. }
            | E::DraftIncomplete { .. }
            | E::ReleaseExists { .. }
            | E::NumberUsed { .. }
            | E::NumberPassed { .. }
            | E::OtherEnvironment { .. }
            | E::DocumentChanged(_)
            | E::ReleaseExpired { .. } => Self::Conflict(words),
            E::Ambiguous { what, candidates, .. } => {
                let field = |detail| FieldProblem {
                    field: what.to_owned(),
                    detail,
                };
                Self::Invalid(words, candidates.into_iter().map(field).collect())
            }
            // Nobody typed `id`: the detail alone says it, and names no field.
            E::NoEnvironment => {
                let field = FieldProblem {
                    field: "id".to_owned(),
                    detail: words.clone(),
                };
                Self::Invalid(words, vec![field])
            }
            E::KeptUntilPast { .. } => Self::field("until", words),
            E::TooManyLabels { .. } => Self::field("labels", words),
            E::UnknownHosts { names, problem } => {
                let field = |name: &HostName| FieldProblem {
                    field: format!("closures.{name}"),
                    detail: problem.clone(),
                };
                Self::Invalid(words, names.iter().map(field).collect())
            }
            E::NoHosts { .. } => Self::field("release", words),
            E::EnvironmentBusy { .. } | E::HostBusy { .. } => Self::EnvironmentBusy(words),
            E::CommandRefused { .. }
            | E::DriftMoved { .. }
            | E::HostChanging { .. }
            | E::PlanMoved { .. }
            | E::PlanUnknown { .. }
            | E::Tampered(_) => Self::WrongState(words),
            E::SelfApproval | E::RelatedApproval { .. } | E::ActorDisabled { .. } => Self::Forbidden(words),
            E::TokenEnded => Self::Unauthenticated,
            E::SignInUsed => Self::SignInFailed(words),
            E::TokenWider(wider) => Self::field(format!("limits.{}", wider.field), words),
            E::OldObservation { .. } => Self::OldObservation(words),
            E::TwoLives { .. } => Self::TwoLives(words),
            E::Unstorable(_) => Self::Invalid(words, Vec::new()),
            E::Unavailable(_) | E::LoginRefused { .. } => {
                Self::Unavailable(DATABASE_RETRY_SECONDS, Some(Box::new(error)))
            }
            // Most likely a newer version wrote it, which can or will soon answer.
            E::Corrupt { .. } => Self::Unavailable(UNREADABLE_RETRY_SECONDS, Some(Box::new(error))),
            _ => Self::Internal(Box::new(error)),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.response(None);
        response.extensions_mut().insert(ResponseCause(Arc::new(self)));
        response
    }
}
