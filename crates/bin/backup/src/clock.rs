//! The host's clock, read at the edge; everything else gets `now` as an argument.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

pub(crate) type Time = DateTime<Utc>;

/// The time now, to the millisecond: what is kept in files and compared with them.
pub(crate) fn now() -> Time {
    let now: Time = SystemTime::now().into();
    DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
}

/// The time from `then` to `now`; nothing when the clock was set back.
pub(crate) fn age(then: Time, now: Time) -> Duration {
    (now - then).to_std().unwrap_or_default()
}

/// As `2026-11-22T23:45:33Z`.
pub(crate) fn text(time: Time) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
