//! Releases that somebody keeps, and what a cache must keep.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use slipway_domain::{PrincipalName, StorePath};

/// `POST /releases/{id}/keep`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeepRelease {
    /// Until when; for ever when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// That a release is kept: no cache collects its closures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeptRelease {
    /// Who said so.
    pub by: PrincipalName,
    /// When.
    pub at: DateTime<Utc>,
    /// Until when; for ever when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The most releases of an environment that `GET /release-roots` takes.
pub const MAX_LAST: u32 = 100;
/// Those that it takes when nothing is said.
pub const DEFAULT_LAST: u32 = 3;
/// The most days for which a new release is in use.
pub const MAX_DAYS: u32 = 3650;
/// Those days when nothing is said.
pub const DEFAULT_DAYS: u32 = 14;

/// The most closures that `GET /release-roots` answers with. With more it is an error, since a part would cost hosts theirs.
pub const MAX_ROOTS: u32 = 200_000;

/// The query of `GET /release-roots`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct RootsQuery {
    /// How many of the releases that succeeded last in each environment count as in use; 3 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
    /// For how many days a new release counts as in use; 14 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// Everything that a cache must keep, as of one moment. What it references is to be kept as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseRoots {
    /// That moment.
    pub at: DateTime<Utc>,
    /// Each closure once, by its path.
    pub roots: Vec<ReleaseRoot>,
}

/// A closure in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseRoot {
    /// Its path.
    pub closure: StorePath,
    /// Why, at least one of: `running`, `prior`, `rollout` (an open one), `recent` (a release that succeeded), `new`, `kept`.
    pub why: Vec<String>,
}
