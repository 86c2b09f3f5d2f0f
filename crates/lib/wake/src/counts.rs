//! What metrics say of Redis. The names have no prefix: any service may export the same.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::WakeError;

const CONNECTED: &str = "redis_client_connected";
const OPERATIONS: &str = "redis_client_operations_total";

/// Names and meanings, for Prometheus. To be called once the recorder is there.
pub fn describe_metrics() {
    describe_gauge!(
        CONNECTED,
        "1 while there is a connection to Redis; not there without Redis in the settings."
    );
    describe_counter!(
        OPERATIONS,
        "Commands to Redis, by outcome: ok, down, timeout, refused."
    );
}

/// Redis is set up: from now on every outcome has a number.
pub(crate) fn begin() {
    connected(false);
    for outcome in ["ok", "down", "timeout", "refused"] {
        counter!(OPERATIONS, "outcome" => outcome).increment(0);
    }
}

pub(crate) fn connected(is: bool) {
    gauge!(CONNECTED).set(f64::from(u8::from(is)));
}

/// An operation ended.
pub(crate) fn operation<T>(done: &Result<T, WakeError>) {
    let outcome = match done {
        Ok(_) => "ok",
        Err(WakeError::Down) => "down",
        Err(WakeError::TimedOut) => "timeout",
        Err(WakeError::Refused(_)) => "refused",
        Err(WakeError::NotConfigured) => return,
    };
    counter!(OPERATIONS, "outcome" => outcome).increment(1);
}
