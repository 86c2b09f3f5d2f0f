//! Everything that a decision looks at, read in one transaction.

use crate::agent::{AttemptReport, Verdict};
use crate::calendar::{Hold, Timing};
use crate::digest::Digest;
use crate::event::Actor;
use crate::host_plan::{PlanReport, rollout_digest};
use crate::lives::Doubt;
use crate::named::named;
use crate::preflight::Finding;
use crate::{
    AttemptId, AttemptPhase, CommandId, HostId, HostName, Labels, OFFLINE_AFTER_SECONDS, PrincipalId,
    RolloutId, RolloutState, StepId, StepState, StorePath, Strategy, Timestamp,
};

/// One rollout, its steps, and what is known of their hosts.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The rollout.
    pub rollout: RolloutSnapshot,
    /// Its steps, ordered by wave and then by host name.
    pub steps: Vec<StepSnapshot>,
    /// Hosts in the environment, also those without a step.
    pub fleet_size: usize,
    /// Hosts of the environment without a step here for which [`HostObservation::is_left_out`] holds, by name.
    pub out_elsewhere: Vec<LeftOut>,
    /// Operators' commands that were not carried out yet, the oldest first.
    pub commands: Vec<OperatorCommand>,
    /// What is no longer as the audit log says it was decided: nothing new is begun then.
    pub swapped: Option<String>,
    /// When it may begin something.
    pub timing: Timing,
    /// What stands in the way of the first activation, while it stages.
    pub preflight: Preflight,
}

/// What stands in the way of the first activation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preflight {
    /// A staged host that is about to send its facts anew.
    pub awaited: Option<HostName>,
    /// What blocks.
    pub obstacles: Vec<Finding>,
}

impl Snapshot {
    /// The step with this id.
    #[must_use]
    pub fn step(&self, id: StepId) -> Option<&StepSnapshot> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// Blames no host for a time in which nobody could be heard, since the control plane itself was away. A host that was
    /// online when that began counts as heard of at its end.
    pub fn excuse(&mut self, began: Timestamp, ended: Timestamp) {
        for step in &mut self.steps {
            let seen = &mut step.observed.connected_at;
            if let Some(at) = *seen
                && at < ended
                && (began - at).num_seconds() < OFFLINE_AFTER_SECONDS
            {
                *seen = Some(ended);
            }
        }
    }

    /// The digest of what the rollout does to all its hosts, as far as their plans are known: an approval names it.
    #[must_use]
    pub fn plan_digest(&self) -> Digest {
        let plan = |step: &StepSnapshot| step.plan.as_ref().map(|plan| plan.digest);
        let hosts = self
            .steps
            .iter()
            .map(|step| (&step.name, &step.closure, plan(step)));
        rollout_digest(self.rollout.id, hosts)
    }
}

/// A host without a step here that another rollout left out of service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub name: HostName,
    /// Its labels as they are now.
    pub labels: Labels,
}

/// The rollout itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutSnapshot {
    /// Its id.
    pub id: RolloutId,
    /// Where it stands.
    pub state: RolloutState,
    /// Since when.
    pub since: Timestamp,
    /// How it goes about its hosts.
    pub strategy: Strategy,
    /// Who started it; may not approve it.
    pub author: PrincipalId,
    /// Who approved it.
    pub approver: Option<PrincipalId>,
    /// The plan that was approved. From then on no host's plan changes any more.
    pub approved_plan: Option<Digest>,
    /// While `reverting`: which hosts go back.
    pub scope: Option<RevertScope>,
    /// Why it is in this state, when that is not plain.
    pub reason: Option<String>,
    /// While `paused`: for lack of a verdict, so that it goes on by itself once there is one.
    pub awaits_verdict: bool,
    /// What it waits for, as its newest event says: a window, the end of a freeze or its own time.
    pub hold: Option<Hold>,
}

named! {
    /// Which hosts go back.
    RevertScope, "scope", {
        /// Every host that was touched; ends `reverted`.
        All = "all",
        /// Only hosts under way; ends `aborted`.
        InFlight = "in_flight",
    }
}

