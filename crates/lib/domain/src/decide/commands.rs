//! Operators' commands.

use super::{Effect, Round};
use crate::digest::Digest;
use crate::event::Actor;
use crate::snapshot::{CommandKind, OperatorCommand, RevertScope};
use crate::strategy::OnFailure;
use crate::{RolloutState, StepState};

impl Round<'_> {
    /// Takes the oldest command. The next round takes the next one, and sees this one's changes.
    pub(super) fn follow_commands(&mut self) {
        let Some(command) = self.snapshot.commands.first() else {
            return;
        };
        let refused = self.refusal(command);
        if refused.is_none() {
            self.carry_out(command);
        }
        let cause = refused.clone().unwrap_or_else(|| because(command));
        self.push(
            Effect::Command {
                command: command.id,
                refused,
            },
            command.actor.clone(),
            cause,
        );
    }

    /// A rollout that is over takes no commands.
    pub(super) fn refuse_commands(&mut self) {
        let state = self.snapshot.rollout.state;
        for command in &self.snapshot.commands {
            let why = format!("the rollout is over ({state})");
            self.push(
                Effect::Command {
                    command: command.id,
                    refused: Some(why.clone()),
                },
                command.actor.clone(),
                why,
            );
        }
    }

    fn refusal(&self, command: &OperatorCommand) -> Option<String> {
        let rollout = &self.snapshot.rollout;
        if command.forged {
            return Some("no event says that anybody asked for this".to_owned());
        }
        if !command.kind.fits(rollout.state) {
            return Some(format!(
                "a rollout that is {} cannot take `{}`",
                rollout.state,
                command.kind.as_str()
            ));
        }
        if matches!(
            command.kind,
            CommandKind::Approve | CommandKind::Resume | CommandKind::OverrideFreeze
        ) && let Some(why) = &self.snapshot.swapped
        {
            return Some(why.clone());
        }
        if command.kind == CommandKind::Approve && command.by == rollout.author {
            return Some("whoever started a rollout cannot approve it; ask somebody else".to_owned());
        }
        let approved = command.plan.filter(|_| command.kind == CommandKind::Approve)?;
        let now = self.snapshot.plan_digest();
        if approved != now {
            return Some(plan_moved(&approved, &now));
        }
        let missing = self.still_to_plan()?;
        Some(plan_unknown(missing.name.as_str()))
    }

    fn carry_out(&mut self, command: &OperatorCommand) {
        let (actor, cause) = (command.actor.clone(), because(command));
        // The state says what was asked for, so the reason alone follows it: `paused: the shop is slow`.
        let reason = command.reason.clone().unwrap_or_else(|| cause.clone());
        let state = self.snapshot.rollout.state;
        let (to, scope) = match command.kind {
            CommandKind::Approve | CommandKind::Resume => (RolloutState::Staging, None),
            CommandKind::Pause => (RolloutState::Paused, None),
            // That it was taken is all.
            CommandKind::OverrideFreeze => return,
            CommandKind::Revert => (RolloutState::Reverting, Some(RevertScope::All)),
            CommandKind::Abort if state == RolloutState::PendingApproval => (RolloutState::Aborted, None),
            CommandKind::Abort if state == RolloutState::Reverting => {
                return self.push(Effect::Scope(RevertScope::InFlight), actor, cause);
            }
            CommandKind::Abort => (RolloutState::Reverting, Some(RevertScope::InFlight)),
        };
        self.push(
            Effect::Rollout {
                from: state,
                to,
                scope,
                awaits_verdict: false,
            },
            actor.clone(),
            reason,
        );
        if to == RolloutState::Aborted {
            self.skip_unbegun(&actor, &cause);
        }
        if command.kind == CommandKind::Resume {
            self.retry_failed(&actor, &cause);
        }
    }

    /// By resuming, the operator says that a stuck host can go back now. After a pause for failures it also says
    /// that the failed hosts are repaired.
    fn retry_failed(&mut self, actor: &Actor, cause: &str) {
        let retry = self.snapshot.rollout.strategy.on_failure == OnFailure::Pause;
        for step in &self.snapshot.steps {
            let to = match step.state {
                StepState::Reverted if retry => StepState::Waiting,
                StepState::Stuck => StepState::Reverting,
                _ => continue,
            };
            let effect = Effect::Step {
                step: step.id,
                from: step.state,
                to,
                attempt: None,
                reset_failures: true,
            };
            self.push(effect, actor.clone(), cause);
        }
    }

    /// Skips every host that was at most asked to fetch.
    pub(super) fn skip_unbegun(&mut self, actor: &Actor, cause: &str) {
        let snapshot = self.snapshot;
        for step in &snapshot.steps {
            if matches!(
                step.state,
                StepState::Waiting | StepState::Staging | StepState::Staged
            ) {
                self.step(step, StepState::Skipped, actor.clone(), cause);
            }
        }
    }
}

/// The words for an approval of another plan than the rollout has.
#[must_use]
pub fn plan_moved(approved: &Digest, now: &Digest) -> String {
    format!("the approval is for the plan {approved}, and the rollout's plan is {now} now; look at it again")
}

/// The words for an approval that comes before the plan is known.
#[must_use]
pub fn plan_unknown(host: &str) -> String {
    format!(
        "{host} still fetches, so its plan is not known yet; wait until it has reported, and look at the plan again"
    )
}

fn because(command: &OperatorCommand) -> String {
    match &command.reason {
        Some(reason) => format!("{}: {reason}", command.kind.as_str()),
        None => format!("asked to {}", command.kind.as_str().replace('_', " ")),
    }
}
