//! The model of the database.

use std::collections::BTreeSet;

use slipway_domain::agent::{Assignment, instruct};
use slipway_domain::apply::ApplyError;
use slipway_domain::decide::Change;
use slipway_domain::digest::Digest;
use slipway_domain::event::Actor;
use slipway_domain::plan::{Wave, cluster_of};
use slipway_domain::preflight::{Finding, Outcome};
use slipway_domain::snapshot::{
    CommandKind, HostObservation, OperatorCommand, Preflight, RolloutSnapshot, Snapshot, StepSnapshot,
};
use slipway_domain::{
    Calendar, CommandId, HostId, HostName, Instruction, PrincipalId, PrincipalName, RolloutId, RolloutState,
    StepId, StepState, Strategy, Timestamp, Timing,
};
use uuid::Uuid;

use crate::{SimControlPlane, SimHost};

/// What the control plane has written down.
#[derive(Debug)]
pub struct Memory {
    now: Timestamp,
    snapshot: Snapshot,
    /// What is known of each host.
    observed: Vec<HostObservation>,
    /// The newest step of an earlier rollout that touched each host.
    earlier: Vec<Option<(StepState, Timestamp)>>,
    owner: Option<usize>,
    epoch: u64,
    /// Whether rollouts wait for an approval.
    asks: bool,
    /// The plan that the approver looked at.
    seen: Option<Digest>,
    /// Hosts whose facts say that they cannot take the release, by their places.
    in_the_way: BTreeSet<usize>,
}

impl Memory {
    /// One whose rollouts wait for the approval of their plan.
    #[must_use]
    pub fn that_asks() -> Self {
        Self {
            asks: true,
            ..Self::new()
        }
    }

    /// One that hears of these hosts, by their places, that they cannot take the release.
    #[must_use]
    pub fn with_in_the_way(hosts: BTreeSet<usize>) -> Self {
        Self {
            in_the_way: hosts,
            ..Self::new()
        }
    }

