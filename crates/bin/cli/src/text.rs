//! Texts, instants and durations for people.

use chrono::{DateTime, TimeDelta, Utc};

/// The text without anything that could steer a terminal: it may come from a host or another person.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() || is_format(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Marks that turn the direction of writing around, so that a line reads as something else.
const fn is_format(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

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
    fn what_comes_from_elsewhere_cannot_steer_the_terminal() {
        let cleaned = clean("ok\u{1b}[2Jgone\r\n\u{9b}1m \u{202e}txt ä");
        assert_eq!(cleaned, "ok\u{fffd}[2Jgone\u{fffd} \u{fffd}1m \u{fffd}txt ä");
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
