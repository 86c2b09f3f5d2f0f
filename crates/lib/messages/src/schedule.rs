//! When a delivery is sent again.

use std::time::Duration;

/// The waits after each failure, in seconds; the last one stays. Together they are longer than a delivery is tried.
const WAITS: [u32; 9] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 21_600];
/// The longest wait that a destination may ask for.
const MOST_ASKED: Duration = Duration::from_hours(1);

/// How many seconds to wait after so many tries. It is up to a fifth more or less, so that not all come back at once. What
/// the destination asks for is kept, up to an hour.
#[must_use]
pub fn wait_seconds(attempts: u32, asked: Option<Duration>) -> u32 {
    let mut random = [0];
    // Without randomness all come back at the same time, which does no harm either.
    let _ = getrandom::fill(&mut random);
    spread(base(attempts), random[0]).max(asked.map_or(0, asked_seconds))
}

fn base(attempts: u32) -> u32 {
    let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    WAITS[place.min(WAITS.len() - 1)]
}

/// Four fifths of it to six fifths.
fn spread(seconds: u32, random: u8) -> u32 {
    seconds * 4 / 5 + seconds * 2 / 5 * u32::from(random) / 255
}

fn asked_seconds(asked: Duration) -> u32 {
    u32::try_from(asked.min(MOST_ASKED).as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use slipway_store::messages::TRIED_FOR_SECONDS;

    use super::*;

    #[test]
    fn waits_grow_and_last_a_day() {
        assert!(WAITS.windows(2).all(|pair| pair[0] < pair[1]));
        let (mut at, mut tries) = (0, 1);
        while at < TRIED_FOR_SECONDS {
            at += base(tries);
            tries += 1;
        }
        assert!((10..15).contains(&tries), "{tries} tries in a day");
        assert_eq!(base(u32::MAX), 21_600);
        assert_eq!(base(0), 5);
    }

    #[test]
    fn a_wait_is_spread_and_a_destination_may_ask_for_more() {
        for seconds in WAITS {
            assert_eq!(spread(seconds, 0), seconds * 4 / 5);
            assert_eq!(spread(seconds, 255), seconds * 6 / 5);
        }
        assert!(wait_seconds(1, Some(Duration::from_secs(100))) == 100);
        assert_eq!(wait_seconds(1, Some(Duration::from_hours(48))), 3_600);
        assert!((4..=6).contains(&wait_seconds(1, None)));
    }
}
