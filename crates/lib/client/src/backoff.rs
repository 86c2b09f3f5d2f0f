//! How long to wait before asking again.

use std::time::Duration;

/// Pauses that double, and that the other side may prolong.
#[derive(Debug, Clone, Copy)]
pub struct RetryBackoff {
    /// The first pause.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
    /// The longest that the other side may ask for (`Retry-After`).
    pub longest_asked: Duration,
}

impl RetryBackoff {
    /// The pause after the `tries`-th failure in a row, counted from 0.
    ///
    /// A random part spreads clients that failed at the same instant. At least half of the pause stays, and no client
    /// asks sooner than it was told to.
    #[must_use]
    pub fn pause(&self, tries: u32, asked: Option<Duration>) -> Duration {
        self.pause_with(tries, asked, getrandom::u32().unwrap_or(u32::MAX / 2))
    }

    fn pause_with(&self, tries: u32, asked: Option<Duration>, random: u32) -> Duration {
        let spread = f64::from(random) / f64::from(u32::MAX);
        if let Some(asked) = asked {
            let asked = asked.min(self.longest_asked);
            return asked + asked.min(self.longest).mul_f64(spread / 2.0);
        }
        let whole = self.first.saturating_mul(1 << tries.min(16)).min(self.longest);
        whole.mul_f64(0.5 + spread / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: RetryBackoff = RetryBackoff {
        first: Duration::from_millis(500),
        longest: Duration::from_secs(15),
        longest_asked: Duration::from_mins(5),
    };

    #[test]
    fn pauses_double_up_to_a_bound_and_are_spread() {
        let at = |tries, random| BACKOFF.pause_with(tries, None, random).as_millis();
        assert_eq!((at(0, 0), at(0, u32::MAX)), (250, 500));
        assert_eq!((at(2, 0), at(2, u32::MAX)), (1000, 2000));
        assert_eq!((at(99, 0), at(99, u32::MAX)), (7500, 15_000));
    }

    #[test]
    fn a_server_is_asked_no_sooner_than_it_said() {
        let at = |asked, random| {
            BACKOFF
                .pause_with(9, Some(Duration::from_secs(asked)), random)
                .as_secs()
        };
        assert_eq!((at(7, 0), at(7, u32::MAX)), (7, 10));
        assert_eq!((at(36_000, 0), at(36_000, u32::MAX)), (300, 307));
    }
}
