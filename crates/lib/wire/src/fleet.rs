//! Environments and hosts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use slipway_domain::agent::AttemptReport;
use slipway_domain::digest::Digest;
use slipway_domain::drift::{self, Drift};
use slipway_domain::event::Actor;
use slipway_domain::strategy::strict;
use slipway_domain::{
    AttemptId, EnvironmentName, Freeze, Hold, HostName, ReleaseId, RolloutId, Standing, StepState, StorePath,
    Strategy, Window,
};

use crate::access::TokenCreated;
use crate::release::ReleaseLabel;

/// `POST /environments`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateEnvironment {
    /// Its name.
    pub name: EnvironmentName,
    /// The strategy of rollouts that bring none.
    #[serde(default, deserialize_with = "strict::deserialize")]
    pub strategy: Strategy,
    /// Whether somebody other than a rollout's author must approve it.
    #[serde(default)]
    pub approval_required: bool,
    /// Whether a rollout may bring another strategy than the environment's, also when no admin starts it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_strategy_allowed: bool,
    /// Whether a principal may approve a rollout of one that it made, or that made it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub related_approval_allowed: bool,
    /// Rollouts begin something only within one of these; without any, at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
}

/// `PATCH /environments/{name}`: what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateEnvironment {
    /// The strategy of rollouts that bring none.
    #[serde(
        default,
        deserialize_with = "strict::deserialize_opt",
        skip_serializing_if = "Option::is_none"
    )]
    pub strategy: Option<Strategy>,
    /// Whether somebody other than a rollout's author must approve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_required: Option<bool>,
    /// Whether a rollout may bring another strategy than the environment's, also when no admin starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_strategy_allowed: Option<bool>,
    /// Whether a principal may approve a rollout of one that it made, or that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related_approval_allowed: Option<bool>,
    /// All maintenance windows, in place of those that there are; an empty list takes them away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Vec<Window>>,
}

/// `POST /environments/{name}/freezes`: a time in which rollouts begin nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateFreeze {
    /// Its first instant; now when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// The first instant after it.
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// A named group of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// The strategy of rollouts that bring none.
    pub strategy: Strategy,
    /// Whether somebody other than a rollout's author must approve it.
    pub approval_required: bool,
    /// Whether a rollout may bring another strategy than the environment's, also when no admin starts it.
    #[serde(default)]
    pub own_strategy_allowed: bool,
    /// Whether a principal may approve a rollout of one that it made, or that made it.
    #[serde(default)]
    pub related_approval_allowed: bool,
    /// Its maintenance windows; without any, rollouts begin something at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Its freezes that are not over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
    /// What keeps rollouts from beginning anything now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Hosts that are not retired.
    pub hosts: u32,
    /// The rollout under way.
    pub open_rollout: Option<RolloutId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The number of the rollout under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_rollout_number: Option<u64>,
    /// What it runs: the release of its newest rollout that succeeded for the whole environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseLabel>,
}

/// `POST /hosts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateHost {
    /// Its name, unique in the control plane.
    pub name: HostName,
    /// The environment it belongs to.
    pub environment: EnvironmentName,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// `PATCH /hosts/{name}`: what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateHost {
    /// The environment it moves to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// Labels it gets, with their values; `null` takes one away. Its other labels stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Option<String>>,
}

/// `POST /hosts/{name}/restore`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RestoreHost {
    /// The environment that it returns to; by default the one that it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
}

/// A new host with its agent's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostCreated {
    /// The host.
    pub host: Host,
    /// For `AGENT_TOKEN_FILE` on that host. It is shown now and never again.
    pub token: TokenCreated,
}

