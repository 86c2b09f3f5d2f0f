//! Reports of agents, and instructions for them.
//!
//! The agent posts an observation and gets one instruction back. [`instruct`] derives the instruction only from the
//! host's newest step and the report. So a lost message costs nothing: the next one leads to the same answer.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::drift::Override;
use crate::strategy::{Reboot, Strategy, Verify};
use crate::{
    AttemptId, AttemptOrigin, HostFacts, HostName, HostPlan, PlanReport, ReleaseId, StepState, StorePath,
    Timestamp,
};

/// What an agent sees on its host, posted at every sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Observation {
    /// The host that the agent believes to be; a token of another host is refused.
    pub host: HostName,
    /// The agent's version.
    pub agent_version: String,
    /// The host's own clock; only ever compared, so that its skew can be shown.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub clock: Timestamp,
    /// The kernel's boot id: changes with every boot.
    pub boot_id: String,
    /// Microseconds since that boot, more at every observation: what is older than what is known is refused. Left out
    /// by agents of release 0.1.0 and where the boot id is not known; then nothing can be called old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<u64>,
    /// What runs: the target of `/run/current-system`.
    pub live: Option<StorePath>,
    /// What the next boot would run: the target of the system profile.
    pub boot_default: Option<StorePath>,
    /// The attempt that the agent works on or last worked on.
    pub report: Option<AttemptReport>,
    /// The attempt in the journal that was begun and is neither committed nor taken back: until it is, the host is
    /// out. It can be another than the one reported on, such as a stuck one while the next closure is fetched.
    #[serde(default)]
    pub unsettled: Option<AttemptId>,
    /// What is wrong with the agent's journal: it was damaged and is kept aside, or it cannot be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_trouble: Option<String>,
    /// The plan whose digest the report names, while the control plane may not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<HostPlan>,
    /// What somebody changed beside the system. Agents from before drift leave it out, and nothing is known then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Vec<Override>>,
    /// What is known of the host besides what runs, while the control plane may not have it. An agent sends it once a
    /// minute, when a closure was staged, and when it was asked ([`Instruction::Probe`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<HostFacts>,
    /// What of the live system runs only after a reboot, such as `kernel`. Agents from before reboots leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_reboot: Option<Vec<String>>,
}

/// How far an agent is with one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttemptReport {
    /// The attempt.
    pub attempt: AttemptId,
    /// How far it is.
    pub phase: AttemptPhase,
    /// The closure that was live when the activation began; recorded before it began.
    pub prior: Option<StorePath>,
    /// The last word of the checks, once there is one.
    pub verdict: Option<Verdict>,
    /// What happened, in one line for people.
    pub message: Option<String>,
    /// What the hooks of the closures are at, or came to; left out where there is nothing to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<HooksReport>,
    /// What the switch would change, once the closure is there. Agents from before plans leave it out, and so does one
    /// that could not compute it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanReport>,
    /// What the closure means for reboots, once it is there. Agents from before reboots leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot: Option<RebootReport>,
}

/// What a closure means for reboots of its host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RebootReport {
    /// What of the closure runs only after a reboot, or what NixOS refuses to switch as it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<String>,
    /// Why this host cannot boot the closure once, and what to do about it; left out where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
}

/// What the hooks of an attempt's closures are at, or came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HooksReport {
    /// The hook that runs now, or is about to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningHook>,
    /// The hooks that failed, and how, in one line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A hook that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunningHook {
    /// Its name.
    pub name: String,
    /// To which of the closure's lists it belongs.
    pub when: HookPoint,
    /// The longest that it and the hooks after it may take.
    pub seconds: u32,
}

/// When hooks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum HookPoint {
    /// Before the switch to their closure.
    BeforeActivate,
    /// Once the host has settled on their closure.
    AfterCommit,
}

impl HookPoint {
    /// The name of the list in `hooks.json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeActivate => "before_activate",
            Self::AfterCommit => "after_commit",
        }
    }
}

/// The longest that all hooks of one list may take together, in seconds.
pub const MAX_HOOKS_SECONDS: u32 = 3600;

