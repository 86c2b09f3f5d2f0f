//! Two clocks: one for people, one for deadlines.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use slipway_domain::Timestamp;

/// An instant in milliseconds since the machine's boot, counting time spent asleep (`CLOCK_BOOTTIME`).
///
/// It means nothing after a reboot, so it is always stored together with the boot id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootMs(pub u64);

impl BootMs {
    /// This much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(ms))
    }

    /// This many seconds later.
    #[must_use]
    pub fn after_seconds(self, seconds: u32) -> Self {
        self.after(Duration::from_secs(seconds.into()))
    }

    /// The time from `now` until this instant; zero when it is past.
    #[must_use]
    pub fn left(self, now: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(now.0))
    }
}

/// The source of time. The host only shows wall time and never compares it; boot time bounds every wait.
pub trait Clock: Send + Sync {
    /// The time of day.
    fn wall(&self) -> Timestamp;
    /// The time since boot.
    fn boot(&self) -> BootMs;
    /// How long ago this boot began. A container has its machine's boot time, which goes on over its own boots.
    fn since_boot(&self) -> Duration {
        Duration::from_millis(self.boot().0)
    }
}

/// The kernel counts the times of processes in hundredths of a second, whatever its own clock does (`USER_HZ`).
const TICK_MS: u64 = 10;

/// When a process started, after the boot, by its `/proc/PID/stat`.
fn started(stat: &str) -> Option<BootMs> {
    // The program's name is in parentheses, and may have spaces and parentheses itself.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    Some(BootMs(ticks.saturating_mul(TICK_MS)))
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from(SystemTime::now())
    }

    fn boot(&self) -> BootMs {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let ms = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
        BootMs(seconds * 1000 + ms)
    }

    fn since_boot(&self) -> Duration {
        let first = std::fs::read_to_string("/proc/1/stat").ok();
        let first = first.as_deref().and_then(started).unwrap_or(BootMs(0));
        self.boot().left(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_goes_forward() {
        let first = SystemClock.boot();
        std::thread::sleep(Duration::from_millis(5));
        let second = SystemClock.boot();
        assert!(second > first && second < first.after_seconds(60));
    }

    #[test]
    fn a_boot_began_with_its_first_process() {
        let stat = "1 (a (b) c) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 6543 9 10";
        assert_eq!(started(stat), Some(BootMs(65_430)));
        assert_eq!(started("1 (systemd) S 0"), None);
        let age = SystemClock.since_boot();
        assert!(age <= SystemClock.boot().left(BootMs(0)), "{age:?}");
    }

    #[test]
    fn what_is_past_has_no_time_left() {
        assert_eq!(BootMs(5).left(BootMs(9)), Duration::ZERO);
        assert_eq!(
            BootMs(0).after_seconds(2).left(BootMs(500)),
            Duration::from_millis(1500)
        );
        assert_eq!(BootMs(u64::MAX).after_seconds(1), BootMs(u64::MAX));
    }
}
