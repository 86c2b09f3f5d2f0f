//! What the switch scripts and hooks of attempts print.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use slipway_domain::{AttemptId, HostName};

/// The most bytes of output that a piece stands for.
pub const MAX_PIECE_BYTES: u64 = 16 * 1024;
/// The most bytes of a piece's text: a byte that is no text may become a longer mark.
pub const MAX_PIECE_TEXT: usize = 2 * 16 * 1024;
/// Characters of a job's name: what it is for and a number.
pub const MAX_JOB_CHARS: usize = 40;
/// The furthest place in an output: JSON has no greater number that every program reads.
pub const MAX_POSITION: u64 = 1 << 53;
/// The most characters of what is searched for.
pub const MAX_SEARCH_CHARS: usize = 200;

/// `POST /agent/output`: the next piece of what a job of an attempt printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutputPiece {
    /// The attempt.
    pub attempt: AttemptId,
    /// The job: what it is for and its number, such as `activate-1` or `before-activate-2`.
    pub job: String,
    /// Where the piece begins in the job's output, in bytes.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// How many bytes between the piece before and this one are not sent: the job printed too much.
    #[serde(default)]
    pub skipped: u64,
    /// The text.
    pub text: String,
}

/// How far the control plane knows a job's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutputKnown {
    /// Where the next piece begins, in bytes.
    pub next: u64,
    /// Whether nothing more of this host is kept, so that nothing more need be sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
}

/// A piece of what a job printed, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Output {
    /// Its number within the rollout, from 1. Pieces of hosts that print at once are mixed, those of one job are in order.
    pub number: i64,
    /// When the control plane took it.
    pub at: DateTime<Utc>,
    /// The host.
    pub host: HostName,
    /// The attempt: a host that is tried again has another one.
    pub attempt: AttemptId,
    /// The job, such as `activate-1`.
    pub job: String,
    /// The plain text: lines without control characters. With `search` only the lines that have it.
    pub text: String,
    /// How many bytes before it were left out, since the job printed too much.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub skipped: u64,
    /// Whether nothing of this host is kept from here on: its share of what is kept of a rollout is used up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// `GET /rollouts/{id}/output`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct OutputQuery {
    /// Only pieces with a greater number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// 1 to 500; 50 when left out. A page ends early at 256 KiB of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only what this host's jobs printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Only lines that contain this text; upper and lower case are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Whether the newest comes first. Then nothing waits for news.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub newest_first: bool,
}
