//! When rollouts may touch hosts: maintenance windows and freezes of an environment, and what a rollout itself says.
//!
//! The rules of time zones are in the program. So the same instant gives the same answer on every machine.

mod time;
mod window;
mod zone;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use time::{GivenTime, GivenTimeError};
pub use window::{Window, WindowError};
pub use zone::{UnknownZone, Zone};

use crate::{FreezeId, PrincipalName, Timestamp};

/// The most windows of an environment.
pub const MAX_WINDOWS: usize = 32;
/// The most freezes of an environment that are not over.
pub const MAX_FREEZES: usize = 64;
/// The longest freeze, and the furthest beginning of one or of a rollout, in days.
pub const MAX_AHEAD_DAYS: i64 = 366;

/// The times at which rollouts may begin something in an environment. Without a window that is any time but a freeze.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Calendar {
    /// Rollouts begin something only within one of these, if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Rollouts begin nothing within any of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
}

/// A time in which rollouts begin nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Freeze {
    /// Its id.
    pub id: FreezeId,
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub by: PrincipalName,
}

/// Why a rollout begins nothing for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hold {
    /// When it goes on, as the calendar stands; none when no window opens within two years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Why, in words.
    pub why: String,
}

impl Freeze {
    fn covers(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

impl Calendar {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.freezes.is_empty()
    }

    /// What keeps rollouts from beginning anything now.
    #[must_use]
    pub fn hold(&self, now: Timestamp) -> Option<Hold> {
        let until = self.next_open(now);
        if until == Some(now) {
            return None;
        }
        let why = match self.freeze_at(now) {
            // The time would stand there twice.
            Some(freeze) if until == Some(freeze.until) => {
                format!("frozen by {}: {}", freeze.by, freeze.reason)
            }
            Some(freeze) => format!(
                "frozen until {} by {}: {}",
                words(freeze.until),
                freeze.by,
                freeze.reason
            ),
            None => "outside the maintenance windows".to_owned(),
        };
        Some(Hold { until, why })
    }

    /// The first instant from this one on at which rollouts may begin something; none within two years.
    #[must_use]
    pub fn next_open(&self, from: Timestamp) -> Option<Timestamp> {
        let mut at = from;
        // Each round leaves a freeze behind, or comes to the next opening, which a freeze may cover.
        for _ in 0..=2 * (self.freezes.len() + 1) {
            if let Some(freeze) = self.freeze_at(at) {
                at = freeze.until;
            } else if self.windows.is_empty() || self.windows.iter().any(|window| window.is_open(at)) {
                return Some(at);
            } else {
                at = self
                    .windows
                    .iter()
                    .filter_map(|window| window.next_start(at))
                    .min()?;
            }
        }
        None
    }

    /// The freeze at this instant; of several the one that lasts longest.
    #[must_use]
    pub fn freeze_at(&self, at: Timestamp) -> Option<&Freeze> {
        let covering = self.freezes.iter().filter(|freeze| freeze.covers(at));
        covering.max_by_key(|freeze| freeze.until)
    }
}

/// All that says when a rollout may begin something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timing {
    /// The environment's windows and freezes.
    pub calendar: Calendar,
    /// It begins nothing before.
    pub not_before: Option<Timestamp>,
    /// Somebody who may override the calendar did so for this rollout.
    pub overridden: bool,
}

impl Timing {
    /// What keeps the rollout from beginning anything now.
    #[must_use]
    pub fn hold(&self, now: Timestamp) -> Option<Hold> {
        let Some(at) = self.not_before.filter(|at| *at > now) else {
            return self.calendar.hold(now).filter(|_| !self.overridden);
        };
        let closed = self.calendar.hold(at).filter(|_| !self.overridden);
        let to_begin = format!("it is to begin at {}", words(at));
        Some(match closed {
            None => Hold {
                until: Some(at),
                why: to_begin,
            },
            Some(closed) => Hold {
                until: closed.until,
                why: format!("{to_begin}, and the environment is {} then", closed.why),
            },
        })
    }
}

impl Hold {
    /// It in words that follow the name of a rollout.
    #[must_use]
    pub fn words(&self) -> String {
        match self.until {
            Some(until) => format!("waits until {}: {}", words(until), self.why),
            None => format!("waits, and no window opens within two years: {}", self.why),
        }
    }

    /// It in words that follow "rollouts", of an environment where none may begin anything.
    #[must_use]
    pub fn words_of_all(&self) -> String {
        match self.until {
            Some(until) => format!("begin nothing until {}: {}", words(until), self.why),
            None => format!(
                "begin nothing, and no window opens within two years: {}",
                self.why
            ),
        }
    }
}

fn words(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests;
