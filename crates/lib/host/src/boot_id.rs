//! How far this boot is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use slipway_process::boot_id;
use slipway_process::id::UNKNOWN_BOOT;

/// Microseconds since the boot, counting time spent asleep, and more than it gave before. So it grows over restarts of
/// the agent with nothing written down.
///
/// `None` if the boot is not known: the counter of the next boot would start again under the same id.
#[must_use]
pub fn counter() -> Option<u64> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    if boot_id() == UNKNOWN_BOOT {
        return None;
    }
    let time = clock_gettime(ClockId::Boottime);
    let now = Duration::try_from(time).unwrap_or_default().as_micros();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let after = |last: u64| now.max(last.saturating_add(1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last)));
    Some(after(last.unwrap_or_else(|last| last)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_count_is_more_than_the_one_before() {
        let counts: Vec<u64> = (0..1000).filter_map(|_| counter()).collect();
        assert_eq!(counts.len(), 1000);
        assert!(counts.windows(2).all(|pair| pair[0] < pair[1]));
        let uptime = fs::read_to_string("/proc/uptime").unwrap();
        let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let counted = Duration::from_micros(counts[999]).as_secs_f64();
        assert!(
            (seconds - counted).abs() < 60.0,
            "{seconds} s up, {counted} s counted"
        );
    }
}
