//! Small parts of pages.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, PreEscaped, html};
use slipway_domain::calendar::Hold;
use slipway_domain::{ReleaseId, ReleaseRef, RolloutId, RolloutRef, RolloutState, StepState, StorePath};
use slipway_text::time::{instant, short_duration};
use slipway_wire::release::{ReleaseLabel, short_rev};

/// How something stands, for its colour and its sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Busy,
    Waits,
    Warn,
    Bad,
    Idle,
}

impl Tone {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Waits => "waits",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Idle => "idle",
        }
    }

    /// A sign, for those who do not see colours.
    const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Busy => "↻",
            Self::Waits => "○",
            Self::Warn => "!",
            Self::Bad => "✕",
            Self::Idle => "–",
        }
    }

    pub(crate) const fn of_rollout(state: RolloutState) -> Self {
        use RolloutState as R;
        match state {
            R::Succeeded => Self::Good,
            R::Staging | R::Rolling => Self::Busy,
            // They wait for a person.
            R::PendingApproval | R::Paused | R::Reverting | R::Reverted => Self::Warn,
            R::Failed => Self::Bad,
            R::Aborted => Self::Idle,
        }
    }

    pub(crate) const fn of_step(state: StepState) -> Self {
        use StepState as S;
        match state {
            S::Committed => Self::Good,
            S::Staging | S::Activating | S::Verifying | S::Verified => Self::Busy,
            S::Waiting | S::Staged => Self::Waits,
            S::Reverting | S::Reverted => Self::Warn,
            S::Stuck => Self::Bad,
            S::Skipped => Self::Idle,
        }
    }
}

/// A word with its colour and sign.
pub(crate) fn badge(tone: Tone, text: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { span.sign aria-hidden="true" { (tone.sign()) } (text) } }
}

pub(crate) fn rollout_state(state: RolloutState) -> Markup {
    badge(Tone::of_rollout(state), &spaced(state.as_str()))
}

pub(crate) fn step_state(state: StepState) -> Markup {
    badge(Tone::of_step(state), &spaced(state.as_str()))
}

/// `pending approval` for `pending_approval`.
pub(crate) fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

/// What a host or a person wrote, without characters that hide or turn text around.
pub(crate) fn words(text: &str) -> String {
    slipway_text::plain(text)
}

/// What the API says: what stands between backticks is code.
pub(crate) fn said(text: &str) -> Markup {
    let text = words(text);
    let parts: Vec<&str> = text.split('`').collect();
    html! { @if parts.len().is_multiple_of(2) { (text) } @else {
        @for (place, part) in parts.iter().enumerate() { @if !place.is_multiple_of(2) { code { (part) } } @else { (part) } }
    } }
}

/// How long ago. The script counts it on.
pub(crate) fn ago(now: DateTime<Utc>, at: DateTime<Utc>) -> Markup {
    // What happened in this second may seem to be ahead: clocks differ by a little.
    let ahead = at - now >= TimeDelta::seconds(1);
    let text = if ahead {
        format!("in {}", short_duration(at - now))
    } else {
        format!("{} ago", short_duration(now - at))
    };
    html! { time datetime=(at.to_rfc3339()) title=(instant(at)) data-ago { (text) } }
}

pub(crate) fn ago_opt(now: DateTime<Utc>, at: Option<DateTime<Utc>>) -> Markup {
    at.map_or_else(|| html! { span.faint { "never" } }, |at| ago(now, at))
}

/// For how long. The script counts it on.
pub(crate) fn elapsed(now: DateTime<Utc>, since: DateTime<Utc>) -> Markup {
    html! { time datetime=(since.to_rfc3339()) title={ "since " (instant(since)) } data-since { (short_duration(now - since)) } }
}

/// What a rollout waits for, after its name.
pub(crate) fn hold(hold: &Hold) -> String {
    words(&hold.words())
}

/// That no rollout of an environment may begin anything, and until when.
pub(crate) fn closed(hold: &Hold) -> Markup {
    html! { p { (badge(Tone::Waits, "closed")) " Rollouts " (words(&hold.words_of_all())) "." } }
}

/// An instant, in UTC.
pub(crate) fn at(at: DateTime<Utc>) -> Markup {
    html! { time datetime=(at.to_rfc3339()) { (instant(at)) } }
}

/// The beginning of an id that a person can tell apart from others; all of it in the title.
pub(crate) fn short(id: impl std::fmt::Display) -> Markup {
    let id = id.to_string();
    // Ids of one minute begin alike, so the end is what differs.
    let end = id.len().saturating_sub(8);
    html! { code.id title=(id) { "…" (id.get(end..).unwrap_or(&id)) } }
}

