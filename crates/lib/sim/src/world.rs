//! The fleet in truth, and what happens to it.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use slipway_domain::decide::{Change, Effect, decide};
use slipway_domain::lives::Doubt;
use slipway_domain::plan::{Fleet, FleetHost, waves};
use slipway_domain::snapshot::{CommandKind, Snapshot, StepSnapshot};
use slipway_domain::{AttemptId, RolloutState, StepState, StorePath, Strategy, Timestamp};
use uuid::Uuid;

use crate::{Member, Memory, SimControlPlane, SimHost, TimeChange, order, times};

/// How many workers there are.
const WORKERS: usize = 2;

/// Hosts, control plane and workers at one instant.
pub struct World<C: SimControlPlane = Memory> {
    /// The instant; one clock for all.
    pub now: Timestamp,
    /// What the control plane has written down.
    pub control: C,
    /// The truth.
    pub hosts: Vec<SimHost>,
    /// Every change that was written.
    pub written: Vec<Change>,
    /// Decisions that came too late to be written.
    pub refused: u32,
    /// What each worker decided, and what it had read it under.
    decided: [Option<Decided<C::Lease>>; WORKERS],
    /// The worker that took the lease last.
    holder: usize,
    strategy: Strategy,
    /// Hosts that were out before the rollout began: the bound of invariant 1 when it is over the strategy's.
    out_at_start: usize,
    /// Those of them that still are.
    out_since_start: BTreeSet<usize>,
    /// Those of them that got a new disk. Nobody is told, so the rules go on counting them as out since before.
    replaced_while_out: BTreeSet<usize>,
    attempts: u128,
    broken: Option<String>,
}

/// A decision that is not written yet.
struct Decided<L> {
    lease: L,
    read: Snapshot,
    changes: Vec<Change>,
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
    /// A host gets the labels that another one has, or none.
    Relabel(usize, u8),
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
    /// An approver looks at the rollout's plan; an approval is for the plan that was last looked at.
    Look,
    /// Somebody says when rollouts may begin something.
    Time(TimeChange),
    /// Somebody changes a host by hand, and with it what a switch would change there.
    Drift(usize),
    /// The next rollout begins, of this version on every host, if the one before is over.
    Release(u32),
}

impl World {
    /// A fleet with this control plane's model, and the beginning of a rollout of a closure with each host's fate.
    #[must_use]
    pub fn new<M: Into<Member> + Clone>(strategy: &Strategy, members: &[M], stuck_before: usize) -> Self {
        let members: Vec<Member> = members.iter().cloned().map(Into::into).collect();
        Self::with(Memory::new(), strategy, &members, stuck_before)
    }
}

impl<C: SimControlPlane> World<C> {
    /// As [`World::new`], with this control plane.
    pub fn with(control: C, strategy: &Strategy, members: &[Member], stuck_before: usize) -> Self {
        let hosts = members.iter().cloned().enumerate();
        let mut world = Self {
            now: Timestamp::from_timestamp(1_800_000_000, 0).expect("a valid instant"),
            control,
            hosts: hosts
                .map(|(i, member)| SimHost::new(i, member, i < stuck_before))
                .collect(),
            written: Vec::new(),
            refused: 0,
            decided: [None, None],
            holder: 0,
            strategy: strategy.clone(),
            out_at_start: stuck_before,
            out_since_start: (0..stuck_before).collect(),
            replaced_while_out: BTreeSet::new(),
            attempts: 0,
            broken: None,
        };
        world.control.set_clock(world.now);
        world.control.enroll(&world.hosts);
        for (i, host) in world.hosts.iter().enumerate() {
            world.control.observe(i, host);
        }
        world.plan(1);
        world.happen(Happening::Claim(0));
        world
    }

    /// Begins the next rollout once the one before is over: of version `version` on every host.
    pub fn begin_rollout(&mut self, strategy: &Strategy, version: u32) {
        self.strategy = strategy.clone();
        self.out_at_start = self.out();
        let hosts = self.hosts.iter().enumerate();
        self.out_since_start = hosts.filter(|(_, host)| host.is_out()).map(|(i, _)| i).collect();
        self.replaced_while_out.clear();
        for host in &mut self.hosts {
            host.expect(version);
        }
        self.plan(version);
    }

    fn plan(&mut self, version: u32) {
        let host = |host: &SimHost| FleetHost {
            labels: host.labels.clone(),
            online: host.online,
            takes_part: true,
        };
        let hosts = self.hosts.iter();
        let fleet: Fleet = hosts.map(|known| (known.name.clone(), host(known))).collect();
        let waves = waves(&self.strategy, &fleet);
        self.control
            .begin_rollout(&self.strategy, &self.hosts, &waves, version);
    }

    /// Lets one thing happen.
    pub fn happen(&mut self, what: Happening) {
        self.let_happen(what);
        self.out_since_start.retain(|i| self.hosts[*i].is_out());
    }

