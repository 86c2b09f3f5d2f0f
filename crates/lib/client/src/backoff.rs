//! How long to wait before trying again.

use std::time::Duration;

/// How often a request is tried again.
pub(crate) const RETRIES: u32 = 4;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(3);

/// The wait before retry number `retry` (from 0): a random part of a time that doubles, at least half of it.
///
/// `random` is any number and gives the jitter, so that many clients do not return at the same instant. A wait
/// that the server asked for takes its place, up to a bound.
pub(crate) fn delay(retry: u32, asked: Option<Duration>, random: u32) -> Duration {
    let whole = FIRST.saturating_mul(1 << retry.min(16)).min(LONGEST);
    let half = whole / 2;
    let jitter = half.mul_f64(f64::from(random) / f64::from(u32::MAX));
    match asked {
        Some(asked) => asked.min(LONGEST) + jitter,
        None => half + jitter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_spread() {
        let at = |retry, random| delay(retry, None, random).as_millis();
        assert_eq!((at(0, 0), at(0, u32::MAX)), (100, 200));
        assert_eq!((at(2, 0), at(2, u32::MAX)), (400, 800));
        assert_eq!((at(40, 0), at(40, u32::MAX)), (1500, 3000));
        assert_eq!(delay(0, Some(Duration::from_secs(2)), 0).as_secs(), 2);
        assert_eq!(delay(0, Some(Duration::from_mins(15)), 0).as_secs(), 3);
    }
}
