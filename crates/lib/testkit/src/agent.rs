//! An agent that obeys at once and without a machine.

use slipway_domain::agent::{AttemptReport, Verdict};
use slipway_domain::drift::Override;
use slipway_domain::{
    AttemptId, AttemptPhase, HostId, HostName, Instruction, Observation, StorePath, Timestamp,
};
use slipway_store::{Assigned, RecordedObservation, Store};

/// A model of one host and its agent. It carries out an instruction at once; tests may set its fields.
#[derive(Debug, Clone)]
pub struct ScriptedAgent {
    /// The host's id.
    pub id: HostId,
    /// The host's name.
    pub name: HostName,
    /// What runs.
    pub live: Option<StorePath>,
    /// What the next boot would run.
    pub boot_default: Option<StorePath>,
    /// What it finds beside the system; `None` as an agent that does not look.
    pub overrides: Option<Vec<Override>>,
    /// What it reports.
    pub report: Option<AttemptReport>,
    /// The attempt it began and did not settle.
    pub unsettled: Option<AttemptId>,
    /// Which boot of its machine it is.
    pub boot_id: String,
    /// Microseconds since that boot, one more at every [`ScriptedAgent::sync`]; `None` as an agent of release 0.1.0.
    pub counter: Option<u64>,
    /// Whether its checks fail, so that it goes back by itself.
    pub failing: bool,
    staged: Option<StorePath>,
}

impl ScriptedAgent {
    /// An agent of a host that runs this closure.
    #[must_use]
    pub fn new(id: HostId, name: HostName, live: Option<StorePath>) -> Self {
        Self {
            id,
            name,
            boot_default: live.clone(),
            live,
            overrides: None,
            report: None,
            unsettled: None,
            boot_id: "b0075eed".to_owned(),
            counter: Some(0),
            failing: false,
            staged: None,
        }
    }

    /// What it sees.
    #[must_use]
    pub fn observation(&self, clock: Timestamp) -> Observation {
        Observation {
            host: self.name.clone(),
            agent_version: "test".to_owned(),
            clock,
            boot_id: self.boot_id.clone(),
            counter: self.counter,
            live: self.live.clone(),
            boot_default: self.boot_default.clone(),
            report: self.report.clone(),
            unsettled: self.unsettled,
            journal_trouble: None,
            plan: None,
            overrides: self.overrides.clone(),
            facts: None,
            pending_reboot: None,
        }
    }

    /// Posts its observation to the store and carries out the instruction. Returns the instruction.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn sync(&mut self, store: &Store) -> (RecordedObservation, Instruction) {
        self.counter = self.counter.map(|counter| counter + 1);
        let now = store.now().await.unwrap();
        let recorded = store
            .record_observation(self.id, &self.observation(now))
            .await
            .unwrap();
        let assigned = recorded.assigned.as_ref();
        let instruction = assigned.map_or(Instruction::Idle, Assigned::instruction);
        self.obey(&instruction);
        (recorded, instruction)
    }

    /// Carries out an instruction; its next report shows the outcome.
    pub fn obey(&mut self, instruction: &Instruction) {
        match instruction {
            Instruction::Idle | Instruction::Probe { .. } => {}
            Instruction::Stage { attempt, closure, .. } => {
                self.staged = Some(closure.clone());
                self.say(*attempt, AttemptPhase::Staged, None);
            }
            Instruction::Activate { attempt, closure, .. } => {
                let prior = self.live.clone();
                if self.failing {
                    self.say(*attempt, AttemptPhase::Reverted, Some(Verdict::Fail));
                } else {
                    self.live = Some(closure.clone());
                    self.unsettled = Some(*attempt);
                    self.say(*attempt, AttemptPhase::Verified, Some(Verdict::Pass));
                }
                self.remember(prior);
            }
            Instruction::Commit { attempt } => {
                self.boot_default = self.live.clone();
                self.unsettled = None;
                self.advance(*attempt, AttemptPhase::Committed);
            }
            Instruction::Revert { attempt, prior, .. } => {
                let own = self.report.as_ref().and_then(|report| report.prior.clone());
                if let Some(prior) = own.or_else(|| prior.clone()) {
                    (self.live, self.boot_default) = (Some(prior.clone()), Some(prior));
                }
                self.unsettled = None;
                self.advance(*attempt, AttemptPhase::Reverted);
            }
        }
    }

    fn say(&mut self, attempt: AttemptId, phase: AttemptPhase, verdict: Option<Verdict>) {
        self.report = Some(AttemptReport {
            attempt,
            phase,
            prior: None,
            verdict,
            message: None,
            hooks: None,
            plan: None,
            reboot: None,
        });
    }

    fn remember(&mut self, prior: Option<StorePath>) {
        if let Some(report) = &mut self.report {
            report.prior = prior;
        }
    }

    fn advance(&mut self, attempt: AttemptId, phase: AttemptPhase) {
        match &mut self.report {
            Some(report) if report.attempt == attempt => report.phase = phase,
            _ => self.say(attempt, phase, None),
        }
    }
}
