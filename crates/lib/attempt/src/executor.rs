//! The only part that acts on the machine.
//!
//! The whole path of an attempt stands in one place: `executor/phases.rs`. Each phase has a file of its own.
//!
//! Level-triggered: every step reads the journal under its lock, looks at the machine and at the newest instruction, and
//! does one bounded piece of work. So a start after a crash needs no special code, nor does a dead-man that acted
//! meanwhile. Each journal write says which action waits for it. If a write fails on a full disk, an attempt does not
//! begin and does not commit, but it is still verified and reverted.

mod activating;
mod committing;
mod deadman;
mod hook_list;
mod hooks;
mod hooks_after;
mod hooks_back;
mod instruction;
mod judge;
mod locked;
mod phases;
mod planning;
mod rebooting;
mod reverting;
mod staging;
mod trace;
mod verifying;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use slipway_domain::agent::AttemptReport;
use slipway_domain::{AttemptId, HostName, HostPlan, Instruction, StorePath, TraceParent};
use slipway_host::ReleaseClaim;
use slipway_host::clock::{BootMs, Clock};
use slipway_host::door::{Refusal, Runnable};
use slipway_host::job::JobId;
use slipway_host::operations::HostOperations;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

pub use deadman::RevertOutcome;
use judge::{FailingChecks, Streak};
use locked::LockedExecutor;
use phases::Duty;
use trace::PhaseSpan;

use crate::journal::{Attempt, Journal, JournalPhase, JournalStore};

/// How often an idle executor checks the machine: a dead-man or a person may have changed the journal.
const REST: Duration = Duration::from_secs(2);
/// How often something under way is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// After an error of the state folder.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);

/// What the executor shows to the sync loop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecutorView {
    /// What the control plane is to be told of an attempt.
    pub report: Option<AttemptReport>,
    /// The attempt that has begun and is neither committed nor reverted.
    pub unsettled: Option<AttemptId>,
    /// What is wrong with the state folder.
    pub trouble: Option<String>,
    /// The plan that the report names the digest of.
    pub plan: Option<Arc<HostPlan>>,
    /// Where spans about the reported attempt hang.
    pub traceparent: Option<TraceParent>,
}

/// When to take the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextStep {
    Now,
    After(Duration),
}

/// Which of the journal's attempts is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JournalSlot {
    Current,
    Unsettled,
}

/// Carries out instructions on a host, and finishes what was begun.
#[derive(Debug)]
pub struct Executor<H, C> {
    host: Arc<H>,
    clock: C,
    store: JournalStore,
    keep_releases: usize,
    /// The least time of a switch, whatever the control plane says.
    least_switch_seconds: u32,
    /// How many times a day attempts may have the host reboot.
    most_reboots: u32,
    instructions: watch::Receiver<Instruction>,
    view: watch::Sender<ExecutorView>,
    /// The truth. Ahead of the disk only while the disk is full.
    journal: Journal,
    /// What was last read or written.
    on_disk: Option<Journal>,
    /// Why the journal could not be read or written, until it can.
    trouble: Option<String>,
    /// The attempt that the control plane last asked about.
    requested: Option<AttemptId>,
    /// The current attempt's plan.
    planned: Option<(AttemptId, Arc<HostPlan>)>,
    /// The current attempt's closure, once it was let through the door.
    admitted: Option<Runnable>,
    streak: Streak,
    /// What failing checks say.
    failing: FailingChecks,
    next_round: BootMs,
    revert_tries: u32,
    revert_began: Option<BootMs>,
    next_revert: BootMs,
    /// When the hook that runs is stopped from here.
    hook_until: Option<(JobId, BootMs)>,
    /// The attempt that waits for the hooks of the one before it, and since when.
    waits_since: Option<(AttemptId, BootMs)>,
    /// The boot in which this process asked the machine to go down, and when it must have.
    goes_down: Option<(String, BootMs)>,
    /// Where the phase under way is recorded.
    phase: PhaseSpan,
}

impl<H: HostOperations, C: Clock> Executor<H, C> {
    /// An executor, and the view of it. Nothing happens before [`Executor::run`].
    pub fn new(
        host: Arc<H>,
        clock: C,
        store: JournalStore,
        keep_releases: usize,
        instructions: watch::Receiver<Instruction>,
    ) -> (Self, watch::Receiver<ExecutorView>) {
        let (view, observed) = watch::channel(ExecutorView::default());
        let executor = Self {
            host,
            clock,
            store,
            keep_releases,
            least_switch_seconds: 0,
            most_reboots: u32::MAX,
            instructions,
            view,
            journal: Journal::default(),
            on_disk: None,
            trouble: None,
            requested: None,
            planned: None,
            admitted: None,
            streak: Streak::default(),
            failing: FailingChecks::default(),
            next_round: BootMs(0),
            revert_tries: 0,
            revert_began: None,
            next_revert: BootMs(0),
            hook_until: None,
            waits_since: None,
            goes_down: None,
            phase: PhaseSpan::none(),
        };
        (executor, observed)
    }

    /// Names the host in traces.
    #[must_use]
    pub fn of_host(mut self, name: &HostName) -> Self {
        self.phase.name_host(name.to_string());
        self
    }

    /// Gives every switch at least this long. Whoever holds the control plane could otherwise have each one ended in its
    /// middle by a bound of a second.
    #[must_use]
    pub const fn with_least_switch_seconds(mut self, seconds: u32) -> Self {
        self.least_switch_seconds = seconds;
        self
    }

