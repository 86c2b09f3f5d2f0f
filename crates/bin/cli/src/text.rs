//! Texts, instants and durations for people.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use slipway_domain::HostName;

pub use slipway_text::clean;
pub use slipway_text::number::{bytes, count, listed};
pub use slipway_text::time::{ago, instant, short_duration};

/// Characters of a free text in a list.
pub const LIST_TEXT_CHARS: usize = 72;

/// The instant if there is one, a dash if not.
#[must_use]
pub fn maybe_instant(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "-".to_owned(), instant)
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

/// The hosts that a rollout left out, a line for each reason.
pub fn left_out<'a>(hosts: impl IntoIterator<Item = (&'a HostName, &'a str)>) -> Vec<String> {
    let mut by_reason = BTreeMap::<&str, Vec<&HostName>>::new();
    for (host, reason) in hosts {
        by_reason.entry(reason).or_default().push(host);
    }
    let line = |(reason, hosts): (&str, Vec<&HostName>)| match hosts[..] {
        [host] => format!("{host} was left out: {}", clean(reason)),
        _ => format!("{} hosts were left out: {}", hosts.len(), clean(reason)),
    };
    by_reason.into_iter().map(line).collect()
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
}
