//! What the pool says of itself in metrics. The names have no prefix: any service may export the same.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use tokio::time::Instant;

use crate::Store;

const SIZE: &str = "database_pool_size";
const CONNECTIONS: &str = "database_pool_connections";
const WAITING: &str = "database_pool_waiting";
const TIMEOUTS: &str = "database_pool_timeouts_total";

/// Calls of this crate under way in this process.
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// The most connections of this process's pool.
static MOST: AtomicUsize = AtomicUsize::new(0);

/// When a call was last cut off before its answer was there.
static CUT_OFF: Mutex<Option<Instant>> = Mutex::new(None);
/// A connection whose call was cut off is given back at once.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(1);

/// Notes that a call is cut off. Its connection may wait for an answer that never comes, or be inside a transaction.
pub(crate) fn note_cut_off() {
    *CUT_OFF.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Whether a connection that is given back now may be that of a call that was cut off.
pub(crate) fn is_doubtful() -> bool {
    let cut_off = *CUT_OFF.lock().unwrap_or_else(PoisonError::into_inner);
    cut_off.is_some_and(|at| at.elapsed() < GIVEN_BACK_WITHIN)
}

/// One call under way, until it is dropped. One that did not end by itself was cut off.
pub(crate) struct Call {
    has_ended: bool,
}

impl Call {
    pub(crate) fn begin() -> Self {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Self { has_ended: false }
    }

    pub(crate) fn end(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        CALLS.fetch_sub(1, Ordering::Relaxed);
        if !self.has_ended {
            note_cut_off();
        }
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
