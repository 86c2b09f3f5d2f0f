//! Everything that the checks look at.

use std::collections::BTreeSet;

use crate::calendar::Hold;
use crate::drift::Drift;
use crate::facts::{FACTS_AGE_SECONDS, HostFacts};
use crate::host_plan::HostPlan;
use crate::{EnvironmentName, HostName, Labels, PlanReport, PrincipalName, StorePath, Strategy, Timestamp};

/// A release and the environment that it is to be rolled out to.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Now, by the control plane's clock.
    pub now: Timestamp,
    /// The release.
    pub release: ReleaseSubject,
    /// The environment.
    pub environment: EnvironmentSubject,
    /// The control plane.
    pub plane: PlaneSubject,
    /// The environment's hosts that the release has a closure for.
    pub hosts: Vec<HostSubject>,
}

/// A release.
#[derive(Debug, Clone, Default)]
pub struct ReleaseSubject {
    /// When its manifest expires; none without a manifest.
    pub expires: Option<Timestamp>,
    /// The number of its manifest.
    pub number: Option<u64>,
    /// The names of the keys that the signatures of its manifest name.
    pub signed_by: Vec<String>,
    /// The highest number of a manifest that a host of the environment committed.
    pub committed_number: Option<u64>,
    /// Hosts of the environment that it has no closure for.
    pub without_closure: Vec<HostName>,
    /// The plans of its hosts that are known, each once.
    pub plans: Vec<HostPlan>,
}

/// As many approvers as anybody needs to know of.
pub const MANY_APPROVERS: u64 = 10;

/// An environment.
#[derive(Debug, Clone)]
pub struct EnvironmentSubject {
    /// Its name.
    pub name: EnvironmentName,
    /// The strategy of the rollout, or the environment's own.
    pub strategy: Strategy,
    /// Whether a rollout needs an approval.
    pub approval_required: bool,
    /// How many others could approve, if the one who asks started the rollout: up to [`MANY_APPROVERS`].
    pub approvers: u64,
    /// Those with the role whose approval would be refused, as one of the two made the other.
    pub related: Vec<PrincipalName>,
    /// The rollout that is under way there.
    pub open_rollout: Option<String>,
    /// What keeps rollouts from beginning anything now.
    pub hold: Option<Hold>,
    /// Hosts that are out of service because of earlier rollouts.
    pub out: Vec<HostName>,
}

/// The control plane.
#[derive(Debug, Clone, Default)]
pub struct PlaneSubject {
    /// Its version.
    pub version: String,
    /// Workers that were seen lately.
    pub workers: u64,
    /// What is wrong with the audit log.
    pub audit_problem: Option<String>,
    /// Migrations of its own database that are still to run; none when that is not known.
    pub pending_migrations: Option<u64>,
}

/// A host.
#[derive(Debug, Clone)]
pub struct HostSubject {
    /// Its name.
    pub name: HostName,
    /// Its labels.
    pub labels: Labels,
    /// The release's closure for it.
    pub closure: StorePath,
    /// When its agent was last heard of.
    pub seen: Option<Timestamp>,
    /// Whether that is lately.
    pub online: bool,
    /// Its agent's version.
    pub agent_version: Option<String>,
    /// How far its clock is ahead, in seconds.
    pub clock_skew_seconds: Option<i64>,
    /// Why what its agent says does not count.
    pub doubt: Option<String>,
    /// What runs.
    pub live: Option<StorePath>,
    /// What the next boot brings.
    pub boot_default: Option<StorePath>,
    /// What drifts on it; none before the first look.
    pub drift: Option<Vec<Drift>>,
    /// Whether an attempt was begun and not settled.
    pub unsettled: bool,
    /// What is wrong with its journal.
    pub journal_trouble: Option<String>,
    /// The plan of the switch.
    pub plan: Option<PlanReport>,
    /// What its agent found out, and when.
    pub facts: Option<(Timestamp, HostFacts)>,
}

impl Subject {
    /// The host's facts, if they are new enough to be believed.
    pub(super) fn facts<'a>(&self, host: &'a HostSubject) -> Option<&'a HostFacts> {
        let (at, facts) = host.facts.as_ref()?;
        ((self.now - *at).num_seconds() <= FACTS_AGE_SECONDS).then_some(facts)
    }

    /// The release's hosts, by name.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.hosts.iter().map(|host| host.name.as_str()).collect()
    }

    /// Whether a section of some plan has entries.
    pub(super) fn plans_have(&self, section: &str) -> bool {
        let mut plans = self.release.plans.iter();
        plans.any(|plan| plan.sections.contains_key(section))
    }
}
