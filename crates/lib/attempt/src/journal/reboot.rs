//! How far an attempt is with its one boot.

use serde::{Deserialize, Serialize};
use slipway_domain::{StorePath, Timestamp};

use super::{Attempt, Journal};

/// Within how many seconds reboots are counted.
const COUNTED: u64 = 24 * 3600;

/// The one boot of an attempt's closure. It is written before the boot loader is told, so that any other boot that
/// follows is that one, whatever came up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebootProgress {
    /// The boot in which it was written: in another one, the boot loader has done what it was told.
    pub from: String,
    /// What boots whenever the boot loader is told nothing.
    pub default: StorePath,
    /// How often the machine was asked to go down. It goes down once; an agent that was killed asks again.
    #[serde(default)]
    pub asked: u32,
    /// When it was first asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// What was left then until the dead-man's deadline, in seconds.
    #[serde(default)]
    pub seconds_left: u32,
    /// The boot in which the machine was asked to go down to come up with the prior.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_from: Option<String>,
    /// How often it was asked in that boot.
    #[serde(default)]
    pub back_asked: u32,
}

impl RebootProgress {
    /// The beginning, in this boot.
    #[must_use]
    pub fn new(boot_id: &str, default: StorePath) -> Self {
        Self {
            from: boot_id.to_owned(),
            default,
            asked: 0,
            asked_at: None,
            seconds_left: 0,
            back_from: None,
            back_asked: 0,
        }
    }
}

impl Attempt {
    /// Whether the boot loader is told to boot its closure once: not where that boots anyway.
    #[must_use]
    pub fn takes_boot_entry(&self) -> bool {
        self.reboot
            .as_ref()
            .is_some_and(|reboot| reboot.default != self.closure)
    }
}

impl Journal {
    /// How many times attempts had this host reboot within a day.
    #[must_use]
    pub fn reboots_of_a_day(&self, now: Timestamp) -> usize {
        self.reboots.iter().filter(|at| counts(**at, now)).count()
    }

    /// Notes a reboot that is about to be asked for. What no longer counts goes.
    pub fn note_reboot(&mut self, now: Timestamp) {
        self.reboots.retain(|at| counts(*at, now));
        self.reboots.push(now);
    }
}

/// A time that lies far ahead is of a clock that was wrong, and does not count for ever.
fn counts(at: Timestamp, now: Timestamp) -> bool {
    (now - at).num_seconds().unsigned_abs() < COUNTED
}
