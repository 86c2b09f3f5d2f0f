//! A model of a whole fleet in memory: hosts with their agents, a control plane, and everything that goes wrong.
//!
//! [`World`] holds the truth of every host beside what the control plane believes, and [`World::check`] compares the two
//! with what must always hold. The decisions are [`crate::decide::decide`]'s own.

mod control;
mod host;

pub use control::Control;
pub use host::{Fate, SimHost};

use chrono::TimeDelta;

use crate::agent::instruct;
use crate::decide::{Change, decide};
use crate::lives::Doubt;
use crate::snapshot::{CommandKind, Snapshot};
use crate::{AttemptId, RolloutState, StepState, StorePath, Strategy, Timestamp};

/// A worker's memory between reading and writing.
#[derive(Debug, Default)]
pub struct SimWorker {
    epoch: Option<u64>,
    /// What it decided, and under which epoch it had read.
    decided: Option<(u64, Vec<Change>)>,
}

/// Hosts, control plane and workers at one instant.
#[derive(Debug)]
pub struct World {
    /// The instant; one clock for all.
    pub now: Timestamp,
    /// What the control plane has written down.
    pub control: Control,
    /// The truth.
    pub hosts: Vec<SimHost>,
    /// The workers.
    pub workers: Vec<SimWorker>,
    /// Hosts that were out before the rollout began: the bound of invariant 1 when it is over the strategy's.
    out_at_start: usize,
    attempts: u128,
}

/// Something that happens. Host and worker numbers wrap around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// Time passes, in seconds; dead-men fire.
    Pass(u32),
    /// An agent posts its observation; the answer is on its way.
    Sync(usize),
    /// The answer arrives.
    Deliver(usize),
    /// The answer is lost.
    Lose(usize),
    /// An agent gets one thing done.
    Work(usize),
    /// An agent is killed, and started again.
    Restart(usize),
    /// A host loses power and boots.
    Reboot(usize),
    /// A host cannot be reached, or again.
    Reach(usize, bool),
    /// A second machine uses a host's token, or no longer.
    Doubt(usize, bool),
    /// A host gets a new disk.
    Forget(usize),
    /// A worker takes the lease.
    Claim(usize),
    /// A worker reads and decides.
    Decide(usize),
    /// A worker writes what it decided, however long ago.
    Write(usize),
    /// A whole turn of an agent: post, hear the answer, get one thing done, post again.
    Turn(usize),
    /// A whole turn of every agent.
    Turns,
    /// The holder of the lease decides and writes until nothing changes.
    Drive,
    /// An operator's command.
    Command(CommandKind),
}

impl World {
    /// A fleet that runs `initial`, and the beginning of a rollout of a closure with each host's fate.
    #[must_use]
    pub fn new(strategy: &Strategy, fates: &[Fate], stuck_before: usize) -> Self {
        let now = Timestamp::from_timestamp(1_800_000_000, 0).expect("a valid instant");
        let hosts: Vec<SimHost> = fates
            .iter()
            .enumerate()
            .map(|(i, fate)| SimHost::new(i, *fate, i < stuck_before))
            .collect();
        let mut world = Self {
            now,
            control: Control::new(strategy, &hosts, now),
            hosts,
            workers: (0..2).map(|_| SimWorker::default()).collect(),
            out_at_start: stuck_before,
            attempts: 0,
        };
        world.control.begin_rollout(strategy, &world.hosts, 0, now);
        world.happen(Happening::Claim(0));
        world
    }

    /// Begins the next rollout once the one before is over: of version `version` on every host.
    pub fn begin_rollout(&mut self, strategy: &Strategy, version: u32) {
        self.out_at_start = self.out();
        for host in &mut self.hosts {
            host.expect(version);
        }
        self.control
            .begin_rollout(strategy, &self.hosts, version, self.now);
    }

    /// Lets one thing happen.
    pub fn happen(&mut self, what: Happening) {
        let hosts = self.hosts.len();
        match what {
            Happening::Pass(seconds) => self.pass(seconds),
            Happening::Sync(i) => self.sync(i % hosts),
            Happening::Deliver(i) => self.hosts[i % hosts].deliver(self.now),
            Happening::Lose(i) => self.hosts[i % hosts].inbox = None,
            Happening::Work(i) => self.hosts[i % hosts].work(self.now),
            Happening::Restart(i) => self.hosts[i % hosts].restart(),
            Happening::Reboot(i) => self.hosts[i % hosts].reboot(),
            Happening::Reach(i, online) => self.hosts[i % hosts].online = online,
            Happening::Doubt(i, doubted) => self.hosts[i % hosts].doubt = doubted.then_some(Doubt::TwoLives),
            Happening::Forget(i) => self.hosts[i % hosts].forget(),
            Happening::Claim(i) => {
                let count = self.workers.len();
                self.workers[i % count].epoch = Some(self.control.claim());
            }
            Happening::Decide(i) => self.decide(i),
            Happening::Write(i) => self.write(i),
            Happening::Turn(i) => self.turn(i % hosts),
            Happening::Turns => (0..hosts).for_each(|i| self.turn(i)),
            Happening::Drive => self.drive(),
            Happening::Command(kind) => self.control.request(kind),
        }
    }

    fn pass(&mut self, seconds: u32) {
        self.now += TimeDelta::seconds(i64::from(seconds));
        for host in &mut self.hosts {
            host.fire_deadman(self.now);
        }
    }

