//! Counting failures in this process, for when Redis is gone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most keys that are counted at once, so that invented keys cannot fill the memory.
const MOST_KEYS: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct LocalCount {
    failures: u32,
    until: Instant,
}

/// The failures within the present window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FailureCount {
    /// How many.
    pub count: u32,
    /// The rest of the window in whole seconds, rounded up.
    pub seconds_left: u32,
}

impl FailureCount {
    pub(crate) fn new(count: u32, left: Duration) -> Self {
        let seconds = u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        Self {
            count,
            seconds_left: seconds,
        }
    }

    /// Another process's counter, if one of our processes can have set it: it ends within a window from now.
    ///
    /// Redis is not the truth. A counter that somebody set by hand must not lock people out for longer than a window.
    pub(crate) fn believed(count: i64, milliseconds_left: i64, window_seconds: u32) -> Option<Self> {
        let left = Duration::from_millis(u64::try_from(milliseconds_left).ok()?);
        let count = u32::try_from(count.max(0)).unwrap_or(u32::MAX);
        (left <= Duration::from_secs(window_seconds.max(1).into())).then(|| Self::new(count, left))
    }
}

impl LocalCount {
    fn at(self, now: Instant) -> FailureCount {
        FailureCount::new(self.failures, self.until.saturating_duration_since(now))
    }
}

/// Failures by key, each within a window of its own. Bounded: when full, the window that ends first is forgotten.
#[derive(Debug, Default)]
pub(crate) struct LocalCounts {
    counts: Mutex<HashMap<String, LocalCount>>,
}

impl LocalCounts {
    /// Adds a failure and returns the count.
    pub(crate) fn add(&self, key: &str, window_seconds: u32, now: Instant) -> FailureCount {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let until = now + Duration::from_secs(window_seconds.max(1).into());
        if let Some(count) = counts.get_mut(key) {
            if count.until <= now {
                *count = LocalCount { failures: 0, until };
            }
            count.failures = count.failures.saturating_add(1);
            return count.at(now);
        }
        if counts.len() >= MOST_KEYS {
            make_room(&mut counts, now);
        }
        let count = LocalCount { failures: 1, until };
        counts.insert(key.to_owned(), count);
        count.at(now)
    }

    /// Removes a failure that was none.
    pub(crate) fn take_back(&self, key: &str, now: Instant) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(key).filter(|count| count.until > now) {
            count.failures = count.failures.saturating_sub(1);
        }
    }
}

fn make_room(counts: &mut HashMap<String, LocalCount>, now: Instant) {
    counts.retain(|_, count| count.until > now);
    // A tenth at once, so that a flood of new keys does not cost a search for each of them.
    while counts.len() > MOST_KEYS * 9 / 10 {
        let mut ends: Vec<Instant> = counts.values().map(|count| count.until).collect();
        ends.sort_unstable();
        let cut = ends[ends.len() - MOST_KEYS * 9 / 10];
        counts.retain(|_, count| count.until >= cut);
        if counts.len() > MOST_KEYS * 9 / 10 {
            // All windows end at the same instant.
            let mut left = counts.len() - MOST_KEYS * 9 / 10;
            counts.retain(|_, _| {
                let keep = left == 0;
                left = left.saturating_sub(1);
                keep
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_window_begins_with_the_first_failure_and_ends() {
        let counts = LocalCounts::default();
        let begin = Instant::now();
        let failures = |count, seconds_left| FailureCount { count, seconds_left };
        let after = |milliseconds| begin + Duration::from_millis(milliseconds);
        assert_eq!(counts.add("a", 60, begin), failures(1, 60));
        assert_eq!(counts.add("a", 60, after(58_001)), failures(2, 2));
        assert_eq!(counts.add("b", 60, after(58_001)), failures(1, 60));
        assert_eq!(counts.add("a", 60, after(60_000)), failures(1, 60));
    }

    #[tokio::test]
    async fn what_is_taken_back_was_never_counted() {
        let counts = LocalCounts::default();
        let begin = Instant::now();
        counts.take_back("a", begin);
        assert_eq!(counts.add("a", 60, begin).count, 1);
        assert_eq!(counts.add("a", 60, begin).count, 2);
        counts.take_back("a", begin);
        assert_eq!(counts.add("a", 60, begin).count, 2);
    }

    #[test]
    fn a_counter_is_believed_as_far_as_it_can_be_ours() {
        let believed = |count, left| FailureCount::believed(count, left, 60);
        assert_eq!(
            believed(3, 59_001),
            Some(FailureCount {
                count: 3,
                seconds_left: 60
            })
        );
        assert_eq!(believed(i64::MAX, 60_000).unwrap().count, u32::MAX);
        assert_eq!(believed(-5, 1).unwrap().count, 0);
        // Without an end, without a value, and for longer than a window.
        for left in [-1, -2, 60_001, i64::MAX] {
            assert_eq!(believed(3, left), None, "{left}");
        }
    }

    #[tokio::test]
    async fn made_up_keys_do_not_fill_the_memory() {
        let counts = LocalCounts::default();
        let now = Instant::now();
        for n in 0..3 * MOST_KEYS {
            counts.add(&n.to_string(), 60, now);
        }
        assert!(counts.counts.lock().unwrap().len() <= MOST_KEYS);
        for n in 0..3 * MOST_KEYS {
            counts.add(&format!("later {n}"), 61, now);
        }
        assert!(counts.counts.lock().unwrap().len() <= MOST_KEYS);
    }
}
