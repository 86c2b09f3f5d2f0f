//! What the control plane has written down: the model of the database.

use std::collections::BTreeSet;

use super::host::SimHost;
use crate::agent::Assignment;
use crate::decide::{Change, What};
use crate::event::Actor;
use crate::plan::waves;
use crate::snapshot::{Command, CommandKind, Rollout, Seen, Snapshot, Step};
use crate::{CommandId, PrincipalId, RolloutId, RolloutState, StepId, StepState, Strategy, Timestamp};

/// The control plane's memory.
#[derive(Debug)]
pub struct Control {
    snapshot: Snapshot,
    epoch: u64,
    earlier: Vec<Option<(StepState, Timestamp)>>,
    broken: Option<String>,
    /// Writes refused because of their epoch or because the state had moved on.
    pub refused: u32,
    /// Every change that was written.
    pub written: Vec<Change>,
}

impl Control {
    pub(super) fn new(strategy: &Strategy, hosts: &[SimHost], now: Timestamp) -> Self {
        let rollout = Rollout {
            id: RolloutId::from_uuid(uuid::Uuid::nil()),
            state: RolloutState::Succeeded,
            since: now,
            strategy: strategy.clone(),
            author: PrincipalId::from_uuid(uuid::Uuid::nil()),
            scope: None,
            reason: None,
            awaits_verdict: false,
        };
        let snapshot = Snapshot {
            rollout,
            steps: Vec::new(),
            fleet_size: hosts.len(),
            out_elsewhere: Vec::new(),
            commands: Vec::new(),
            swapped: None,
        };
        Self {
            snapshot,
            epoch: 0,
            earlier: vec![None; hosts.len()],
            broken: None,
            refused: 0,
            written: Vec::new(),
        }
    }

    pub(super) fn begin_rollout(
        &mut self,
        strategy: &Strategy,
        hosts: &[SimHost],
        version: u32,
        now: Timestamp,
    ) {
        assert!(self.snapshot.rollout.state.is_terminal(), "one rollout at a time");
        let version = if version == 0 { 1 } else { version };
        let names: BTreeSet<_> = hosts.iter().map(|host| host.name.clone()).collect();
        let online = hosts.iter().filter(|host| host.online);
        let waves = waves(strategy, &names, &online.map(|host| host.name.clone()).collect());
        let wave_of = |name| waves.iter().position(|wave| wave.contains(name)).unwrap_or(0);
        let old: Vec<Step> = std::mem::take(&mut self.snapshot.steps);
        self.snapshot.rollout = Rollout {
            state: RolloutState::Staging,
            since: now,
            strategy: strategy.clone(),
            scope: None,
            reason: None,
            awaits_verdict: false,
            ..self.snapshot.rollout.clone()
        };
        for (i, host) in hosts.iter().enumerate() {
            if let Some(step) = old.get(i).filter(|step| step.was_touched()) {
                self.earlier[i] = Some((step.state, step.since));
            }
            self.snapshot.steps.push(Step {
                id: StepId::from_uuid(uuid::Uuid::from_u128(i as u128)),
                host: crate::HostId::from_uuid(uuid::Uuid::from_u128(i as u128)),
                name: host.name.clone(),
                wave: u32::try_from(wave_of(&host.name)).unwrap_or(u32::MAX),
                state: StepState::Waiting,
                since: now,
                activated: None,
                attempt: None,
                failures: 0,
                closure: host.target(version),
                prior: None,
                reason: None,
                seen: old.get(i).map(|step| step.seen.clone()).unwrap_or_default(),
                out_before: false,
            });
            // What the control plane knows of the host when the rollout begins.
            if old.is_empty() {
                self.observe(i, host, now);
            }
        }
    }

    pub(super) fn claim(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn observe(&mut self, i: usize, host: &SimHost, now: Timestamp) {
        self.snapshot.steps[i].seen = Seen {
            at: Some(now),
            heard: Some(now),
            doubt: host.doubt,
            live: Some(host.live.clone()),
            boot_default: Some(host.boot.clone()),
            report: host.report(),
            unsettled: host.unsettled(),
        };
    }

    pub(super) fn assignment(&self, i: usize) -> Assignment {
        let step = &self.snapshot.steps[i];
        Assignment {
            state: step.state,
            attempt: step.attempt,
            closure: step.closure.clone(),
            prior: step.prior.clone(),
            strategy: self.snapshot.rollout.strategy.clone(),
        }
    }

    pub(super) fn request(&mut self, kind: CommandKind) {
        self.snapshot.commands.push(Command {
            id: CommandId::generate(),
            kind,
            by: PrincipalId::from_uuid(uuid::Uuid::from_u128(7)),
            actor: Actor::Rules,
            reason: None,
            forged: false,
        });
    }

    /// What a worker reads.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.snapshot.clone();
        for (step, earlier) in snapshot.steps.iter_mut().zip(&self.earlier) {
            step.out_before = step.seen.is_left_out(*earlier);
        }
        snapshot
    }

    /// Writes a decision, or refuses all of it: its lease is stale, or a state is no longer the one it starts from.
    pub(super) fn apply(&mut self, epoch: u64, changes: &[Change], now: Timestamp) {
        let moved_on = changes.iter().any(|change| match &change.what {
            What::Rollout { from, .. } => *from != self.snapshot.rollout.state,
            What::Step { step, from, .. } => self
                .snapshot
                .steps
                .iter()
                .any(|s| s.id == *step && s.state != *from),
            _ => false,
        });
        if epoch != self.epoch || moved_on {
            self.refused += 1;
            return;
        }
        for change in changes {
            self.apply_one(change, now);
            self.written.push(change.clone());
        }
    }

    fn apply_one(&mut self, change: &Change, now: Timestamp) {
        let rollout = &mut self.snapshot.rollout;
        match &change.what {
            What::Rollout {
                to,
                scope,
                awaits_verdict,
                ..
            } => {
                if !rollout.state.may_become(*to) {
                    self.broken = Some(format!("a rollout became {to} after {}", rollout.state));
                }
                rollout.state = *to;
                rollout.since = now;
                rollout.reason = Some(change.cause.clone());
                rollout.scope = scope.or(rollout.scope);
                rollout.awaits_verdict = *awaits_verdict;
            }
            What::Scope(scope) => rollout.scope = Some(*scope),
            What::Step {
                step,
                from,
                to,
                attempt,
                reset_failures,
            } => {
                if !from.may_become(*to) {
                    self.broken = Some(format!("a step became {to} after {from}"));
                }
                let Some(step) = self.snapshot.steps.iter_mut().find(|s| s.id == *step) else {
                    return;
                };
                step.state = *to;
                step.since = now;
                if *to == StepState::Activating {
                    step.activated = Some(now);
                }
                step.attempt = attempt.or(step.attempt);
                step.failures += u32::from(matches!(to, StepState::Reverted | StepState::Stuck));
                if *reset_failures {
                    step.failures = 0;
                }
                step.reason = Some(change.cause.clone());
            }
            What::Prior { step, prior } => {
                if let Some(step) = self.snapshot.steps.iter_mut().find(|s| s.id == *step) {
                    step.prior = Some(prior.clone());
                }
            }
            What::Command { command, .. } => self.snapshot.commands.retain(|c| c.id != *command),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let open = |step: &&Step| !step.state.is_settled();
        if self.snapshot.rollout.state.is_terminal()
            && let Some(step) = self.snapshot.steps.iter().find(open)
        {
            return Err(format!("the rollout is over and {} is {}", step.name, step.state));
        }
        Ok(())
    }
}
