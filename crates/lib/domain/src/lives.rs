//! Whether an observation is new, and whether it comes from the host's only machine.
//!
//! An observation carries the boot id of its machine and a counter that grows within a boot. So an old observation can
//! be recognized, and also a second machine with the same token. A replaced boot is over, so its counter must not grow.

use chrono::TimeDelta;

use crate::{OFFLINE_AFTER_SECONDS, Timestamp};

/// A new boot counts after this many seconds: a machine that still runs would have reported by then.
pub const SETTLE_SECONDS: i64 = OFFLINE_AFTER_SECONDS;

/// Two lives end once only one of them has reported for this many seconds.
///
/// Longer than an agent that is refused waits before it asks again.
pub const QUIET_SECONDS: i64 = 300;

/// The largest counter that counts, in microseconds: a century. It keeps instants within what a database can hold.
const MOST_MICROSECONDS: u64 = 100 * 366 * 24 * 3600 * 1_000_000;

/// A counter as it is kept: microseconds since the machine's boot.
#[must_use]
pub fn counter(sent: Option<u64>) -> Option<i64> {
    sent.and_then(|sent| i64::try_from(sent.min(MOST_MICROSECONDS)).ok())
}

/// One boot of a host's machine, as far as its observations tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The kernel's boot id.
    pub boot_id: String,
    /// The counter of its newest observation; `None` where the agent sends none.
    pub counter: Option<i64>,
    /// When the machine was booted, at the latest.
    pub booted_at: Option<Timestamp>,
    /// When it last said something.
    pub observed_at: Option<Timestamp>,
}

/// What an observation means for its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObservationKind {
    /// Newer than what is known of this boot.
    News,
    /// The first observation of a new boot.
    NewBoot,
    /// Older than what is known: late, or sent again.
    Old,
    /// The report of a replaced boot while the newer one still reports: two machines use one token.
    SecondLife,
    /// The report of a replaced boot after the newer one fell silent.
    Back,
}

/// Judges an observation by the current boot, and by what is known of its own boot if that was replaced.
#[must_use]
pub fn judge(
    current: &Life,
    replaced: Option<&Life>,
    boot_id: &str,
    counter: Option<i64>,
    now: Timestamp,
) -> ObservationKind {
    if boot_id == current.boot_id {
        return if is_later(counter, current.counter) {
            ObservationKind::News
        } else {
            ObservationKind::Old
        };
    }
    let Some(own) = replaced else {
        return ObservationKind::NewBoot;
    };
    if !is_later(counter, own.counter) || was_sent_before(own, counter, current) {
        return ObservationKind::Old;
    }
    let silent = |observed: Timestamp| (now - observed).num_seconds() >= QUIET_SECONDS;
    if current.observed_at.is_none_or(silent) {
        ObservationKind::Back
    } else {
        ObservationKind::SecondLife
    }
}

/// Agents of release 0.1.0 send no counter: then nothing can be called old.
fn is_later(counter: Option<i64>, known: Option<i64>) -> bool {
    counter.zip(known).is_none_or(|(counter, known)| counter > known)
}

/// Whether it was sent before the current boot began. Then it was only delayed.
fn was_sent_before(own: &Life, counter: Option<i64>, current: &Life) -> bool {
    let sent = own
        .booted_at
        .zip(counter)
        .map(|(booted, counter)| booted + TimeDelta::microseconds(counter));
    sent.zip(current.booted_at)
        .is_some_and(|(sent, booted)| sent < booted)
}

/// What cannot be known of a host whose agent sends no counter, in words.
pub const UNCOUNTED: &str =
    "its agent does not count what it says, so late words pass for news; update the agent";

/// Why what a host says does not count for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Two machines use its token.
    TwoLives,
    /// It has just booted, and the previous boot may still run.
    NewBoot,
}

