//! What the worker counts.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use slipway_domain::RolloutState;
use slipway_domain::decide::Effect;

/// Names and meanings, for Prometheus.
pub fn describe() {
    metrics::describe_gauge!("slipway_leases", "Rollouts that this worker drives.");
    metrics::describe_gauge!(
        "slipway_rollouts",
        "Rollouts in each state, of all time, counted every 10 s."
    );
    metrics::describe_counter!(
        "slipway_transitions_total",
        "Changes of state written, by machine and new state."
    );
    metrics::describe_histogram!(
        "slipway_round_duration_seconds",
        metrics::Unit::Seconds,
        "Read, decide, write and wake, once."
    );
}

pub(crate) fn leases(held: usize) {
    #[expect(clippy::cast_precision_loss, reason = "at most 64")]
    gauge!("slipway_leases").set(held as f64);
}

/// Every state is counted, so that one that no rollout is in any more goes back to 0.
pub(crate) fn rollouts(counts: &BTreeMap<RolloutState, u32>) {
    for (state, count) in counts {
        gauge!("slipway_rollouts", "state" => state.as_str()).set(*count);
    }
}

pub(crate) fn round(took: Duration) {
    histogram!("slipway_round_duration_seconds").record(took.as_secs_f64());
}

pub(crate) fn change(effect: &Effect) {
    match effect {
        Effect::Rollout { to, .. } => {
            counter!("slipway_transitions_total", "machine" => "rollout", "to" => to.as_str()).increment(1);
        }
        Effect::Step { to, .. } => {
            counter!("slipway_transitions_total", "machine" => "step", "to" => to.as_str()).increment(1);
        }
        Effect::Scope(_)
        | Effect::Hold(_)
        | Effect::Prior { .. }
        | Effect::Plan { .. }
        | Effect::Command { .. } => {}
    }
}
