//! Texts, instants and durations for people.

use chrono::{DateTime, TimeDelta, Utc};

pub use slipway_text::clean;

/// Characters of a free text in a list.
pub const LIST_TEXT_CHARS: usize = 72;
/// Clocks that are further apart than this break certificates and logs.
pub const NOTABLE_SKEW_SECONDS: u64 = 30;

/// `2026-03-01 12:00:00Z`.
#[must_use]
pub fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The instant if there is one, a dash if not.
#[must_use]
pub fn maybe_instant(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "-".to_owned(), instant)
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

/// The first line, at most so many characters of it; `…` stands for what is left out.
#[must_use]
pub fn brief(text: &str, most: usize) -> String {
    let text = text.trim();
    let line = text.lines().next().unwrap_or_default();
    if line.len() == text.len() && line.chars().count() <= most {
        return line.to_owned();
    }
    let kept: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// `1 host`, `2 hosts`.
#[must_use]
pub fn count(n: usize, one: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {one}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_brief_in_a_list() {
        assert_eq!(brief("Fix it", 10), "Fix it");
        assert_eq!(brief("Fix it\n\nBecause", 10), "Fix it…");
        assert_eq!(brief("Fix it for good", 10), "Fix it fo…");
        assert_eq!(brief("äöü", 3), "äöü");
    }

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
