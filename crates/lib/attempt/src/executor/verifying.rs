//! Runs checks until the commit, or until there is evidence against the closure.

use slipway_domain::agent::Verdict;
use slipway_host::checks::CheckRound;
use slipway_host::clock::Clock;
use slipway_host::failpoint::failpoint;
use slipway_host::operations::HostOperations;
use slipway_telemetry::propagation;
use tokio::time::timeout;
use tracing::{Instrument as _, Span};

use crate::journal::Attempt;

use super::judge::{Judgement, Progress};
use super::phases::enter;
use super::{Executor, JournalPhase, JournalSlot, LockedExecutor, NextStep, TROUBLE_PAUSE, chain};

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    /// One round of checks, without holding the lock, and what follows from it.
    pub(super) async fn verify(mut self) -> NextStep {
        let Some(attempt) = self.journal.current.clone() else {
            return NextStep::Now;
        };
        if let Some(reason) = self.reason_to_revert(&attempt) {
            self.begin_revert(JournalSlot::Current, &reason);
            return NextStep::Now;
        }
        let now = self.clock.boot();
        let until_deadline = attempt.deadline.unwrap_or(now).left(now);
        if self.next_round > now {
            return NextStep::After(self.next_round.left(now).min(until_deadline));
        }
        let closure = match self.admit_begun(&attempt.closure).await {
            Ok(closure) => closure,
            Err(error) => {
                self.begin_revert(JournalSlot::Current, &chain(&error));
                return NextStep::Now;
            }
        };
        let executor = self.unlock();
        let host = executor.host.clone();
        let span = executor.span_of_round(&attempt);
        let round = timeout(until_deadline, host.round(&closure).instrument(span.clone()));
        let Some(Ok(round)) = executor.unless_interrupted(attempt.id, round).await else {
            return NextStep::Now;
        };
        if round.verdict != Verdict::Pass {
            propagation::note_failure(&span, &round.detail);
        }
        drop(span);
        let Ok(mut locked) = executor.lock_journal().await else {
            return NextStep::After(TROUBLE_PAUSE);
        };
        if locked.current_in(&attempt) {
            locked.apply_round(&attempt, &round);
        }
        NextStep::Now
    }

    /// The reason why there is nothing left to check.
    fn reason_to_revert(&self, attempt: &Attempt) -> Option<String> {
        let observed = self.host.observe();
        let short = attempt.closure.short();
        if observed.boot_id != attempt.boot_id {
            return Some(format!("the host was rebooted before {short} was committed"));
        }
        if attempt.is_overdue(self.clock.boot()) {
            return Some(format!(
                "{short} was not committed before the dead-man's deadline"
            ));
        }
        (!observed.runs(&attempt.closure)).then(|| {
            let live = observed.live_text();
            format!("something else switched the host: {live} is live in place of {short}")
        })
    }

    fn apply_round(&mut self, attempt: &Attempt, round: &CheckRound) {
        let now = self.clock.boot();
        let Some(plan) = &attempt.plan else {
            self.begin_revert(JournalSlot::Current, "the journal has no plan for the checks");
            return;
        };
        self.next_round = now.after_seconds(plan.verify.interval_seconds);
        let verified = attempt.phase == JournalPhase::Verified;
        let progress = Progress {
            verify_from: attempt.verify_from.unwrap_or(now),
            bake_from: attempt.bake_from,
            verified,
        };
        let judgement = self.streak.judge(attempt.id, round, plan, progress, now);
        tracing::debug!(attempt_id = %attempt.id, verdict = ?round.verdict, detail = %round.detail, ?judgement, "checked");
        if judgement == Judgement::GoOn && !verified {
            self.failing.hear(attempt.id, round, now);
        } else {
            self.failing.forget();
        }
        let Some(current) = &mut self.journal.current else {
            return;
        };
        match judgement {
            Judgement::Fail => {
                current.verdict = Some(Verdict::Fail);
                self.begin_revert(JournalSlot::Current, &round.detail);
                return;
            }
            Judgement::GoOn if verified => return,
            Judgement::GoOn => {
                current.verdict = None;
                current.message = None;
            }
            Judgement::Inconclusive => {
                current.verdict = Some(Verdict::Unknown);
                current.message = Some(format!("the checks come to no verdict: {}", round.detail));
            }
            Judgement::Bake => {
                current.bake_from = Some(now);
                current.verdict = None;
                current.message = None;
            }
            Judgement::Verified => {
                tracing::info!(attempt_id = %current.id, closure = %current.closure, "verified");
                enter(current, JournalPhase::Verified);
                current.bake_from.get_or_insert(now);
                current.verdict = Some(Verdict::Pass);
                current.message = Some("the checks passed".to_owned());
            }
        }
        let changed =
            self.on_disk.as_ref().and_then(|disk| disk.current.as_ref()) != self.journal.current.as_ref();
        if changed {
            // When this is not written, the next start checks again.
            self.try_save();
        }
        if judgement == Judgement::Verified {
            failpoint("verified-written");
        }
    }
}

impl<H: HostOperations, C: Clock> Executor<H, C> {
    /// Rounds are recorded until the closure bakes. From then on there may be thousands that say the same.
    fn span_of_round(&self, attempt: &Attempt) -> Span {
        if attempt.bake_from.is_none() {
            self.phase.part("run checks")
        } else {
            self.phase.unrecorded_part("run checks")
        }
    }
}
