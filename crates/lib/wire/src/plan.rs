//! What releases change on hosts, as their agents reported it in staging.

use serde::{Deserialize, Serialize};
use slipway_domain::digest::Digest;
use slipway_domain::{
    EnvironmentName, HostName, HostPlan, PlanReport, ReleaseId, RolloutId, RolloutState, StepState,
};

use crate::release::ReleaseLabel;

/// What a rollout changes on its hosts. An approval names the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutHostPlans {
    /// The rollout.
    pub rollout: RolloutId,
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub release: ReleaseId,
    /// Where it stands.
    pub state: RolloutState,
    /// Over all its hosts: their closures, and their plans as far as they are known now.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
    /// The digest that was approved, once one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub approved: Option<Digest>,
    /// The plans, each with all its hosts. The plan of most hosts is the first.
    pub plans: Vec<SharedPlan>,
    /// The hosts whose plans are not known.
    pub unknown: Vec<UnplannedHost>,
    /// The rollout's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_number: Option<u64>,
    /// The release as people say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_label: Option<ReleaseLabel>,
    /// Why whoever asks cannot approve the rollout although the role is enough: it is their own, or its author and they are
    /// related. Only while it waits for an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_refused: Option<String>,
}

impl RolloutHostPlans {
    /// The hosts that are online and have not fetched their closure yet. While there are any, no approval is taken: their
    /// plans would change the digest.
    pub fn still_fetching(&self) -> impl Iterator<Item = &HostName> {
        let fetches = |host: &&UnplannedHost| host.online && host.is_fetching();
        self.unknown.iter().filter(fetches).map(|host| &host.host)
    }
}

/// What a release changes on its hosts, as far as any staging has told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseHostPlans {
    /// The release.
    pub release: ReleaseId,
    /// The plans, each with all its hosts. The plan of most hosts is the first.
    pub plans: Vec<SharedPlan>,
    /// The hosts that have not fetched their closure yet, or whose agent reports no plans.
    pub unknown: Vec<UnplannedHost>,
    /// The release as people say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_label: Option<ReleaseLabel>,
}

/// A plan with the hosts that have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SharedPlan {
    /// Its digest.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
    /// The plan. Left out where many hosts have different ones: `GET /host-plans/{digest}` has each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<HostPlan>,
    /// Its hosts, by name.
    pub hosts: Vec<PlannedChangeOf>,
}

/// A host of a plan, with what differs between equal hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedChangeOf {
    /// The host.
    pub host: HostName,
    /// The digest again, and the sizes of its closures.
    pub report: PlanReport,
}

/// A host whose plan is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnplannedHost {
    /// The host.
    pub host: HostName,
    /// Where its step stands; none where it has no step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StepState>,
    /// Whether it was heard of lately.
    pub online: bool,
}

impl UnplannedHost {
    /// Whether its closure is still to be fetched.
    #[must_use]
    pub const fn is_fetching(&self) -> bool {
        match self.state {
            None => true,
            Some(state) => state.is_fetching(),
        }
    }
}
