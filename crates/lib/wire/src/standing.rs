//! The fleet at a glance: how many hosts stand how, and the worst of them first.

use serde::{Deserialize, Serialize};
use slipway_domain::{EnvironmentName, HostName, Standing};

use crate::fleet::Host;
use crate::release::ReleaseLabel;

/// `GET /fleet`: the hosts that the token may see, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fleet {
    /// By environment, standing and release, in this order.
    pub counts: Vec<HostCount>,
}

/// How many hosts of an environment stand so and run this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostCount {
    /// Where.
    pub environment: EnvironmentName,
    /// How they stand.
    pub standing: Standing,
    /// The release that brought what is live; none where no rollout did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseLabel>,
    /// How many.
    pub hosts: u32,
    /// How many of them drift. Some of these stand worse.
    #[serde(default)]
    pub drifting: u32,
}

/// Which hosts `GET /fleet/hosts` shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct FleetHostsQuery {
    /// Only those of this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// Only those that stand so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// Only those that a person should look at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attention: bool,
    /// At most 10 words; each must be part of the name, of a label such as `role=db`, or of the path that is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Passes over so many. Hosts change how they stand, so whoever needs all of them reads `GET /hosts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<u32>,
    /// 1 to 500; 50 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Some hosts, the worst first, and then by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FleetHosts {
    /// How many there are of what was asked for.
    pub total: u32,
    /// Those of this page.
    pub items: Vec<Host>,
}

/// How a host stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostStanding {
    /// Its name.
    pub name: HostName,
    /// The environment it belongs to.
    pub environment: EnvironmentName,
    /// How it stands.
    pub standing: Standing,
}