/// One host's part.
#[derive(Debug, Clone)]
pub struct StepSnapshot {
    /// Its id.
    pub id: StepId,
    /// The host.
    pub host: HostId,
    /// The host's name, for people.
    pub name: HostName,
    /// The number of its wave; the first unfinished one is under way.
    pub wave: u32,
    /// The number of its group, as its labels said when the rollout began.
    pub group: u32,
    /// Whether it is a canary of its group.
    pub canary: bool,
    /// The cluster that it is a member of, as its labels said when the rollout began.
    pub cluster: Option<String>,
    /// Where it stands.
    pub state: StepState,
    /// Since when.
    pub since: Timestamp,
    /// Since when the newest activation may have begun; `None` before the first.
    pub activated: Option<Timestamp>,
    /// The attempt under way or last made.
    pub attempt: Option<AttemptId>,
    /// How often it came to `reverted` or `stuck` since the rollout began or was last resumed.
    pub failures: u32,
    /// The release's closure for this host.
    pub closure: StorePath,
    /// What ran when the activation began, as the agent recorded it.
    pub prior: Option<StorePath>,
    /// Why it is in this state, when that is not plain.
    pub reason: Option<String>,
    /// The plan that its agent reported, or that was approved.
    pub plan: Option<PlanReport>,
    /// The last observation of the host.
    pub observed: HostObservation,
    /// Whether another rollout left the host out of service: [`HostObservation::is_left_out`] of its newest step there.
    pub out_before: bool,
}

/// What is known of a host from its agent.
#[derive(Debug, Clone, Default)]
pub struct HostObservation {
    /// When it last was connected.
    pub connected_at: Option<Timestamp>,
    /// When its agent last sent an observation. Being connected says nothing of what runs.
    pub observed_at: Option<Timestamp>,
    /// Why what its agent says does not count for now.
    pub doubt: Option<Doubt>,
    /// What ran.
    pub live: Option<StorePath>,
    /// What the next boot would have run.
    pub boot_default: Option<StorePath>,
    /// What the agent was at.
    pub report: Option<AttemptReport>,
    /// The attempt that was begun and not settled.
    pub unsettled: Option<AttemptId>,
}

/// What an operator asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorCommand {
    /// Its id.
    pub id: CommandId,
    /// What.
    pub kind: CommandKind,
    /// Who.
    pub by: PrincipalId,
    /// Who, for the event.
    pub actor: Actor,
    /// Why, in the operator's own words.
    pub reason: Option<String>,
    /// The plan that an approval is for. One by an earlier command line names none.
    pub plan: Option<Digest>,
    /// No event says that anybody asked for it: it was written into the database by hand.
    pub forged: bool,
}

named! {
    /// What an operator can ask for.
    CommandKind, "command", {
        /// Let it begin. Not by its author.
        Approve = "approve",
        /// Begin nothing new.
        Pause = "pause",
        /// Go on; under `on_failure: pause`, try the failed hosts again.
        Resume = "resume",
        /// Put every touched host back to its prior.
        Revert = "revert",
        /// Put hosts under way back, leave committed ones, stop.
        Abort = "abort",
        /// Go on outside the windows and in a freeze of the environment.
        OverrideFreeze = "override_freeze",
    }
}

impl CommandKind {
    /// Whether a rollout in this state can take the command.
    #[must_use]
    pub const fn fits(self, state: RolloutState) -> bool {
        use RolloutState as R;
        match self {
            Self::Approve => matches!(state, R::PendingApproval),
            Self::Pause => matches!(state, R::Staging | R::Rolling),
            Self::Resume => matches!(state, R::Paused),
            Self::Revert => matches!(state, R::Staging | R::Rolling | R::Paused),
            Self::Abort | Self::OverrideFreeze => !state.is_terminal(),
        }
    }
}

