//! The only part that acts on the machine.
//!
//! The whole path of an attempt is told in one place: `executor/phases.rs`. Each phase has a file of its own.
//!
//! Level-triggered: every step reads the journal under its lock, looks at the machine and at the newest instruction, and
//! does one bounded piece of work. So a start after a crash needs no special code, nor does a dead-man that acted
//! meanwhile. Each journal write says which action waits for it. If a write fails on a full disk, an attempt does not
//! begin and does not commit, but it is still verified and reverted.

mod activating;
mod committing;
mod deadman;
mod instruction;
mod judge;
mod phases;
mod reverting;
mod staging;
mod turn;
mod verifying;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use slipway_domain::agent::AttemptReport;
use slipway_domain::{AttemptId, Instruction, StorePath};
use slipway_host::clock::{BootMs, Clock};
use slipway_host::door::{Refusal, Runnable};
use slipway_host::host::Host;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use deadman::Fired;
use judge::Streak;
use phases::Duty;
use turn::Turn;

use crate::journal::{Attempt, Journal, JournalPhase, JournalStore};

/// How often an idle executor checks the machine: a dead-man or a person may have changed the journal.
const REST: Duration = Duration::from_secs(2);
/// How often something under way is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// After an error of the state folder.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);

/// What the executor lets others see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// What the control plane is to be told of an attempt.
    pub report: Option<AttemptReport>,
    /// The attempt that has begun and is neither committed nor reverted.
    pub unsettled: Option<AttemptId>,
    /// What is wrong with the state folder.
    pub trouble: Option<String>,
}

/// When to take the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Now,
    After(Duration),
}

/// Which of the journal's attempts is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
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
    told: watch::Receiver<Instruction>,
    view: watch::Sender<View>,
    /// The truth. Ahead of the disk only while the disk is full.
    journal: Journal,
    /// What was last read or written.
    on_disk: Option<Journal>,
    /// Why the journal could not be read or written, until it can.
    trouble: Option<String>,
    /// The attempt that the control plane last asked about.
    asked: Option<AttemptId>,
    /// The current attempt's closure, once it was let through the door.
    admitted: Option<Runnable>,
    streak: Streak,
    next_round: BootMs,
    revert_tries: u32,
    revert_began: Option<BootMs>,
    next_revert: BootMs,
}

impl<H: Host, C: Clock> Executor<H, C> {
    /// An executor, and the view of it. Nothing happens before [`Executor::run`].
    pub fn new(
        host: Arc<H>,
        clock: C,
        store: JournalStore,
        keep_releases: usize,
        told: watch::Receiver<Instruction>,
    ) -> (Self, watch::Receiver<View>) {
        let (view, seen) = watch::channel(View::default());
        let executor = Self {
            host,
            clock,
            store,
            keep_releases,
            told,
            view,
            journal: Journal::default(),
            on_disk: None,
            trouble: None,
            asked: None,
            admitted: None,
            streak: Streak::default(),
            next_round: BootMs(0),
            revert_tries: 0,
            revert_began: None,
            next_revert: BootMs(0),
        };
        (executor, seen)
    }

    /// Reads the journal, so that the view is right before the first step.
    pub async fn recall(&mut self) {
        // What is wrong with it is in the view.
        let _ = self.take_turn().await;
        self.publish();
    }

    /// Works until it is told to stop. Stopping does not touch an activation or a dead-man, which outlive the agent.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let pace = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                pace = self.step() => pace,
            };
            let Pace::After(pause) = pace else { continue };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = news(&mut self.told) => {}
            }
        }
    }

    async fn step(&mut self) -> Pace {
        let pace = match self.take_turn().await {
            Ok(turn) => turn.play().await,
            Err(_) => Pace::After(TROUBLE_PAUSE),
        };
        self.publish();
        pace
    }

    /// Works until an instruction asks for something else; then `None`.
    async fn unless_told_otherwise<T>(
        &mut self,
        attempt: AttemptId,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                () = news(&mut self.told) => {
                    if interrupts(&self.told.borrow(), attempt) {
                        return None;
                    }
                }
            }
        }
    }

    fn slot(&self, slot: Slot) -> Option<&Attempt> {
        match slot {
            Slot::Current => self.journal.current.as_ref(),
            Slot::Unsettled => self.journal.unsettled.as_ref(),
        }
    }

    fn slot_mut(&mut self, slot: Slot) -> Option<&mut Attempt> {
        match slot {
            Slot::Current => self.journal.current.as_mut(),
            Slot::Unsettled => self.journal.unsettled.as_mut(),
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
        let seen = self.host.observe();
        let mut closures: BTreeSet<_> = [seen.live, seen.boot_default, seen.booted]
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

impl<H: Host, C: Clock> Turn<'_, H, C> {
    /// Carries out what is told, or goes on with what the journal says.
    async fn play(mut self) -> Pace {
        let told = self.told.borrow_and_update().clone();
        if let Some(attempt) = told.attempt() {
            self.asked = Some(attempt);
        }
        if let Some(pace) = self.act_on(&told).await {
            return pace;
        }
        match Duty::of(&self.journal) {
            Duty::Rest => Pace::After(REST),
            Duty::Stage => self.stage().await,
            Duty::WatchActivation => self.watch_activation().await,
            Duty::Verify => self.verify().await,
            Duty::Commit => self.commit().await,
            Duty::Revert(slot) => self.revert(slot).await,
        }
    }
}

/// Waits for the next instruction, or for ever if nobody can give one any more.
async fn news(told: &mut watch::Receiver<Instruction>) {
    if told.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Whether the instruction interrupts work on this attempt.
fn interrupts(told: &Instruction, attempt: AttemptId) -> bool {
    match told {
        Instruction::Idle => false,
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