/// How far an agent is with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AttemptPhase {
    /// Fetching the closure.
    Staging,
    /// The closure is there, signed by a trusted key, with a switch script and readable checks.
    Staged,
    /// The closure could not be had or is unfit; the host was not touched.
    StageFailed,
    /// `switch-to-configuration test` runs.
    Activating,
    /// Activated; the checks run.
    Verifying,
    /// The checks passed for long enough; waits to be told to commit.
    Verified,
    /// The profile and the boot default are the new closure.
    Committed,
    /// The prior is being put back.
    Reverting,
    /// The prior is live and the boot default.
    Reverted,
    /// The prior could not be put back; the agent goes on trying.
    Stuck,
}

/// The checks' word on a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Verdict {
    /// All checks passed as often as asked, and went on passing for the bake time.
    Pass,
    /// A check gave evidence against the closure.
    Fail,
    /// Checks could not be carried out, which is evidence of nothing.
    Unknown,
}

/// What an agent is told to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Instruction {
    /// Nothing new: go on with what you are at.
    Idle,
    /// Fetch the closure and keep it from the garbage collector.
    Stage {
        /// The attempt.
        attempt: AttemptId,
        /// What to fetch.
        closure: StorePath,
        /// Give up after this long.
        timeout_seconds: u32,
        /// The rollout, for logs and traces. Control planes of release 0.1.0 leave it out, and their agents ignore it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<AttemptOrigin>,
        /// The release's signed manifest, for agents that ask for one. It says nothing of trust: the signature does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manifest: Option<ManifestRef>,
    },
    /// Record the prior, arm the dead-man, activate, and run the closure's checks.
    Activate {
        /// The attempt.
        attempt: AttemptId,
        /// What to activate.
        closure: StorePath,
        /// The bounds.
        plan: ActivationPlan,
        /// The digest of the plan that was approved for this host: with another one the agent touches nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        approved_plan: Option<Digest>,
    },
    /// Make the closure the profile and the boot default, and disarm the dead-man.
    Commit {
        /// The attempt.
        attempt: AttemptId,
    },
    /// Put the prior back, also when the attempt was committed.
    Revert {
        /// The attempt.
        attempt: AttemptId,
        /// The prior as the control plane has it. The agent's own journal goes before it.
        prior: Option<StorePath>,
        /// Report `stuck` after this long, and go on trying.
        timeout_seconds: u32,
    },
    /// Find out whether this closure can be had, and send the facts anew. Nothing is fetched. Only agents that have sent
    /// facts are told this.
    Probe {
        /// The closure.
        closure: StorePath,
    },
}

impl Instruction {
    /// The attempt it is about.
    #[must_use]
    pub const fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Idle | Self::Probe { .. } => None,
            Self::Stage { attempt, .. }
            | Self::Activate { attempt, .. }
            | Self::Commit { attempt }
            | Self::Revert { attempt, .. } => Some(*attempt),
        }
    }
}

/// Which signed manifest belongs to a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ManifestRef {
    /// The release, under which the agent can fetch it.
    pub release: ReleaseId,
    /// The digest of the manifest's bytes, under which the agent keeps it.
    pub digest: Digest,
}

/// The bounds of one activation, all in seconds and counted by the host's own steady clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActivationPlan {
    /// Longest run of the switch script.
    pub activate_seconds: u32,
    /// From the beginning of the activation to the commit.
    pub deadman_seconds: u32,
    /// How to run the checks.
    pub verify: Verify,
    /// How long they must go on passing.
    pub bake_seconds: u32,
    /// How long going back may take. Left out by control planes from before hooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert_seconds: Option<u32>,
    /// Whether the host reboots into the closure. Only for agents that report on reboots: an older one would ignore it.
    #[serde(default, skip_serializing_if = "Reboot::is_never")]
    pub reboot: Reboot,
    /// How long a reboot may take; 0 where there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reboot_seconds: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands fields over like this"
)]
const fn is_zero(seconds: &u32) -> bool {
    *seconds == 0
}

impl ActivationPlan {
    /// The bounds that a strategy sets.
    #[must_use]
    pub fn of(strategy: &Strategy) -> Self {
        Self {
            activate_seconds: strategy.limits.activate_seconds,
            deadman_seconds: strategy.limits.deadman_seconds,
            verify: strategy.verify.clone(),
            bake_seconds: strategy.bake_seconds,
            revert_seconds: Some(strategy.limits.revert_seconds),
            reboot: strategy.reboot,
            reboot_seconds: strategy.reboot_bound(),
        }
    }
}

