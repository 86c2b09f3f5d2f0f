//! One fault from its beginning until the cluster is whole again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::MEMBERS;
use super::member::Part;
use super::network::Cut;
use super::patroni::PatroniRole;
use super::plan::{Fault, FaultKind, Place};
use super::scene::{LOOK, Scene};
use super::writer::Writer;

/// How long a fault lasts at least.
const SHORTEST: Duration = Duration::from_secs(5);
/// How long at most: where a leader must be lost, until its key has expired and another one writes.
const LONGEST: Duration = Duration::from_secs(40);
/// A fault that takes no leader away lasts so long.
const BESIDE: Duration = Duration::from_secs(8);
/// A pause in writing from here on is one.
const PAUSE: Duration = Duration::from_millis(1500);
/// How long it may take to be whole again after a fault.
const WHOLE: Duration = Duration::from_mins(5);

/// What a fault did, as far as the members are concerned.
pub(super) struct Played {
    pub(super) member: String,
    /// Who leads Postgres now.
    pub(super) leader: String,
    pub(super) began: Instant,
    pub(super) ended: Instant,
    /// How long it took from the end of the fault.
    pub(super) whole_after: Duration,
    /// Members whose own clients had nothing to reach.
    pub(super) without_clients: Vec<usize>,
    /// The member where it happened.
    pub(super) target: usize,
}

impl Scene<'_> {
    /// Plays one fault.
    pub(super) async fn play(&mut self, fault: Fault) -> Result<Played> {
        let target = self.target(fault).await?;
        let began = Instant::now();
        let mut without_clients = vec![target];
        if !fault.kind.takes_clients() {
            without_clients.clear();
        }
        match fault.kind {
            FaultKind::Kill(part) => {
                self.members[target].kill(self.run, part).await?;
                self.pass(SHORTEST).await?;
            }
            FaultKind::Freeze(part) => {
                self.members[target].freeze(self.run, part, true)?;
                let held = self.hold(fault, target, began).await;
                self.members[target].freeze(self.run, part, false)?;
                held?;
            }
            FaultKind::Cut(cut) => {
                self.members[target].network.cut(self.run, cut).await?;
                let held = self.hold(fault, target, began).await;
                self.members[target].network.heal(self.run).await?;
                held?;
            }
            FaultKind::FillDisk => {
                self.members[target].disk.fill()?;
                let held = self.hold(fault, target, began).await;
                self.members[target].disk.empty()?;
                held?;
            }
            FaultKind::Reboot => {
                self.members[target].power_off(self.run).await?;
                self.hold(fault, target, began).await?;
                self.members[target].boot(self.run, &self.shared).await?;
            }
            FaultKind::RebootTwo => {
                self.members[target].power_off(self.run).await?;
                self.hold(fault, target, began).await?;
                let second = self.leader_besides(target).await?;
                self.members[target].boot(self.run, &self.shared).await?;
                let again = Instant::now();
                self.members[second].power_off(self.run).await?;
                without_clients.push(second);
                self.hold(fault, second, again).await?;
                self.members[second].boot(self.run, &self.shared).await?;
            }
            FaultKind::SwitchOver => {
                self.asker.switch_over(&self.members[target]).await?;
            }
        }
        let whole_after = self.wait_whole(WHOLE).await?;
        let leader = self.leader().await?;
        Ok(Played {
            member: self.members[target].name.clone(),
            leader: self.members[leader].name.clone(),
            began,
            ended: Instant::now(),
            whole_after,
            without_clients,
            target,
        })
    }

    /// The member at a fault's place.
    async fn target(&self, fault: Fault) -> Result<usize> {
        if fault.kind.is_of_redis() {
            let (primary, _) = self.cache.primary().await?;
            let primary = self
                .members
                .iter()
                .position(|member| member.network.address == primary);
            let primary = primary.context("the primary is no member")?;
            return Ok((primary + fault.place as usize) % MEMBERS);
        }
        let cluster = self.cluster().await?;
        let role = match fault.place {
            Place::Leader => PatroniRole::Leader,
            Place::Standby => PatroniRole::SyncStandby,
            Place::Replica => PatroniRole::Replica,
        };
        let name = cluster
            .find(role)
            .with_context(|| format!("there is no {role:?}"))?;
        self.index(name)
    }

    /// The leader that the others have while one is off.
    async fn leader_besides(&mut self, off: usize) -> Result<usize> {
        let end = Instant::now() + LONGEST;
        loop {
            let leader = self.leader().await;
            match leader {
                Ok(leader) if leader != off => return Ok(leader),
                _ if Instant::now() > end => return leader.context("nobody else leads"),
                _ => self.pass(LOOK).await?,
            }
        }
    }

    /// Lets a fault last: where it stops writes, until they go on.
    async fn hold(&mut self, fault: Fault, target: usize, began: Instant) -> Result<()> {
        loop {
            self.pass(LOOK).await?;
            let lasted = began.elapsed();
            if lasted < SHORTEST {
                continue;
            }
            let others = |writers: &[Writer]| {
                let others = writers.iter().enumerate().filter(|(index, _)| *index != target);
                others
                    .map(|(_, writer)| went_on(writer, began))
                    .collect::<Vec<_>>()
            };
            let all = [others(&self.stacks), others(&self.caches)].concat();
            let stopped = all.contains(&None);
            let paused = all.contains(&Some(true));
            let longest = if fault.place == Place::Replica && fault.kind != FaultKind::RebootTwo {
                BESIDE
            } else {
                Self::longest(fault)
            };
            if lasted >= longest || (paused && !stopped) {
                return Ok(());
            }
        }
    }

    const fn longest(fault: Fault) -> Duration {
        match fault.kind {
            // HAProxy and the Sentinels lead nothing.
            FaultKind::Freeze(Part::Haproxy | Part::Redis | Part::Sentinel) => BESIDE,
            // The leader stays, as it reaches the others.
            FaultKind::Cut(Cut::Etcd) => Duration::from_secs(25),
            _ => LONGEST,
        }
    }
}

/// Whether a writer had a pause since; nothing while it has one.
fn went_on(writer: &Writer, since: Instant) -> Option<bool> {
    let acks = writer.acks();
    let last = acks.last()?;
    if last.acked.elapsed() > PAUSE / 2 {
        return None;
    }
    Some(super::verdict::longest_gap(&acks, since, last.acked) > PAUSE)
}