    fn sync(&mut self, i: usize) {
        let host = &mut self.hosts[i];
        if !host.online {
            return;
        }
        self.control.observe(i, host, self.now);
        let assignment = Some(self.control.assignment(i)).filter(|_| host.doubt.is_none());
        host.inbox = Some(instruct(assignment.as_ref(), host.report().as_ref()));
    }

    fn decide(&mut self, i: usize) {
        let count = self.workers.len();
        let snapshot = self.control.snapshot();
        let attempts = &mut self.attempts;
        let mut next = || {
            *attempts += 1;
            AttemptId::from_uuid(uuid::Uuid::from_u128(*attempts))
        };
        let worker = &mut self.workers[i % count];
        worker.decided = worker
            .epoch
            .map(|epoch| (epoch, decide(&snapshot, self.now, &mut next)));
    }

    fn write(&mut self, i: usize) {
        let count = self.workers.len();
        if let Some((epoch, changes)) = self.workers[i % count].decided.take() {
            self.control.apply(epoch, &changes, self.now);
        }
    }

    fn turn(&mut self, i: usize) {
        self.sync(i);
        self.hosts[i].deliver(self.now);
        self.hosts[i].work(self.now);
        self.sync(i);
    }

    fn drive(&mut self) {
        let Some(holder) = self
            .workers
            .iter()
            .position(|w| w.epoch == Some(self.control.epoch()))
        else {
            return;
        };
        loop {
            self.decide(holder);
            let quiet = self.workers[holder]
                .decided
                .as_ref()
                .is_none_or(|(_, changes)| changes.is_empty());
            self.write(holder);
            if quiet {
                return;
            }
        }
    }

    /// Hosts that are out, in truth.
    #[must_use]
    pub fn out(&self) -> usize {
        self.hosts.iter().filter(|host| host.is_out()).count()
    }

    /// What must hold at every instant, whatever happened.
    pub fn check(&self) -> Result<(), String> {
        let snapshot = self.control.snapshot();
        let allowed = snapshot
            .rollout
            .strategy
            .max_out(self.hosts.len())
            .max(self.out_at_start);
        if self.out() > allowed {
            return Err(format!(
                "invariant 1: {} hosts are out, {allowed} may be",
                self.out()
            ));
        }
        let steps = snapshot.steps.iter();
        let canaries = steps.clone().filter(|step| step.wave == 0).count();
        let under_way = steps.clone().filter(|step| step.state.is_in_flight()).count();
        let proved = steps.clone().any(|step| step.state == StepState::Committed);
        if canaries > 0 && !proved && under_way > canaries {
            return Err(format!(
                "{under_way} hosts are activated and no canary has proved the release"
            ));
        }
        for host in &self.hosts {
            host.check()?;
        }
        self.control.check()
    }

    /// Everything works again: everybody is reachable and mended, agents and one worker go on until the rollout is over
    /// and no host is out.
    ///
    /// Returns the simulated seconds that took, or the state it was still in after `bound` of them.
    pub fn settle(&mut self, bound: u32) -> Result<u32, RolloutState> {
        for host in &mut self.hosts {
            host.mends = true;
        }
        self.go_on(bound, |world| world.out() == 0)
    }

    /// Everybody is reachable and alone, agents and one worker go on until the rollout is over. Hosts that are stuck stay so.
    ///
    /// Returns as [`World::settle`] does.
    pub fn finish(&mut self, bound: u32) -> Result<u32, RolloutState> {
        self.go_on(bound, |_| true)
    }

    fn go_on(&mut self, bound: u32, is_enough: impl Fn(&Self) -> bool) -> Result<u32, RolloutState> {
        let begin = self.now;
        self.happen(Happening::Claim(0));
        for host in &mut self.hosts {
            host.online = true;
            host.doubt = None;
        }
        loop {
            self.happen(Happening::Turns);
            self.drive();
            if let Err(broken) = self.check() {
                panic!("{broken}");
            }
            let seconds = u32::try_from((self.now - begin).num_seconds()).unwrap_or(u32::MAX);
            let state = self.control.snapshot().rollout.state;
            if state.is_terminal() && is_enough(self) {
                return Ok(seconds);
            }
            if seconds > bound {
                return Err(state);
            }
            self.pass(10);
        }
    }

    /// What must hold once the rollout is over and every host was heard of.
    pub fn check_end(&self) -> Result<(), String> {
        let snapshot: Snapshot = self.control.snapshot();
        let committed = snapshot
            .steps
            .iter()
            .any(|step| step.state == StepState::Committed);
        match snapshot.rollout.state {
            RolloutState::Succeeded if !committed => {
                return Err("the rollout succeeded and no host runs the release".to_owned());
            }
            RolloutState::Reverted if committed => {
                return Err("the rollout went back and a host runs the release".to_owned());
            }
            _ => {}
        }
        for (step, host) in snapshot.steps.iter().zip(&self.hosts) {
            let want: &StorePath = match step.state {
                StepState::Committed => &step.closure,
                StepState::Reverted => step.prior.as_ref().unwrap_or(&host.before),
                StepState::Skipped => &host.before,
                other => {
                    return Err(format!(
                        "invariant 6: {} is {other} in a rollout that is over",
                        step.name
                    ));
                }
            };
            if &host.live != want || &host.boot != want {
                return Err(format!(
                    "invariant 2: {} is {}, so it should run and boot {want}; it runs {} and boots {}",
                    step.name, step.state, host.live, host.boot
                ));
            }
        }
        Ok(())
    }
}
