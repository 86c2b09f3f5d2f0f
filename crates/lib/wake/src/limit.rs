//! Counting failures in this process, for when Redis is gone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Keys counted at once. Whoever makes up keys must not fill the memory.
const MOST_KEYS: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    until: Instant,
}

/// Failures by key, each within a window of its own. Bounded: when full, the window that ends first is forgotten.
#[derive(Debug, Default)]
pub(crate) struct LocalCounts {
    counts: Mutex<HashMap<String, Count>>,
}

impl LocalCounts {
    /// One more failure; gives how many there are.
    pub(crate) fn add(&self, key: &str, window_seconds: u32, now: Instant) -> u32 {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let until = now + Duration::from_secs(window_seconds.max(1).into());
        if let Some(count) = counts.get_mut(key) {
            if count.until <= now {
                *count = Count { failures: 0, until };
            }
            count.failures = count.failures.saturating_add(1);
            return count.failures;
        }
        if counts.len() >= MOST_KEYS {
            make_room(&mut counts, now);
        }
        counts.insert(key.to_owned(), Count { failures: 1, until });
        1
    }

    /// How many failures there are.
    pub(crate) fn get(&self, key: &str, now: Instant) -> u32 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .get(key)
            .filter(|count| count.until > now)
            .map_or(0, |count| count.failures)
    }
}

fn make_room(counts: &mut HashMap<String, Count>, now: Instant) {
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
        assert_eq!(counts.get("a", begin), 0);
        assert_eq!(counts.add("a", 60, begin), 1);
        assert_eq!(counts.add("a", 60, begin + Duration::from_secs(59)), 2);
        assert_eq!(counts.get("a", begin + Duration::from_secs(59)), 2);
        assert_eq!(counts.get("b", begin), 0);
        assert_eq!(counts.get("a", begin + Duration::from_mins(1)), 0);
        assert_eq!(counts.add("a", 60, begin + Duration::from_mins(1)), 1);
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