    /// A control plane that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let rollout = RolloutSnapshot {
            id: RolloutId::from_uuid(Uuid::nil()),
            state: RolloutState::Succeeded,
            since: Timestamp::UNIX_EPOCH,
            strategy: Strategy::default(),
            author: PrincipalId::from_uuid(Uuid::nil()),
            approver: None,
            approved_plan: None,
            scope: None,
            reason: None,
            awaits_verdict: false,
            hold: None,
        };
        Self {
            now: Timestamp::UNIX_EPOCH,
            snapshot: Snapshot {
                rollout,
                steps: Vec::new(),
                fleet_size: 0,
                out_elsewhere: Vec::new(),
                commands: Vec::new(),
                swapped: None,
                timing: Timing::default(),
                preflight: Preflight::default(),
            },
            observed: Vec::new(),
            earlier: Vec::new(),
            owner: None,
            epoch: 0,
            asks: false,
            seen: None,
            in_the_way: BTreeSet::new(),
        }
    }

    fn new_step(&self, i: usize, host: &SimHost, version: u32) -> StepSnapshot {
        StepSnapshot {
            id: StepId::from_uuid(Uuid::from_u128(i as u128)),
            host: HostId::from_uuid(Uuid::from_u128(i as u128)),
            name: host.name.clone(),
            wave: 0,
            group: 0,
            canary: false,
            cluster: cluster_of(&host.labels).map(ToOwned::to_owned),
            state: StepState::Waiting,
            since: self.now,
            activated: None,
            attempt: None,
            failures: 0,
            closure: host.target(version),
            prior: None,
            reason: None,
            plan: None,
            observed: HostObservation::default(),
            out_before: false,
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// The host that a step is about, by its place among the hosts.
fn place(step: &StepSnapshot) -> usize {
    usize::try_from(step.host.as_uuid().as_u128()).expect("ids are places")
}

impl SimControlPlane for Memory {
    type Lease = u64;

    fn set_clock(&mut self, now: Timestamp) {
        self.now = now;
    }

    fn enroll(&mut self, hosts: &[SimHost]) {
        self.snapshot.fleet_size = hosts.len();
        self.observed = vec![HostObservation::default(); hosts.len()];
        self.earlier = vec![None; hosts.len()];
    }

    /// A rollout keeps to the labels that it began with, and the next one is planned with the hosts as they are.
    fn relabel(&mut self, _: usize, _: &SimHost) {}

    fn begin_rollout(&mut self, strategy: &Strategy, hosts: &[SimHost], waves: &[Wave], version: u32) {
        assert!(self.snapshot.rollout.state.is_terminal(), "one rollout at a time");
        for step in std::mem::take(&mut self.snapshot.steps) {
            if step.was_touched() {
                self.earlier[place(&step)] = Some((step.state, step.since));
            }
        }
        let rollout = &mut self.snapshot.rollout;
        rollout.state = if self.asks {
            RolloutState::PendingApproval
        } else {
            RolloutState::Staging
        };
        (rollout.approver, rollout.approved_plan) = (None, None);
        rollout.since = self.now;
        rollout.strategy = strategy.clone();
        (rollout.scope, rollout.reason, rollout.awaits_verdict) = (None, None, false);
        rollout.hold = None;
        let timing = &mut self.snapshot.timing;
        (timing.not_before, timing.overridden) = (None, false);
        for (number, wave) in (0_u32..).zip(waves) {
            let in_wave = hosts
                .iter()
                .enumerate()
                .filter(|(_, host)| wave.hosts.contains(&host.name));
            let steps: Vec<StepSnapshot> = in_wave
                .map(|(i, host)| StepSnapshot {
                    wave: number,
                    group: wave.group,
                    canary: wave.canary,
                    ..self.new_step(i, host, version)
                })
                .collect();
            self.snapshot.steps.extend(steps);
        }
    }

    fn observe(&mut self, i: usize, host: &SimHost) -> Instruction {
        self.observed[i] = HostObservation {
            connected_at: Some(self.now),
            observed_at: Some(self.now),
            doubt: host.doubt,
            live: Some(host.live.clone()),
            boot_default: Some(host.boot.clone()),
            report: host.report(),
            unsettled: host.unsettled(),
        };
        let mut steps = self.snapshot.steps.iter();
        let step = steps.find(|step| step.name == host.name && host.doubt.is_none());
        let assignment = step.map(|step| Assignment {
            state: step.state,
            attempt: step.attempt,
            closure: step.closure.clone(),
            prior: step.prior.clone(),
            strategy: self.snapshot.rollout.strategy.clone(),
            origin: None,
            manifest: None,
            approved_plan: self
                .snapshot
                .rollout
                .approved_plan
                .and(step.plan.as_ref())
                .map(|plan| plan.digest),
        });
        instruct(assignment.as_ref(), host.report().as_ref())
    }

    fn request(&mut self, kind: CommandKind) {
        if !kind.fits(self.snapshot.rollout.state) {
            return;
        }
        let name: PrincipalName = "grace".parse().expect("a valid name");
        self.snapshot.commands.push(OperatorCommand {
            id: CommandId::generate(),
            kind,
            by: PrincipalId::from_uuid(Uuid::from_u128(7)),
            actor: Actor::Principal(name),
            reason: None,
            plan: self.seen.filter(|_| kind == CommandKind::Approve),
            forged: false,
        });
    }

    fn set_calendar(&mut self, calendar: Calendar) {
        self.snapshot.timing.calendar = calendar;
    }

    fn set_beginning(&mut self, at: Timestamp) {
        self.snapshot.timing.not_before = Some(at);
    }

    fn look(&mut self) {
        self.seen = Some(self.snapshot.plan_digest());
    }

    fn claim(&mut self, worker: usize) {
        if self.owner != Some(worker) {
            self.epoch += 1;
        }
        self.owner = Some(worker);
    }

    fn read(&mut self, worker: usize) -> Option<(u64, Snapshot)> {
        (self.owner == Some(worker)).then(|| (self.epoch, self.snapshot()))
    }

    fn write(&mut self, lease: &u64, changes: &[Change]) -> Result<bool, String> {
        if *lease != self.epoch {
            return Ok(false);
        }
        let mut next = self.snapshot.clone();
        let applied = changes.iter().try_for_each(|change| next.apply(change, self.now));
        match applied {
            Ok(()) => self.snapshot = next,
            Err(ApplyError::Stale(_)) => return Ok(false),
            Err(error) => return Err(error.to_string()),
        }
        Ok(true)
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.snapshot.clone();
        for step in &mut snapshot.steps {
            let i = place(step);
            step.observed = self.observed[i].clone();
            step.out_before = step.observed.is_left_out(self.earlier[i]);
        }
        let staged = snapshot
            .steps
            .iter()
            .filter(|step| step.state == StepState::Staged);
        let in_the_way = staged.filter(|step| self.in_the_way.contains(&place(step)));
        let hosts: Vec<HostName> = in_the_way.map(|step| step.name.clone()).collect();
        if !hosts.is_empty() {
            snapshot.preflight.obstacles.push(Finding {
                check: "memory".to_owned(),
                outcome: Outcome::Blocking,
                host_count: hosts.len() as u64,
                hosts,
                message: "1 MiB".to_owned(),
                cure: None,
            });
        }
        snapshot
    }
}
