//! The spans of an attempt's phases, below the rollout's.
//!
//! A phase may outlive several processes, and a span does not. So whoever finds an attempt in a phase has a span for the
//! rest of it: an agent that was started again, or the dead-man.

use slipway_domain::{AttemptId, TraceParent};
use slipway_telemetry::{LINES_ONLY, propagation};
use tracing::{Span, info_span};

use crate::journal::{Attempt, Journal, JournalPhase};

/// What is traced: a phase of an attempt. Each try to put the prior back counts by itself.
type Traced = (AttemptId, JournalPhase, u32);

/// The span of the phase under way.
#[derive(Debug)]
pub(super) struct PhaseSpan {
    host: Option<String>,
    traced: Option<Traced>,
    /// Where it hangs.
    parent: Option<TraceParent>,
    span: Span,
}

impl PhaseSpan {
    pub(super) fn none() -> Self {
        Self {
            host: None,
            traced: None,
            parent: None,
            span: Span::none(),
        }
    }

    /// Spans name this host.
    pub(super) fn name_host(&mut self, host: String) {
        self.host = Some(host);
    }

    /// Ends the span of a phase that is over, and begins that of the next. `tries` to put the prior back have failed.
    pub(super) fn follow(&mut self, journal: &Journal, tries: u32) {
        let under_way = |attempt: &&Attempt| name(attempt.phase).is_some();
        let current = journal.current.as_ref();
        let attempt = current
            .filter(under_way)
            .or_else(|| journal.unsettled.as_ref().filter(under_way));
        let next = attempt.map(|attempt| {
            let tries = if goes_back(attempt.phase) { tries } else { 0 };
            (attempt.id, attempt.phase, tries)
        });
        if self.traced == next {
            return;
        }
        if let Some((id, ..)) = self.traced
            && let Some(after) = current.filter(|attempt| attempt.id == id)
        {
            self.end(after);
        }
        self.traced = next;
        let origin = attempt.and_then(|attempt| attempt.origin.as_ref());
        self.parent = origin.and_then(|origin| origin.traceparent.clone());
        self.span = attempt.map_or_else(Span::none, |attempt| self.begin(attempt));
    }

    /// Where the spans of programs that the phase runs hang.
    pub(super) fn place(&self) -> Option<TraceParent> {
        propagation::place_of(&self.span).or_else(|| self.parent.clone())
    }

    /// A part of the phase under way.
    pub(super) fn part(&self, name: &'static str) -> Span {
        let span =
            info_span!(target: "slipway_attempt", parent: &self.span, "attempt.part", otel.name = name);
        if self.span.is_none() {
            // What hangs below it would be a trace of its own.
            propagation::leave_out(&span);
        }
        span
    }

    /// For parts that are too many to be recorded.
    pub(super) fn unrecorded_part(&self, name: &'static str) -> Span {
        let span = self.part(name);
        propagation::leave_out(&span);
        span
    }

    fn begin(&self, attempt: &Attempt) -> Span {
        // Without the rollout's place it would be a trace of its own.
        let (Some(parent), Some(origin)) = (&self.parent, &attempt.origin) else {
            return Span::none();
        };
        let span = info_span!(
            target: "slipway_attempt",
            parent: None,
            "attempt.phase",
            otel.name = name(attempt.phase),
            rollout_id = %origin.rollout,
            attempt_id = %attempt.id,
            host = self.host,
            closure = %attempt.closure,
        );
        propagation::join(&span, parent);
        span
    }

    /// What the attempt came to says how the phase ended.
    fn end(&self, after: &Attempt) {
        let failed = matches!(
            after.phase,
            JournalPhase::StageFailed | JournalPhase::Reverting | JournalPhase::Stuck
        );
        if failed {
            propagation::note_failure(&self.span, after.message.as_deref().unwrap_or_default());
        }
    }
}

/// Fields of every line that is about an attempt.
pub(super) fn lines(journal: &Journal) -> Span {
    let Some(attempt) = journal.current.as_ref() else {
        return Span::none();
    };
    let Some(origin) = &attempt.origin else {
        return info_span!(target: LINES_ONLY, "attempt", attempt_id = %attempt.id);
    };
    let trace_id = origin.traceparent.as_ref().map(TraceParent::trace_id);
    info_span!(target: LINES_ONLY, "attempt", attempt_id = %attempt.id, rollout_id = %origin.rollout, trace_id)
}

const fn goes_back(phase: JournalPhase) -> bool {
    matches!(phase, JournalPhase::Reverting | JournalPhase::Stuck)
}

/// A phase's name in a trace; none where nothing is done in it.
const fn name(phase: JournalPhase) -> Option<&'static str> {
    use JournalPhase as Phase;
    match phase {
        Phase::Staging => Some("fetch closure"),
        Phase::Activating => Some("activate closure"),
        Phase::Verifying => Some("check closure"),
        Phase::Verified => Some("await commit"),
        Phase::Committing => Some("commit closure"),
        Phase::Reverting | Phase::Stuck => Some("revert closure"),
        Phase::Staged | Phase::StageFailed | Phase::Committed | Phase::Reverted => None,
    }
}
