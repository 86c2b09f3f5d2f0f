//! What is counted of messages.

use std::time::Duration;

use metrics::{counter, histogram};
use slipway_domain::DestinationKind;

/// Names and meanings, for Prometheus.
pub fn describe() {
    metrics::describe_counter!(
        "slipway_deliveries_total",
        "Tries to deliver a message, by kind of destination and outcome: delivered, failed, gone."
    );
    metrics::describe_histogram!(
        "slipway_delivery_duration_seconds",
        metrics::Unit::Seconds,
        "One try to deliver a message."
    );
}

pub(crate) fn tried(kind: DestinationKind, outcome: &'static str, took: Duration) {
    counter!("slipway_deliveries_total", "kind" => kind.as_str(), "outcome" => outcome).increment(1);
    histogram!("slipway_delivery_duration_seconds").record(took.as_secs_f64());
}
