//! The spans of a rollout's decisions, below the request that began it.
//!
//! A rollout may take days and several workers, so there is no span of the whole. Each round that changes something is
//! one, with a span for every change in it.

use slipway_domain::decide::{Change, Effect};
use slipway_domain::snapshot::Snapshot;
use slipway_domain::{RolloutState, StepState};
use slipway_store::worker::Lease;
use slipway_telemetry::propagation;
use tracing::{Span, info_span};

/// A round that changes something.
pub(crate) fn round(lease: &Lease) -> Span {
    let span =
        info_span!(parent: None, "rollout.round", otel.name = "drive rollout", rollout_id = %lease.rollout);
    match &lease.traceparent {
        Some(parent) => propagation::join(&span, parent),
        // One that release 0.1.0 began: without a place its rounds would be so many traces.
        None => propagation::leave_out(&span),
    }
    span
}

/// A change of that round; `snapshot` is what there was before.
pub(crate) fn change(round: &Span, lease: &Lease, snapshot: &Snapshot, change: &Change) {
    let cause = change.cause.as_str();
    match &change.effect {
        Effect::Rollout { from, to, .. } => {
            let span = info_span!(
                parent: round,
                "rollout.change",
                otel.name = "change rollout",
                rollout_id = %lease.rollout,
                %from,
                %to,
                cause
            );
            if matches!(to, RolloutState::Reverting | RolloutState::Failed) {
                propagation::note_failure(&span, cause);
            }
        }
        Effect::Step {
            step,
            from,
            to,
            attempt,
            ..
        } => {
            let step = snapshot.step(*step);
            let attempt = attempt.or_else(|| step?.attempt);
            let span = info_span!(
                parent: round,
                "step.change",
                otel.name = "change step",
                rollout_id = %lease.rollout,
                host = step.map(|step| step.name.as_str()),
                wave = step.map(|step| step.wave),
                attempt_id = attempt.map(tracing::field::display),
                %from,
                %to,
                cause
            );
            if matches!(to, StepState::Reverting | StepState::Stuck) {
                propagation::note_failure(&span, cause);
            }
        }
        // What agents report and what people ask for leads to one of those.
        Effect::Scope(_)
        | Effect::Hold(_)
        | Effect::Prior { .. }
        | Effect::Plan { .. }
        | Effect::Command { .. } => {}
    }
}
