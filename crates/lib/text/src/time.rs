//! Instants, durations and ages for people.

use chrono::{DateTime, TimeDelta, Utc};

/// `2026-03-01 12:00:00Z`.
#[must_use]
pub fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A duration in its largest whole unit, such as `5m`; a negative one counts as none.
#[must_use]
pub fn short_duration(time: TimeDelta) -> String {
    let seconds = time.num_seconds().max(0);
    match seconds {
        0..=99 => format!("{seconds}s"),
        100..=5999 => format!("{}m", seconds / 60),
        6000..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// How long ago, such as `5m ago`.
#[must_use]
pub fn ago(now: DateTime<Utc>, at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(
        || "never".to_owned(),
        |at| format!("{} ago", short_duration(now - at)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [
            (-5, "0s"),
            (99, "99s"),
            (100, "1m"),
            (6000, "1h"),
            (172_800, "2d"),
        ] {
            assert_eq!(short_duration(TimeDelta::seconds(seconds)), text);
        }
    }
}
