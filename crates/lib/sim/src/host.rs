//! A host in truth, and its agent.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use slipway_domain::agent::{AttemptReport, Instruction, RebootReport, Verdict};
use slipway_domain::digest::{Digest, Digester};
use slipway_domain::lives::Doubt;
use slipway_domain::{AttemptId, AttemptPhase, HostName, Labels, PlanReport, StorePath, Timestamp};

use crate::{ClosureFate, Member, SimBoot};

/// The agent's journal of an activation.
#[derive(Debug, Clone)]
struct SimJournal {
    attempt: AttemptId,
    closure: StorePath,
    prior: StorePath,
    phase: AttemptPhase,
    verdict: Option<Verdict>,
    committed: bool,
    deadline: Timestamp,
    /// How often the boot loader was told to boot the closure, where it is to be booted.
    boots: Option<u32>,
}

impl SimJournal {
    fn is_unsettled(&self) -> bool {
        !matches!(self.phase, AttemptPhase::Committed | AttemptPhase::Reverted)
    }
}

/// A host and its agent.
#[derive(Debug)]
pub struct SimHost {
    /// Its name.
    pub name: HostName,
    /// Its labels.
    pub labels: Labels,
    /// What runs.
    pub live: StorePath,
    /// What the next boot runs.
    pub boot: StorePath,
    /// What ran before the newest rollout.
    pub before: StorePath,
    /// Whether it can be reached.
    pub online: bool,
    /// What there is to doubt about its word, such as another machine with its token; then it is told nothing.
    pub doubt: Option<Doubt>,
    /// Whether somebody has mended it, so that reverting works from now on.
    pub mends: bool,
    /// An answer on its way.
    pub inbox: Option<Instruction>,
    /// The version that the newest rollout brings.
    pub version: u32,
    /// How often something was activated.
    pub activations: u32,
    /// How often somebody changed something here by hand, which no switch says of itself.
    pub drifts: u32,
    /// When the manifest of what is rolled out here ends; none where nothing is signed.
    pub expires: Option<Timestamp>,
    /// What the newest activation would change, in truth.
    pub activated_plan: Option<Digest>,
    index: usize,
    fate: ClosureFate,
    boots: SimBoot,
    /// An earlier rollout left it stuck, and it does not mend by itself.
    broken: bool,
    journal: Option<SimJournal>,
    staging: Option<AttemptReport>,
    fetches: Option<StorePath>,
    settled: BTreeSet<AttemptId>,
    proven: BTreeSet<StorePath>,
    power_cuts: u32,
}

/// A closure of a host; 0 is what it runs at first.
pub(crate) fn closure(host: usize, version: u32) -> StorePath {
    format!("/nix/store/{host:016}{version:016}-system")
        .parse()
        .expect("a valid path")
}

impl SimHost {
    pub(crate) fn new(index: usize, member: Member, stuck: bool) -> Self {
        let Member { fate, labels, kernel } = member;
        let first = closure(index, u32::from(fate == ClosureFate::There));
        let old = SimJournal {
            attempt: AttemptId::from_uuid(uuid::Uuid::from_u128(u128::MAX - index as u128)),
            closure: closure(index, 999),
            prior: first.clone(),
            phase: AttemptPhase::Stuck,
            verdict: None,
            committed: false,
            deadline: Timestamp::MAX_UTC,
            boots: None,
        };
        Self {
            name: format!("host-{index:04}").parse().expect("a valid name"),
            labels,
            live: if stuck { closure(index, 999) } else { first.clone() },
            boot: first.clone(),
            before: first.clone(),
            online: true,
            doubt: None,
            mends: false,
            inbox: None,
            version: 1,
            activations: 0,
            drifts: 0,
            expires: None,
            activated_plan: None,
            fetches: None,
            index,
            fate,
            boots: SimBoot {
                kernel,
                ..SimBoot::default()
            },
            broken: stuck,
            journal: stuck.then_some(old),
            staging: None,
            settled: BTreeSet::new(),
            proven: BTreeSet::from([first]),
            power_cuts: 0,
        }
    }