/// A link to a release as people say it.
pub(crate) fn release(id: ReleaseId, label: Option<&ReleaseLabel>) -> Markup {
    html! { a href=(release_path(id, label)) title=(id) {
        @match label {
            Some(label) => (words(&label.to_string())),
            None => (short(id)),
        }
    } }
}

/// The page of a release, by its number where it is known.
pub(crate) fn release_path(id: ReleaseId, label: Option<&ReleaseLabel>) -> String {
    let reference = label.map_or(ReleaseRef::Id(id), ReleaseLabel::reference);
    format!("/releases/{reference}")
}

/// The page of a rollout, by its number where it is known.
pub(crate) fn rollout_path(id: RolloutId, number: Option<u64>) -> String {
    let reference = number.map_or(RolloutRef::Id(id), RolloutRef::Number);
    format!("/rollouts/{reference}")
}

/// A link to a rollout as people say it.
pub(crate) fn rollout(id: RolloutId, number: Option<u64>) -> Markup {
    html! { a href=(rollout_path(id, number)) title=(id) { (numbered(id, number)) } }
}

/// `#34`, or the end of an id whose number is not known.
pub(crate) fn numbered(id: impl std::fmt::Display, number: Option<u64>) -> Markup {
    html! { @match number {
        Some(number) => { "#" (number) }
        None => (short(id)),
    } }
}

/// A store path by its name, with all of it in the title.
pub(crate) fn closure(path: &StorePath) -> Markup {
    store_path(&path.to_string())
}

pub(crate) fn store_path(path: &str) -> Markup {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (hash, rest) = name.split_once('-').unwrap_or(("", name));
    let hash = hash.get(..7).unwrap_or(hash);
    html! { code.path title=(words(path)) { span.hash { (words(hash)) } "-" (words(rest)) } }
}

/// A commit, shortened.
pub(crate) fn commit(rev: &str) -> Markup {
    html! { code title=(words(rev)) { (words(&short_rev(rev))) } }
}

/// Shares of a whole, as one bar with its legend.
pub(crate) fn shares<S: AsRef<str>>(parts: &[(Tone, S, usize)]) -> Markup {
    let total: usize = parts.iter().map(|(.., n)| n).sum();
    let mut from = 0.0;
    #[expect(clippy::cast_precision_loss, reason = "a bar of 1000 units shows no more")]
    let scaled: Vec<(Tone, f64, f64)> = parts
        .iter()
        .filter(|(.., n)| *n > 0)
        .map(|(tone, _, n)| {
            let width = 1000.0 * *n as f64 / total.max(1) as f64;
            let part = (*tone, from, width);
            from += width;
            part
        })
        .collect();
    html! {
        @if total > 0 {
            svg.shares viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
                @for (tone, from, width) in scaled {
                    rect class=(tone.class()) x=(format!("{from:.1}")) y="0" width=(format!("{width:.1}")) height="10" {}
                }
            }
        }
        ul.legend {
            @for (tone, name, n) in parts {
                @if *n > 0 { li { span class={ "dot " (tone.class()) } aria-hidden="true" {} strong { (n) } " " (name.as_ref()) } }
            }
        }
    }
}

/// The mark of the product: a hull on its slip.
pub(crate) fn mark() -> Markup {
    PreEscaped(include_str!("../assets/mark.svg").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_hosts_are_no_markup() {
        let text = html! { (words("<b>\u{202e}x\u{1b}[31m")) }.into_string();
        assert!(text.starts_with("&lt;b&gt;"), "{text}");
        assert!(!text.contains('\u{202e}') && !text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn what_is_ahead_by_less_than_a_second_is_now() {
        let now = DateTime::UNIX_EPOCH;
        for (ahead, words) in [(0, ">0s ago<"), (999, ">0s ago<"), (1000, ">in 1s<")] {
            let text = ago(now, now + TimeDelta::milliseconds(ahead)).into_string();
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn shares_fill_the_bar() {
        let text = shares(&[
            (Tone::Good, "up", 3),
            (Tone::Bad, "down", 1),
            (Tone::Idle, "nobody", 0),
        ])
        .into_string();
        assert!(
            text.contains("width=\"750.0\"") && text.contains("x=\"750.0\""),
            "{text}"
        );
        assert!(!text.contains("nobody"), "{text}");
    }
}