impl Doubt {
    /// What there is to doubt, given when a second life was last heard and when the current boot replaced another.
    #[must_use]
    pub fn of(
        second_life: Option<Timestamp>,
        boot_replaced: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Self> {
        let within = |at: Option<Timestamp>, seconds| at.is_some_and(|at| (now - at).num_seconds() < seconds);
        if within(second_life, QUIET_SECONDS) {
            Some(Self::TwoLives)
        } else if within(boot_replaced, SETTLE_SECONDS) {
            Some(Self::NewBoot)
        } else {
            None
        }
    }

    /// In words, after the host's name.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::TwoLives => {
                "two machines use this host's token, so nothing that they say counts; stop the wrong one, or make \
                 a new token with `slipway host token` for the right one"
            }
            Self::NewBoot => "it was just booted; what it says counts once the boot before has been silent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    /// A boot that began at this second and was last heard at that one.
    fn life(boot_id: &str, began: i64, heard: i64) -> Life {
        Life {
            boot_id: boot_id.to_owned(),
            counter: Some((heard - began) * SECOND),
            booted_at: Some(at(began)),
            observed_at: Some(at(heard)),
        }
    }

    /// What an observation means that this boot sends at this second and that arrives at that one.
    fn judged(
        current: &Life,
        replaced: Option<&Life>,
        (boot_id, began): (&str, i64),
        sent: i64,
        now: i64,
    ) -> ObservationKind {
        judge(current, replaced, boot_id, Some((sent - began) * SECOND), at(now))
    }

    #[test]
    fn within_a_boot_only_what_is_newer_is_news() {
        let current = life("a", 0, 100);
        assert_eq!(judged(&current, None, ("a", 0), 101, 101), ObservationKind::News);
        assert_eq!(
            judged(&current, None, ("a", 0), 100, 101),
            ObservationKind::Old,
            "sent again"
        );
        assert_eq!(
            judged(&current, None, ("a", 0), 99, 500),
            ObservationKind::Old,
            "late"
        );
    }

    #[test]
    fn a_word_from_before_the_reboot_is_late_and_one_from_after_it_is_a_second_life() {
        let (old, current) = (life("a", 0, 100), life("b", 130, 140));
        assert_eq!(judged(&old, None, ("b", 130), 140, 140), ObservationKind::NewBoot);
        assert_eq!(
            judged(&current, Some(&old), ("a", 0), 100, 150),
            ObservationKind::Old
        );
        assert_eq!(
            judged(&current, Some(&old), ("a", 0), 110, 150),
            ObservationKind::Old,
            "its last breath, newer than what had arrived before the reboot"
        );
        assert_eq!(
            judged(&current, Some(&old), ("a", 0), 145, 150),
            ObservationKind::SecondLife
        );
        assert_eq!(
            judged(&current, Some(&old), ("a", 0), 440, 440),
            ObservationKind::Back,
            "the other was not heard of for five minutes"
        );
    }

    #[test]
    fn an_agent_without_a_counter_is_heard() {
        let current = life("a", 0, 100);
        assert_eq!(judge(&current, None, "a", None, at(101)), ObservationKind::News);
        assert_eq!(
            judge(&current, None, "b", None, at(101)),
            ObservationKind::NewBoot
        );
        let old = life("b", -50, 90);
        assert_eq!(
            judge(&current, Some(&old), "b", None, at(101)),
            ObservationKind::SecondLife
        );
    }

    #[test]
    fn doubt_ends_by_itself() {
        let doubt = |second, replaced| Doubt::of(Some(at(second)), Some(at(replaced)), at(1000));
        assert_eq!(doubt(701, 0), Some(Doubt::TwoLives));
        assert_eq!(doubt(700, 956), Some(Doubt::NewBoot));
        assert_eq!(doubt(700, 955), None);
    }

    #[test]
    fn no_counter_is_too_large() {
        assert!(
            at(0)
                .checked_sub_signed(TimeDelta::microseconds(counter(Some(u64::MAX)).unwrap()))
                .is_some()
        );
        assert_eq!((counter(Some(5)), counter(None)), (Some(5), None));
    }
}
