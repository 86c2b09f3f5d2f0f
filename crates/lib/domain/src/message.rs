//! What people are told of, and where messages may go.

pub mod address;

use crate::event::NewEvent;
use crate::named::named;
use crate::{RolloutState, StepState};

named! {
    /// What a message is about; the `type` of a webhook.
    MessageKind, "kind of message", {
        /// A rollout waits until somebody approves it. It comes again while the rollout waits.
        ApprovalWanted = "rollout.approval_wanted",
        /// A rollout begins: at once, or once it is approved.
        RolloutStarted = "rollout.started",
        /// A rollout waits for a person, or for a verdict.
        RolloutPaused = "rollout.paused",
        /// A paused rollout goes on.
        RolloutResumed = "rollout.resumed",
        /// A rollout begins to go back.
        RolloutReverting = "rollout.reverting",
        /// A rollout is over, and its hosts run the release.
        RolloutSucceeded = "rollout.succeeded",
        /// A rollout is over, and its hosts run what they ran before.
        RolloutReverted = "rollout.reverted",
        /// A rollout is over, and a host is neither on the release nor back.
        RolloutFailed = "rollout.failed",
        /// A rollout is over because somebody ended it, or nobody approved it.
        RolloutAborted = "rollout.aborted",
        /// A host could not go back: a person must look.
        HostStuck = "host.stuck",
        /// Hosts are no longer as Slipway left them.
        HostDrifted = "host.drifted",
        /// Something that drifted on hosts is as expected again.
        HostDriftEnded = "host.drift_ended",
        /// Agents were not heard of for a while.
        AgentSilent = "agent.silent",
        /// Agents that were silent are heard of again, or retired.
        AgentHeard = "agent.heard",
        /// A backup on a host is late or failed.
        BackupLate = "backup.late",
        /// The backups of a host are well again.
        BackupWell = "backup.well",
        /// A restore drill on a host is late or failed.
        DrillLate = "drill.late",
        /// The drills of a host are well again.
        DrillWell = "drill.well",
        /// A test that somebody asked for.
        Test = "test",
    }
}

impl MessageKind {
    /// What an event says to people, if anything.
    #[must_use]
    pub fn of_event(event: &NewEvent) -> Option<Self> {
        let to = event.to.as_deref();
        match event.kind.as_str() {
            "rollout.created" => Some(if to == Some(RolloutState::PendingApproval.as_str()) {
                Self::ApprovalWanted
            } else {
                Self::RolloutStarted
            }),
            "rollout.state" => Self::of_rollout(event.from.as_deref()?.parse().ok()?, to?.parse().ok()?),
            "step.state" => (to == Some(StepState::Stuck.as_str())).then_some(Self::HostStuck),
            "host.drifted" => Some(Self::HostDrifted),
            "host.drift_ended" => Some(Self::HostDriftEnded),
            _ => None,
        }
    }

    const fn of_rollout(from: RolloutState, to: RolloutState) -> Option<Self> {
        use RolloutState as R;
        Some(match (from, to) {
            (R::PendingApproval, R::Staging | R::Rolling) => Self::RolloutStarted,
            (R::Paused, R::Staging | R::Rolling) => Self::RolloutResumed,
            (_, R::Paused) => Self::RolloutPaused,
            (_, R::Reverting) => Self::RolloutReverting,
            (_, R::Succeeded) => Self::RolloutSucceeded,
            (_, R::Reverted) => Self::RolloutReverted,
            (_, R::Failed) => Self::RolloutFailed,
            (_, R::Aborted) => Self::RolloutAborted,
            (_, R::PendingApproval | R::Staging | R::Rolling) => return None,
        })
    }

    /// What it says, for people; the environment stands before it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::ApprovalWanted => "a rollout waits for approval",
            Self::RolloutStarted => "a rollout started",
            Self::RolloutPaused => "a rollout is paused",
            Self::RolloutResumed => "a rollout goes on",
            Self::RolloutReverting => "a rollout goes back",
            Self::RolloutSucceeded => "a rollout succeeded",
            Self::RolloutReverted => "a rollout was reverted",
            Self::RolloutFailed => "a rollout failed",
            Self::RolloutAborted => "a rollout was aborted",
            Self::HostStuck => "a host is stuck, and a person must look",
            Self::HostDrifted => "not as Slipway left it",
            Self::HostDriftEnded => "as expected again",
            Self::AgentSilent => "the agent is silent",
            Self::AgentHeard => "the agent is no longer silent",
            Self::BackupLate => "a backup is late or failed",
            Self::BackupWell => "the backups are well again",
            Self::DrillLate => "a restore drill is late or failed",
            Self::DrillWell => "the restore drills are well again",
            Self::Test => "this is a test",
        }
    }
}

named! {
    /// How a destination takes messages.
    DestinationKind, "kind of destination", {
        /// A webhook as Standard Webhooks describes it.
        Standard = "standard",
        /// An incoming webhook of Slack, or of what is compatible with it.
        Slack = "slack",
        /// A room of Matrix.
        Matrix = "matrix",
        /// E-mail.
        Email = "email",
    }
}

named! {
    /// How far a delivery is.
    DeliveryState, "state of a delivery", {
        /// It is to be sent, or sent again.
        Waiting = "waiting",
        /// The destination took it.
        Delivered = "delivered",
        /// It is sent no more, unless somebody replays it.
        Dead = "dead",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Actor;

    fn event(kind: &str, from: Option<&str>, to: Option<&str>) -> NewEvent {
        NewEvent {
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            ..NewEvent::new(Actor::Rules, kind, "why")
        }
    }

    #[test]
    fn each_end_of_a_rollout_and_each_wait_for_a_person_is_told() {
        use MessageKind as M;
        let told = |from: RolloutState, to: RolloutState| {
            MessageKind::of_event(&event("rollout.state", Some(from.as_str()), Some(to.as_str())))
        };
        for to in RolloutState::ALL.iter().filter(|state| state.is_terminal()) {
            assert!(told(RolloutState::Rolling, *to).is_some(), "{to}");
        }
        for (from, to, kind) in [
            (
                RolloutState::PendingApproval,
                RolloutState::Staging,
                Some(M::RolloutStarted),
            ),
            (RolloutState::Staging, RolloutState::Rolling, None),
            (
                RolloutState::Rolling,
                RolloutState::Paused,
                Some(M::RolloutPaused),
            ),
            (
                RolloutState::Paused,
                RolloutState::Rolling,
                Some(M::RolloutResumed),
            ),
            (
                RolloutState::Paused,
                RolloutState::Reverting,
                Some(M::RolloutReverting),
            ),
        ] {
            assert_eq!(told(from, to), kind, "{from} -> {to}");
        }
        let created = |to| MessageKind::of_event(&event("rollout.created", None, Some(to)));
        assert_eq!(created("pending_approval"), Some(M::ApprovalWanted));
        assert_eq!(created("staging"), Some(M::RolloutStarted));
        let step = |to| MessageKind::of_event(&event("step.state", Some("reverting"), Some(to)));
        assert_eq!((step("stuck"), step("reverted")), (Some(M::HostStuck), None));
        assert_eq!(MessageKind::of_event(&event("token.created", None, None)), None);
    }

    /// Events of a newer program are no reason to stop.
    #[test]
    fn a_state_of_a_newer_program_is_passed_over() {
        let event = event("rollout.state", Some("rolling"), Some("levitating"));
        assert_eq!(MessageKind::of_event(&event), None);
    }
}
