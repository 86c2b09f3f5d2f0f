//! What the pool says of itself in metrics. The names have no prefix: any service may export the same.

use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::Store;

const SIZE: &str = "database_pool_size";
const CONNECTIONS: &str = "database_pool_connections";
const WAITING: &str = "database_pool_waiting";
const TIMEOUTS: &str = "database_pool_timeouts_total";

/// Calls of this crate under way in this process.
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// The most connections of this process's pool.
static MOST: AtomicUsize = AtomicUsize::new(0);

/// One call under way, until it is dropped.
pub(crate) struct Call(());

impl Call {
    pub(crate) fn begin() -> Self {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        CALLS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Names and meanings, for Prometheus. To be called once the recorder is there.
pub fn describe_metrics() {
    describe_gauge!(SIZE, "The most connections to the database that the pool opens.");
    describe_gauge!(
        CONNECTIONS,
        "Open connections to the database, by state: used, idle."
    );
    describe_gauge!(WAITING, "Calls that wait for a free connection.");
    describe_counter!(
        TIMEOUTS,
        "Calls that got no connection in time while others had them all."
    );
    counter!(TIMEOUTS).increment(0);
}

/// Notes how many connections there may be.
pub(crate) fn note_most(most: u32) {
    MOST.store(usize::try_from(most).unwrap_or(usize::MAX), Ordering::Relaxed);
}

/// A call got no connection in time. While the server is away, no call gets one: that says nothing about the pool.
pub(crate) fn count_timeout() {
    if CALLS.load(Ordering::Relaxed) > MOST.load(Ordering::Relaxed) {
        counter!(TIMEOUTS).increment(1);
    }
}

impl Store {
    /// Records the pool's present state, for a scrape.
    pub fn record_pool(&self) {
        let most = self.pool.options().get_max_connections();
        let open = usize::try_from(self.pool.size()).unwrap_or(usize::MAX);
        let idle = self.pool.num_idle().min(open);
        let used = open - idle;
        // Without a free connection, and with none to open, every further call waits.
        let exhausted = idle == 0 && self.pool.size() >= most;
        let waiting = if exhausted {
            CALLS.load(Ordering::Relaxed).saturating_sub(used)
        } else {
            0
        };
        gauge!(SIZE).set(most);
        gauge!(CONNECTIONS, "state" => "used").set(number(used));
        gauge!(CONNECTIONS, "state" => "idle").set(number(idle));
        gauge!(WAITING).set(number(waiting));
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
const fn number(count: usize) -> f64 {
    count as f64
}