/// The part of a host's newest step that an instruction is derived from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Where the step stands.
    pub state: StepState,
    /// The attempt under way, if one was begun.
    pub attempt: Option<AttemptId>,
    /// The release's closure for the host.
    pub closure: StorePath,
    /// The prior that the agent reported.
    pub prior: Option<StorePath>,
    /// The rollout's strategy.
    pub strategy: Strategy,
    /// The rollout itself, for logs and traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<AttemptOrigin>,
    /// The release's signed manifest, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestRef>,
    /// The plan that was approved for the host, if people approve plans here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_plan: Option<Digest>,
}

/// What the host is to be told, given its newest step and what its agent last reported.
///
/// `Idle` also when the agent is at work on exactly this already: then there is no news for it.
#[must_use]
pub fn instruct(assignment: Option<&Assignment>, report: Option<&AttemptReport>) -> Instruction {
    let Some(step) = assignment else {
        return Instruction::Idle;
    };
    let Some(attempt) = step.attempt else {
        return Instruction::Idle;
    };
    let phase = report
        .filter(|report| report.attempt == attempt)
        .map(|report| report.phase);
    let limits = &step.strategy.limits;
    match (step.state, phase) {
        (StepState::Staging, None) => Instruction::Stage {
            attempt,
            closure: step.closure.clone(),
            timeout_seconds: limits.stage_seconds,
            origin: step.origin.clone(),
            manifest: step.manifest,
        },
        (
            StepState::Activating | StepState::Verifying,
            None | Some(AttemptPhase::Staging | AttemptPhase::Staged),
        ) => Instruction::Activate {
            attempt,
            closure: step.closure.clone(),
            plan: ActivationPlan::of(&step.strategy),
            approved_plan: step.approved_plan,
        },
        (StepState::Verified, Some(AttemptPhase::Verified)) => Instruction::Commit { attempt },
        (StepState::Reverting | StepState::Stuck, phase)
            if !matches!(
                phase,
                Some(AttemptPhase::Reverting | AttemptPhase::Reverted | AttemptPhase::Stuck)
            ) =>
        {
            Instruction::Revert {
                attempt,
                prior: step.prior.clone(),
                timeout_seconds: limits.revert_seconds,
            }
        }
        _ => Instruction::Idle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(state: StepState) -> Assignment {
        Assignment {
            state,
            attempt: Some(AttemptId::random()),
            closure: "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-a".parse().unwrap(),
            prior: None,
            strategy: Strategy::default(),
            origin: None,
            manifest: None,
            approved_plan: None,
        }
    }

    fn report(step: &Assignment, phase: AttemptPhase) -> AttemptReport {
        AttemptReport {
            attempt: step.attempt.unwrap(),
            phase,
            prior: None,
            verdict: None,
            message: None,
            hooks: None,
            plan: None,
            reboot: None,
        }
    }

    #[test]
    fn an_agent_at_work_is_left_alone() {
        for (state, phase) in [
            (StepState::Staging, AttemptPhase::Staging),
            (StepState::Activating, AttemptPhase::Activating),
            (StepState::Activating, AttemptPhase::Verifying),
            (StepState::Verified, AttemptPhase::Committed),
            (StepState::Reverting, AttemptPhase::Reverting),
        ] {
            let step = step(state);
            assert_eq!(
                instruct(Some(&step), Some(&report(&step, phase))),
                Instruction::Idle,
                "{state} {phase:?}"
            );
        }
    }

    #[test]
    fn a_report_of_another_attempt_counts_for_nothing() {
        let step = step(StepState::Verified);
        let other = AttemptReport {
            attempt: AttemptId::random(),
            ..report(&step, AttemptPhase::Verified)
        };
        assert_eq!(instruct(Some(&step), Some(&other)), Instruction::Idle);
        assert_eq!(
            instruct(Some(&step), Some(&report(&step, AttemptPhase::Verified))),
            Instruction::Commit {
                attempt: step.attempt.unwrap()
            }
        );
    }

    #[test]
    fn a_committed_host_is_told_to_revert_too() {
        let step = step(StepState::Reverting);
        let told = instruct(Some(&step), Some(&report(&step, AttemptPhase::Committed)));
        assert!(matches!(told, Instruction::Revert { .. }), "{told:?}");
    }

    #[test]
    fn no_step_and_no_attempt_are_idle() {
        assert_eq!(instruct(None, None), Instruction::Idle);
        let waiting = Assignment {
            attempt: None,
            ..step(StepState::Waiting)
        };
        assert_eq!(instruct(Some(&waiting), None), Instruction::Idle);
    }
}