    fn let_happen(&mut self, what: Happening) {
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
            Happening::Forget(i) => {
                if self.out_since_start.contains(&(i % hosts)) {
                    self.replaced_while_out.insert(i % hosts);
                }
                self.hosts[i % hosts].forget();
            }
            Happening::Relabel(i, as_host) => {
                let other = self.hosts.get(usize::from(as_host) % (2 * hosts));
                let labels = other.map(|other| other.labels.clone()).unwrap_or_default();
                self.hosts[i % hosts].labels = labels;
                self.control.relabel(i % hosts, &self.hosts[i % hosts]);
            }
            Happening::Claim(i) => {
                self.holder = i % WORKERS;
                self.control.claim(self.holder);
            }
            Happening::Decide(i) => self.decide(i % WORKERS),
            Happening::Write(i) => {
                self.write(i % WORKERS);
            }
            Happening::Turn(i) => self.turn(i % hosts),
            Happening::Turns => (0..hosts).for_each(|i| self.turn(i)),
            Happening::Drive => self.drive(),
            Happening::Command(kind) => self.control.request(kind),
            Happening::Look => self.control.look(),
            Happening::Time(change) => change.make(&mut self.control, self.now),
            Happening::Drift(i) => self.hosts[i % hosts].drifts += 1,
            Happening::Release(version) => {
                if self.control.snapshot().rollout.state.is_terminal() {
                    self.begin_rollout(&self.strategy.clone(), version);
                }
            }
        }
    }

    fn pass(&mut self, seconds: u32) {
        self.now += TimeDelta::seconds(i64::from(seconds));
        self.control.set_clock(self.now);
        for host in &mut self.hosts {
            host.fire_deadman(self.now);
        }
    }

    fn sync(&mut self, i: usize) {
        let host = &mut self.hosts[i];
        if !host.online || host.is_hung() {
            return;
        }
        host.inbox = Some(self.control.observe(i, host));
    }

    fn decide(&mut self, worker: usize) {
        let attempts = &mut self.attempts;
        let mut next = || {
            *attempts += 1;
            AttemptId::from_uuid(Uuid::from_u128(*attempts))
        };
        let read = self.control.read(worker);
        self.decided[worker] = read.map(|(lease, read)| Decided {
            lease,
            changes: decide(&read, self.now, &mut next),
            read,
        });
    }

    /// True when something was written.
    fn write(&mut self, worker: usize) -> bool {
        let Some(Decided { lease, read, changes }) = self.decided[worker].take() else {
            return false;
        };
        if changes.is_empty() {
            return false;
        }
        let closed = times::begun_while_closed(&self.control, &changes, self.now);
        match self.control.write(&lease, &changes) {
            Ok(true) => {
                self.broken = self.broken.take().or(closed);
                // Nobody else has changed a step since it was read.
                let broken = changes
                    .iter()
                    .find_map(|change| order::broken_by(&read, change, self.now));
                self.broken = self.broken.take().or(broken);
                self.written.extend(changes);
                return true;
            }
            Ok(false) => self.refused += 1,
            Err(broken) => self.broken = Some(broken),
        }
        false
    }

    fn turn(&mut self, i: usize) {
        self.sync(i);
        self.hosts[i].deliver(self.now);
        self.hosts[i].work(self.now);
        self.sync(i);
    }

    fn drive(&mut self) {
        loop {
            self.decide(self.holder);
            if !self.write(self.holder) {
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
        let since_start: BTreeSet<_> = self
            .out_since_start
            .union(&self.replaced_while_out)
            .map(|i| &self.hosts[*i].name)
            .collect();
        order::check_truth(
            &snapshot,
            |step| self.host_of(step).is_out(),
            |step| since_start.contains(&step.name),
        )?;
        for host in &self.hosts {
            host.check()?;
        }
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let mut steps = snapshot.steps.iter();
        match steps.find(|step| !step.state.is_settled()) {
            Some(step) if snapshot.rollout.state.is_terminal() => {
                Err(format!("the rollout is over and {} is {}", step.name, step.state))
            }
            _ => Ok(()),
        }
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
        for step in &snapshot.steps {
            let host = self.host_of(step);
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

    fn host_of(&self, step: &StepSnapshot) -> &SimHost {
        let mut hosts = self.hosts.iter();
        hosts
            .find(|host| host.name == step.name)
            .expect("a host of the fleet")
    }

    /// What came of it, in words that are the same whatever the control plane is: every change, and how everything is.
    #[must_use]
    pub fn account(&self) -> Vec<String> {
        let snapshot = self.control.snapshot();
        let changes = self.written.iter().map(|change| {
            let effect = match &change.effect {
                Effect::Rollout { from, to, .. } => format!("{from} to {to}"),
                Effect::Scope(scope) => format!("scope {}", scope.as_str()),
                Effect::Hold(hold) => format!("hold {hold:?}"),
                Effect::Step {
                    from, to, attempt, ..
                } => format!("a step {from} to {to} {attempt:?}"),
                Effect::Prior { prior, .. } => format!("prior {prior}"),
                Effect::Plan { plan, .. } => format!("plan {}", plan.digest),
                Effect::Command { refused, .. } => format!("command {refused:?}"),
            };
            format!("{:?}: {effect} ({})", change.actor, change.cause)
        });
        let steps = snapshot.steps.iter().map(|step| {
            let StepSnapshot {
                name,
                wave,
                group,
                canary,
                cluster,
                state,
                since,
                activated,
                attempt,
                failures,
                closure,
                prior,
                reason,
                plan,
                observed,
                out_before,
                ..
            } = step;
            format!(
                "{:?}",
                (
                    (name, wave, group, canary, cluster, state),
                    (since, activated, attempt),
                    (failures, closure, prior, reason, plan, observed, out_before)
                )
            )
        });
        let hosts = self.hosts.iter().map(|host| {
            format!(
                "{} runs {} and boots {} after {} activations",
                host.name, host.live, host.boot, host.activations
            )
        });
        let rollout = &snapshot.rollout;
        let end = format!(
            "{:?}",
            (
                rollout.state,
                rollout.since,
                rollout.scope,
                &rollout.reason,
                rollout.awaits_verdict,
                snapshot.fleet_size,
                &snapshot.out_elsewhere,
                snapshot.commands.len(),
                &snapshot.swapped
            )
        );
        changes.chain([end]).chain(steps).chain(hosts).collect()
    }
}
