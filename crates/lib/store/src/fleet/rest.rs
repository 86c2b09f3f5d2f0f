//! How often what a host reports is written into the audit log, which nobody can shorten.

use slipway_domain::Timestamp;

/// The rest after the first event, in seconds.
const FIRST: i32 = 10;
/// The longest rest.
const LONGEST: i32 = 600;
/// After so many seconds without an event a host begins with the first rest again.
const QUIET: i64 = 3600;

/// A host's pause between two events of one kind.
///
/// It grows with every event. So a host whose token was stolen writes a few events, and then six an hour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    /// When the last event was written.
    pub(super) noted_at: Option<Timestamp>,
    /// The rest since then.
    pub(super) seconds: Option<i32>,
}

impl Rest {
    /// Whether an event may be written.
    pub(super) fn is_over(self, now: Timestamp) -> bool {
        let rest = i64::from(self.seconds.unwrap_or(FIRST));
        self.noted_at.is_none_or(|at| (now - at).num_seconds() >= rest)
    }

    /// The rest after an event that is written now.
    pub(super) fn after(self, now: Timestamp) -> i32 {
        match (self.noted_at, self.seconds) {
            (Some(at), Some(rest)) if (now - at).num_seconds() < QUIET => {
                rest.saturating_mul(2).clamp(FIRST, LONGEST)
            }
            _ => FIRST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    /// The instants of the events of a host that has something new in every second.
    fn events(seconds: i64) -> Vec<i64> {
        let mut rest = Rest {
            noted_at: None,
            seconds: None,
        };
        let mut events = Vec::new();
        for second in 0..seconds {
            let now = at(second);
            if rest.is_over(now) {
                rest = Rest {
                    noted_at: Some(now),
                    seconds: Some(rest.after(now)),
                };
                events.push(second);
            }
        }
        events
    }

    #[test]
    fn the_rest_grows_until_it_is_ten_minutes() {
        let day = events(86_400);
        assert_eq!(day[..9], [0, 10, 30, 70, 150, 310, 630, 1230, 1830]);
        assert!(day.len() < 150, "{} events a day", day.len());
    }

    #[test]
    fn after_a_quiet_hour_the_first_rest_counts_again() {
        let long = |noted_at| Rest {
            noted_at: Some(at(noted_at)),
            seconds: Some(LONGEST),
        };
        assert_eq!(long(0).after(at(QUIET - 1)), LONGEST);
        assert_eq!(long(0).after(at(QUIET)), FIRST);
    }
}
