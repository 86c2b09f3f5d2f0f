//! Health.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All is well.
    Ok,
    /// It serves, with something missing that it can do without.
    Degraded,
    /// It cannot serve.
    Down,
}

/// `GET /monitoring/health`: 200 unless the status is `down`, then 503.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// The worst of what follows, where a dependency that can be done without counts as degraded.
    pub status: Status,
    /// The server's version.
    pub version: String,
    /// Each dependency: `database`, `redis`, `workers`.
    pub dependencies: BTreeMap<String, Dependency>,
}

/// One dependency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Dependency {
    /// How well it is.
    pub status: Status,
    /// How long it took to answer, in milliseconds.
    pub latency_ms: Option<u64>,
    /// What that means and what to do, when it is not well. Never an address or a secret.
    pub detail: Option<String>,
}