impl HostObservation {
    /// Whether the host was heard of lately.
    #[must_use]
    pub fn is_online(&self, now: Timestamp) -> bool {
        self.connected_at
            .is_some_and(|at| (now - at).num_seconds() < OFFLINE_AFTER_SECONDS)
    }

    /// Whether another rollout left the host out of service, given the newest step of those rollouts that touched it.
    ///
    /// It is out while its agent says that an attempt is not settled. No news since an unfinished step: the host counts
    /// as out too.
    #[must_use]
    pub fn is_left_out(&self, newest: Option<(StepState, Timestamp)>) -> bool {
        let unobserved =
            newest.is_some_and(|(state, since)| state.is_out() && !self.was_observed_after(since));
        self.unsettled.is_some() || unobserved
    }

    /// Whether an observation of its agent counts that came after this instant.
    #[must_use]
    pub fn was_observed_after(&self, instant: Timestamp) -> bool {
        self.doubt.is_none() && self.observed_at.is_some_and(|observed| observed > instant)
    }
}

impl StepSnapshot {
    /// The agent's report on this step's own attempt, if what it says counts.
    #[must_use]
    pub fn report(&self) -> Option<&AttemptReport> {
        self.observed
            .report
            .as_ref()
            .filter(|report| self.observed.doubt.is_none() && Some(report.attempt) == self.attempt)
    }

    /// The phase in that report.
    #[must_use]
    pub fn phase(&self) -> Option<AttemptPhase> {
        self.report().map(|report| report.phase)
    }

    /// The message of the agent's report, or this text.
    #[must_use]
    pub fn message_or(&self, otherwise: &str) -> String {
        self.report()
            .and_then(|report| report.message.clone())
            .unwrap_or_else(|| otherwise.to_owned())
    }

    /// Whether its checks can come to no verdict.
    #[must_use]
    pub fn is_inconclusive(&self) -> bool {
        self.state == StepState::Verifying
            && self
                .report()
                .is_some_and(|report| report.verdict == Some(Verdict::Unknown))
    }

    /// Whether the host counts as out because of this rollout or an earlier one. An earlier one counts until this
    /// rollout touches the host, however its step here ended.
    #[must_use]
    pub const fn is_out(&self) -> bool {
        self.state.is_out() || (self.out_before && !self.was_touched())
    }

    /// Whether a host was seen on its prior since the step came into its state. This is for agents that do not know the
    /// attempt, such as after a new disk.
    #[must_use]
    pub fn is_on_prior(&self) -> bool {
        self.report().is_none()
            && self.observed.was_observed_after(self.since)
            && self.prior.is_some()
            && self.observed.live == self.prior
            && self.observed.boot_default == self.prior
    }

    /// Whether a host that was stuck is known to be back on its prior.
    #[must_use]
    pub fn has_mended(&self) -> bool {
        self.state == StepState::Stuck && (self.phase() == Some(AttemptPhase::Reverted) || self.is_on_prior())
    }

    /// Whether more than the given number of seconds have passed in this state.
    #[must_use]
    pub fn overdue(&self, seconds: u32, now: Timestamp) -> bool {
        (now - self.since).num_seconds() >= i64::from(seconds)
    }

    /// Whether the host has been offline for so many seconds of its wait in this state.
    #[must_use]
    pub fn is_offline_for(&self, seconds: u32, now: Timestamp) -> bool {
        let from = self
            .observed
            .connected_at
            .map_or(self.since, |at| at.max(self.since));
        (now - from).num_seconds() >= i64::from(seconds)
    }

    /// Whether its activation has been under way for so many seconds, in whichever state it is by now.
    #[must_use]
    pub fn is_active_for(&self, seconds: u32, now: Timestamp) -> bool {
        (now - self.activated.unwrap_or(self.since)).num_seconds() >= i64::from(seconds)
    }

    /// Whether the host was, or may have been, activated in this rollout at any time.
    #[must_use]
    pub const fn was_touched(&self) -> bool {
        self.prior.is_some() || self.state.is_out()
    }
}