    /// Whether its agent and its closures speak of reboots. Every fifth host has an agent from before them.
    const fn knows_reboots(&self) -> bool {
        self.index % 5 != 4
    }

    /// Whether it must reboot for the release.
    fn needs_reboot(&self) -> bool {
        self.boots.kernel && self.fate != ClosureFate::There
    }

    /// Whether it can be reached by anybody.
    #[must_use]
    pub const fn is_hung(&self) -> bool {
        self.boots.hung
    }

    /// Whether it is out, in truth: an activation was begun and is not settled.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.unsettled().is_some()
    }

    /// The attempt that was begun and is not settled.
    #[must_use]
    pub fn unsettled(&self) -> Option<AttemptId> {
        self.journal
            .as_ref()
            .filter(|journal| journal.is_unsettled())
            .map(|journal| journal.attempt)
    }

    /// What its agent is at, or was last.
    #[must_use]
    pub fn report(&self) -> Option<AttemptReport> {
        self.staging.clone().or_else(|| {
            self.journal.as_ref().map(|journal| AttemptReport {
                attempt: journal.attempt,
                phase: journal.phase,
                prior: Some(journal.prior.clone()),
                verdict: journal.verdict,
                message: None,
                hooks: None,
                plan: None,
                reboot: None,
            })
        })
    }

    /// Takes the answer in.
    pub(crate) fn deliver(&mut self, now: Timestamp) {
        let instruction = self.inbox.take();
        let Some(instruction) = instruction.filter(|_| !self.boots.hung) else {
            return;
        };
        let Some(attempt) = instruction.attempt() else {
            return;
        };
        if self.settled.contains(&attempt) && !matches!(instruction, Instruction::Revert { .. }) {
            return;
        }
        let refused = self.expires.is_some_and(|end| now >= end) || self.unapproved(&instruction);
        let journal = self.journal.as_mut().filter(|journal| journal.attempt == attempt);
        match instruction {
            Instruction::Stage { .. } if self.expires.is_some_and(|end| now >= end) => {
                self.staging = Some(report(attempt, AttemptPhase::StageFailed));
                self.settled.insert(attempt);
            }
            Instruction::Stage { closure, .. } => {
                self.staging = Some(report(attempt, AttemptPhase::Staging));
                self.fetches = Some(closure);
            }
            Instruction::Activate { .. } if journal.is_none() && refused => {
                self.staging = Some(report(attempt, AttemptPhase::StageFailed));
                self.settled.insert(attempt);
            }
            Instruction::Activate {
                attempt,
                closure,
                plan,
                ..
            } if journal.is_none() => {
                self.staging = None;
                // A stuck attempt's one boot ends with it.
                self.boots.once = None;
                let boots = self.knows_reboots() && plan.reboot.applies(self.needs_reboot());
                self.activated_plan = Some(self.plan(&closure).digest);
                let prior = match &self.journal {
                    Some(old) if old.is_unsettled() => old.prior.clone(),
                    _ => self.live.clone(),
                };
                self.journal = Some(SimJournal {
                    attempt,
                    closure,
                    prior,
                    phase: AttemptPhase::Activating,
                    verdict: None,
                    committed: false,
                    deadline: now + TimeDelta::seconds(i64::from(plan.deadman_seconds)),
                    boots: boots.then_some(0),
                });
            }
            Instruction::Commit { .. } => {
                if let Some(journal) = journal.filter(|journal| journal.phase == AttemptPhase::Verified) {
                    journal.phase = AttemptPhase::Committed;
                    journal.committed = true;
                    self.boot = journal.closure.clone();
                }
            }
            Instruction::Revert { .. } => match journal {
                Some(journal) if journal.phase != AttemptPhase::Reverted => {
                    journal.phase = AttemptPhase::Reverting;
                }
                Some(_) => {}
                // Nothing of it was begun here, and now nothing will be.
                None => {
                    self.settled.insert(attempt);
                    self.staging = Some(report(attempt, AttemptPhase::Reverted));
                }
            },
            Instruction::Activate { .. } | Instruction::Idle | Instruction::Probe { .. } => {}
        }
    }

    /// Gets one thing done.
    pub(crate) fn work(&mut self, now: Timestamp) {
        if self.boots.hung {
            if self.mends {
                self.reboot();
            }
            return;
        }
        if let Some(staging) = self
            .staging
            .as_mut()
            .filter(|staging| staging.phase == AttemptPhase::Staging)
        {
            if self.fate == ClosureFate::FailsStage {
                staging.phase = AttemptPhase::StageFailed;
                return;
            }
            staging.phase = AttemptPhase::Staged;
            let plan = self.fetches.as_ref().map(|closure| self.plan(closure));
            let needed = self.needs_reboot().then(|| "kernel".to_owned());
            let reboot = self.knows_reboots().then(|| RebootReport {
                needed: needed.into_iter().collect(),
                obstacle: None,
            });
            if let Some(staging) = &mut self.staging {
                (staging.plan, staging.reboot) = (plan, reboot);
            }
            return;
        }
        let fails = (self.broken || self.fate == ClosureFate::FailsRevert) && !self.mends;
        let fate = self.fate;
        let Some(journal) = self.journal.as_mut() else {
            return;
        };
        match journal.phase {
            AttemptPhase::Activating if journal.boots == Some(0) => {
                journal.boots = Some(1);
                self.boots.once = Some(journal.closure.clone());
            }
            AttemptPhase::Activating if journal.boots.is_some() => self.boot_again(),
            AttemptPhase::Activating => {
                self.live = journal.closure.clone();
                self.activations += 1;
                journal.phase = if fate == ClosureFate::FailsSwitch {
                    AttemptPhase::Reverting
                } else {
                    AttemptPhase::Verifying
                };
            }
            AttemptPhase::Verifying => match fate {
                ClosureFate::FailsChecks | ClosureFate::FailsRevert => {
                    journal.phase = AttemptPhase::Reverting;
                }
                ClosureFate::Inconclusive => journal.verdict = Some(Verdict::Unknown),
                _ => {
                    journal.phase = AttemptPhase::Verified;
                    journal.verdict = Some(Verdict::Pass);
                    self.proven.insert(journal.closure.clone());
                }
            },
            AttemptPhase::Reverting | AttemptPhase::Stuck if fails => {
                journal.phase = AttemptPhase::Stuck;
            }
            AttemptPhase::Reverting | AttemptPhase::Stuck => self.go_back(),
            _ => self.fire_deadman(now),
        }
    }

    /// Whether it is told to activate, and the switch would change something else than what was approved.
    fn unapproved(&self, instruction: &Instruction) -> bool {
        match instruction {
            Instruction::Activate {
                closure,
                approved_plan: Some(approved),
                ..
            } => self.plan(closure).digest != *approved,
            _ => false,
        }
    }

    /// What a switch to the closure would change.
    #[must_use]
    pub fn plan(&self, closure: &StorePath) -> PlanReport {
        let mut digester = Digester::new("model plan");
        digester
            .field("live", &self.live)
            .field("closure", closure)
            .field("drifts", self.drifts);
        PlanReport {
            digest: digester.finish(),
            from: self.live.clone(),
            bytes_before: 1,
            bytes_after: 1,
            bytes_new: 1,
        }
    }

    fn go_back(&mut self) {
        let Some(journal) = self.journal.as_mut() else {
            return;
        };
        self.live = journal.prior.clone();
        self.boot = journal.prior.clone();
        self.boots.once = None;
        journal.phase = AttemptPhase::Reverted;
        self.settled.insert(journal.attempt);
    }

    pub(crate) fn fire_deadman(&mut self, now: Timestamp) {
        if self.boots.hung {
            return;
        }
        let fires = |journal: &&mut SimJournal| {
            matches!(
                journal.phase,
                AttemptPhase::Activating | AttemptPhase::Verifying | AttemptPhase::Verified
            ) && now >= journal.deadline
        };
        if let Some(journal) = self.journal.as_mut().filter(fires) {
            journal.phase = AttemptPhase::Reverting;
        }
    }

    /// The agent is killed and started again: it knows what its journal says, and has lost what it was told.
    pub(crate) fn restart(&mut self) {
        self.inbox = None;
        self.staging = self
            .staging
            .take()
            .filter(|staging| staging.phase == AttemptPhase::Reverted);
        if let Some(journal) = self.journal.as_mut()
            && journal.phase == AttemptPhase::Activating
            && journal.boots != Some(1)
            && self.live != journal.closure
        {
            journal.phase = AttemptPhase::Reverting;
        }
    }

    /// The power goes and comes back: the boot default runs, or what the boot loader was told to boot once.
    pub(crate) fn reboot(&mut self) {
        self.power_cuts += 1;
        self.boot_again();
    }

    fn boot_again(&mut self) {
        self.inbox = None;
        let once = self.boots.once.take();
        self.boots.hung = once.is_some() && self.fate == ClosureFate::NeverBoots;
        if self.boots.hung {
            return;
        }
        let comes_up = once.filter(|_| self.fate != ClosureFate::BootsForEver);
        self.live = comes_up.unwrap_or_else(|| self.boot.clone());
        self.restart();
        if let Some(journal) = self.journal.as_mut()
            && journal.phase == AttemptPhase::Activating
            && journal.boots == Some(1)
            && self.live == journal.closure
        {
            journal.phase = AttemptPhase::Verifying;
            self.activations += 1;
            return;
        }
        if let Some(journal) = self.journal.as_mut()
            && matches!(
                journal.phase,
                AttemptPhase::Activating
                    | AttemptPhase::Verifying
                    | AttemptPhase::Verified
                    | AttemptPhase::Stuck
            )
        {
            journal.phase = AttemptPhase::Reverting;
        }
    }

    /// It is installed again with the closure that it ran at first, and knows of nothing that was before.
    pub(crate) fn forget(&mut self) {
        let first = closure(self.index, u32::from(self.fate == ClosureFate::There));
        self.proven.insert(first.clone());
        (self.live, self.boot) = (first.clone(), first);
        (self.inbox, self.journal, self.staging) = (None, None, None);
        (self.boots.once, self.boots.hung) = (None, false);
        self.settled.clear();
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let tells = self.journal.as_ref().and_then(|journal| journal.boots);
        if tells.is_some_and(|boots| boots > 1) {
            return Err(format!("{} boots a closure more than once", self.name));
        }
        if self.boots.once.is_some() && !self.is_out() {
            return Err(format!(
                "{} would boot {:?} once and is not out",
                self.name, self.boots.once
            ));
        }
        if self.proven.contains(&self.boot) {
            Ok(())
        } else {
            Err(format!(
                "invariant 3: {} would boot {}, which was never verified",
                self.name, self.boot
            ))
        }
    }

    /// A rollout of another version begins, which this becomes of.
    pub(crate) fn expect(&mut self, version: u32) {
        self.version = version;
        self.before = match &self.journal {
            Some(journal) if journal.is_unsettled() => journal.prior.clone(),
            _ => self.live.clone(),
        };
    }

    /// What becomes of closures from now on.
    pub const fn set_fate(&mut self, fate: ClosureFate) {
        self.fate = fate;
    }

    /// The closure of a version for this host.
    #[must_use]
    pub fn target(&self, version: u32) -> StorePath {
        closure(self.index, version)
    }
}

fn report(attempt: AttemptId, phase: AttemptPhase) -> AttemptReport {
    AttemptReport {
        attempt,
        phase,
        prior: None,
        verdict: None,
        message: None,
        hooks: None,
        plan: None,
        reboot: None,
    }
}