/// A machine with an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// The environment it belongs to.
    pub environment: EnvironmentName,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it was heard of within the last 45 s.
    pub online: bool,
    /// When it was last heard of.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// What runs, as its agent saw it.
    pub live: Option<StorePath>,
    /// What the next boot would run.
    pub boot_default: Option<StorePath>,
    /// Its agent's version.
    pub agent_version: Option<String>,
    /// By how many seconds its clock is ahead of the control plane's; negative when it is behind.
    pub clock_skew_seconds: Option<i64>,
    /// What its agent is at, or was last.
    pub report: Option<AttemptReport>,
    /// The attempt that its agent began and did not settle: the host is out.
    #[serde(default)]
    pub unsettled: Option<AttemptId>,
    /// What is wrong with its agent's journal: it was damaged and is kept aside, or it cannot be written.
    #[serde(default)]
    pub journal_trouble: Option<String>,
    /// What else is wrong: two machines use its token, so that nothing that they say counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What of its live system runs only after a reboot, such as `kernel`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_reboot: Vec<String>,
    /// What cannot be told of it, because its agent is of release 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// Its newest step.
    pub step: Option<HostStep>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was retired.
    pub retired_at: Option<DateTime<Utc>>,
    /// How it differs from what Slipway left on it, until it is put right, accepted or rolled again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<HostDrift>,
    /// The release that brought it what is live: that of the newest step which committed this closure. None where no
    /// rollout did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseLabel>,
    /// What somebody accepted as expected of it, until a rollout commits on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
}

impl Host {
    /// How it stands. The database's `host_standing` tells the same of many hosts; none of those is retired.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let state = self.step.as_ref().map(|step| step.state);
        if state == Some(StepState::Stuck) {
            Standing::Stuck
        } else if self.trouble.is_some() || self.journal_trouble.is_some() {
            Standing::Trouble
        } else if self.last_seen_at.is_none() {
            Standing::NeverSeen
        } else if !self.online {
            Standing::Offline
        } else if state.is_some_and(StepState::is_under_way) || self.unsettled.is_some() {
            Standing::Changing
        } else if self.drift.is_some() {
            Standing::Drift
        } else if !self.pending_reboot.is_empty() {
            Standing::RebootPending
        } else {
            Standing::Healthy
        }
    }

    /// The version of what is live, for people: the name of its release, or else what stands in the closure's name.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        let named = self.release.as_ref().and_then(|release| release.name.as_ref());
        named.map(ToString::to_string).or_else(|| {
            let version = self.live.as_ref()?.system_version(self.name.as_str())?;
            Some(version.to_owned())
        })
    }
}

/// How a host differs from what Slipway left on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostDrift {
    /// Of all of it; whoever accepts it names this.
    pub digest: Digest,
    /// Each thing, with what is expected and what was found.
    pub items: Vec<Drift>,
    /// The release that the host's newest rollout to each of these paths was of, where there was one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<ReleasedPath>,
}

/// A path of a drift with the release that a rollout brought the host by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleasedPath {
    /// The path.
    pub path: String,
    /// The release as people say it.
    pub release: ReleaseLabel,
}

impl HostDrift {
    /// `None` for a host on which nothing drifts.
    #[must_use]
    pub fn of(items: Vec<Drift>) -> Option<Self> {
        (!items.is_empty()).then(|| Self {
            digest: drift::digest(&items),
            items,
            releases: Vec::new(),
        })
    }

    /// The release of what is expected or was found, where a rollout brought it.
    #[must_use]
    pub fn release_of(&self, path: &str) -> Option<&ReleaseLabel> {
        let mut releases = self.releases.iter();
        releases
            .find(|known| known.path == path)
            .map(|known| &known.release)
    }

    /// What is expected or was found, for people: `#12 v1.4.0 (4f2c1d9abc)`, or the path that no rollout brought.
    #[must_use]
    pub fn named(&self, path: &str) -> String {
        self.release_of(path)
            .map_or_else(|| path.to_owned(), ToString::to_string)
    }
}

/// What somebody accepted as expected of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Accepted {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// What ran.
    pub live: StorePath,
    /// What the profile named, where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_default: Option<StorePath>,
    /// The release that the host need not run. A later one is expected of it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
}

impl Accepted {
    /// Who, for people.
    #[must_use]
    pub fn by_words(&self) -> &str {
        match &self.by {
            Actor::Principal(name) => name.as_str(),
            by => by.kind(),
        }
    }
}

/// `POST /hosts/{name}/adopt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AdoptHost {
    /// The digest of the drift that is accepted, as the host shows it. Nothing that came later is accepted with it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub drift: Digest,
    /// Why, for the audit log.
    pub reason: String,
}

/// A host's newest step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostStep {
    /// Its rollout.
    pub rollout: RolloutId,
    /// Where it stands.
    pub state: StepState,
    /// The release's closure for the host.
    pub closure: StorePath,
    /// Why it is in this state, when that is not plain.
    pub reason: Option<String>,
    /// The number of its rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_number: Option<u64>,
    /// The rollout's release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseLabel>,
}