    /// Begins no reboot once the host had so many within a day. Whoever holds the control plane could otherwise have it reboot for
    /// ever, by one attempt after another.
    #[must_use]
    pub const fn with_most_reboots_per_day(mut self, most: u32) -> Self {
        self.most_reboots = most;
        self
    }

    /// Reads the journal, so that the view is right before the first step.
    pub async fn recall(&mut self) {
        // What is wrong with it is in the view.
        let _ = self.lock_journal().await;
        self.publish();
    }

    /// Works until it is told to stop. Stopping does not touch an activation or a dead-man, which outlive the agent.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                next = self.step() => next,
            };
            let NextStep::After(pause) = next else { continue };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = next_instruction(&mut self.instructions) => {}
            }
        }
    }

    async fn step(&mut self) -> NextStep {
        let next = match self.lock_journal().await {
            Ok(locked) => {
                let lines = trace::lines(&locked.journal);
                locked.take_step().instrument(lines).await
            }
            Err(_) => NextStep::After(TROUBLE_PAUSE),
        };
        self.publish();
        next
    }

    /// Works until an instruction asks for something else; then `None`.
    async fn unless_interrupted<T>(
        &mut self,
        attempt: AttemptId,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                () = next_instruction(&mut self.instructions) => {
                    if interrupts(&self.instructions.borrow(), attempt) {
                        return None;
                    }
                }
            }
        }
    }

    /// What the door is told of an attempt.
    fn claim_of(&self, attempt: &Attempt) -> ReleaseClaim {
        ReleaseClaim {
            manifest: attempt.manifest,
            committed: self.journal.signed,
            now: self.clock.wall(),
        }
    }

    fn slot(&self, slot: JournalSlot) -> Option<&Attempt> {
        match slot {
            JournalSlot::Current => self.journal.current.as_ref(),
            JournalSlot::Unsettled => self.journal.unsettled.as_ref(),
        }
    }

    fn slot_mut(&mut self, slot: JournalSlot) -> Option<&mut Attempt> {
        match slot {
            JournalSlot::Current => self.journal.current.as_mut(),
            JournalSlot::Unsettled => self.journal.unsettled.as_mut(),
        }
    }

    /// The door for what this host knows by itself.
    async fn admit_known(&self, path: &StorePath) -> Result<Runnable, Refusal> {
        self.host.admit_known(path, self.journal.vouches_for(path)).await
    }

    /// Lets the closure of a begun attempt pass the door, once.
    async fn admit_begun(&mut self, closure: &StorePath) -> Result<Runnable, Refusal> {
        if let Some(admitted) = self.admitted.as_ref().filter(|known| known.path() == closure) {
            return Ok(admitted.clone());
        }
        let runnable = self.admit_known(closure).await?;
        self.admitted = Some(runnable.clone());
        Ok(runnable)
    }

    /// Drops roots of closures that nobody needs any more. Only while idle.
    fn tidy(&self) {
        // A lost journal may have named closures that we do not know.
        if self.journal.lost.is_some() {
            return;
        }
        let observed = self.host.observe();
        let mut closures: BTreeSet<_> = [observed.live, observed.boot_default, observed.booted]
            .into_iter()
            .flatten()
            .collect();
        closures.extend(self.journal.committed(self.keep_releases));
        let mut attempts = BTreeSet::new();
        for attempt in self.journal.current.iter().chain(&self.journal.unsettled) {
            attempts.insert(attempt.id);
            closures.extend(attempt.prior.clone());
            if !matches!(attempt.phase, JournalPhase::StageFailed | JournalPhase::Reverted) {
                closures.insert(attempt.closure.clone());
            }
        }
        attempts.extend(self.journal.past.iter().rev().take(3).map(|past| past.id));
        self.host.tidy(&closures, &attempts);
    }
}

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    /// Carries out the newest instruction, or goes on with what the journal says.
    async fn take_step(mut self) -> NextStep {
        let instruction = self.instructions.borrow_and_update().clone();
        if let Some(attempt) = instruction.attempt() {
            self.requested = Some(attempt);
        }
        if let Some(next) = self.act_on(&instruction).await {
            return next;
        }
        match Duty::of(&self.journal) {
            Duty::Rest => NextStep::After(REST),
            Duty::Stage => self.stage().await,
            Duty::WatchActivation => self.watch_activation().await,
            Duty::Verify => self.verify().await,
            Duty::Commit => self.commit().await,
            Duty::Revert(slot) => self.revert(slot).await,
            Duty::RunHooksAfter => self.run_hooks_after().await,
        }
    }
}

/// Waits for the next instruction, or for ever if nobody can give one any more.
async fn next_instruction(instructions: &mut watch::Receiver<Instruction>) {
    if instructions.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Whether the instruction interrupts work on this attempt.
fn interrupts(instruction: &Instruction, attempt: AttemptId) -> bool {
    match instruction {
        Instruction::Idle | Instruction::Probe { .. } => false,
        Instruction::Commit { .. } | Instruction::Revert { .. } => true,
        Instruction::Stage { attempt: other, .. } | Instruction::Activate { attempt: other, .. } => {
            *other != attempt
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    slipway_host::text::one_line(
        &slipway_text::error_chain(error),
        slipway_host::text::MESSAGE_CHARS,
    )
}
