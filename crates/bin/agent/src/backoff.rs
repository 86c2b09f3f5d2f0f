//! How long to wait before asking again.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(500);
/// The longest: a rollout is to go on within 30 s of the control plane's return.
const LONGEST: Duration = Duration::from_secs(15);
/// The longest that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_mins(5);
/// For a refused token: a person must act, which may take long.
pub const DENIED: Duration = Duration::from_mins(1);

/// The pause after the `tries`-th failure in a row, counted from 0. `random` spreads agents that failed at once: the
/// pause is half of it at least.
///
/// What the server asked for (`Retry-After`) is kept to, within reason.
#[must_use]
pub fn pause(tries: u32, asked: Option<Duration>, random: u32) -> Duration {
    let spread = f64::from(random) / f64::from(u32::MAX);
    if let Some(asked) = asked {
        let asked = asked.min(LONGEST_ASKED);
        return asked + asked.min(LONGEST).mul_f64(spread / 2.0);
    }
    let whole = FIRST.saturating_mul(1 << tries.min(10)).min(LONGEST);
    whole.mul_f64(0.5 + spread / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_spread() {
        assert_eq!(pause(0, None, 0), Duration::from_millis(250));
        assert_eq!(pause(0, None, u32::MAX), Duration::from_millis(500));
        assert_eq!(pause(99, None, u32::MAX), Duration::from_secs(15));
        assert!(pause(3, None, 0) < pause(3, None, u32::MAX));
    }

    #[test]
    fn a_server_is_asked_no_sooner_than_it_said() {
        let asked = Some(Duration::from_secs(7));
        assert_eq!(pause(0, asked, 0), Duration::from_secs(7));
        assert!(pause(9, asked, u32::MAX) <= Duration::from_secs(11));
        assert!(pause(0, Some(Duration::from_hours(10)), u32::MAX) < Duration::from_mins(6));
    }
}
