//! Events and the head of their chain.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use slipway_domain::event::NewEvent;
use slipway_domain::{HostName, RolloutRef};

/// An event in its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Its number, from 1 without gaps.
    pub number: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// What, who and why.
    #[serde(flatten)]
    pub event: NewEvent,
    /// SHA-256 over the event before and this one, 64 hex digits.
    pub hash: String,
    /// The host's name when it is about one, for people; the chain covers the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<HostName>,
    /// The number of the rollout when it is about one, for people; the chain covers the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_number: Option<u64>,
}

/// `GET /events` and `GET /rollouts/{id}/events`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Only events with a greater number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// 1 to 500; 50 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only events with a smaller number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// Whether the newest comes first. Then nothing waits for news.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub newest_first: bool,
    /// Only events of this kind, such as `rollout.state`, or of all kinds that begin so, such as `rollout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only what somebody of this name did: a principal, or a host by its agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Only events about this host. Not of a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Only events of this rollout: its number, its id or another reference. Its own list has no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    pub rollout: Option<RolloutRef>,
}

/// `GET /audit/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditReport {
    /// Whether every hash and every seal is right, and everything is as the events decided.
    pub whole: bool,
    /// How many events were checked.
    pub events: i64,
    /// The newest event's hash, 64 hex digits: note it down, and a cut-off end shows too.
    pub head: String,
    /// The first event that is wrong; none when there should be one.
    pub broken_at: Option<i64>,
    /// What is wrong with it.
    pub problem: Option<String>,
    /// Always 0: a seal that cannot be checked is broken. For programs of the release before, which read it.
    pub unsealed: i64,
    /// Events sealed with a key of `SECRET_KEY_EARLIER`.
    #[serde(default)]
    pub sealed_earlier: i64,
    /// Things whose event is of a release before digests: only that they were made is proved, not how they look.
    #[serde(default)]
    pub undigested: i64,
    /// The keys that sealed the events, in the order of their events. Control planes from before key lists leave it out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<SealKeyUse>,
}

/// A key with the events that it sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SealKeyUse {
    /// Names the key without giving it away: 64 hex digits.
    pub id: String,
    /// The number of the first event.
    pub first: i64,
    /// The number of the last one.
    pub last: i64,
}
