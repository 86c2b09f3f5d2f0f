//! What something costs, whatever else the machine does.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The processor time of this thread. What other threads do for it does not count.
///
/// # Panics
/// When the clock is below zero, which no machine has.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}
