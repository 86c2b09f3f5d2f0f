//! Windows, freezes and times, and what must hold of them.

use chrono::TimeDelta;
use slipway_domain::calendar::MAX_FREEZES;
use slipway_domain::decide::{Change, Effect};
use slipway_domain::{Calendar, Freeze, FreezeId, StepState, Timestamp};
use uuid::Uuid;

use crate::SimControlPlane;

/// What somebody says of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeChange {
    /// The environment is frozen from now on, for so many seconds.
    Freeze(u32),
    /// From now on it has one window a day: it begins with this minute, and lasts for so many more.
    Window(u8),
    /// All freezes and windows are taken away.
    Thaw,
    /// The rollout is to begin in so many seconds.
    BeginIn(u32),
}

impl TimeChange {
    pub(crate) fn make<C: SimControlPlane>(self, control: &mut C, now: Timestamp) {
        let mut calendar = control.snapshot().timing.calendar;
        match self {
            Self::Freeze(_) if calendar.freezes.len() >= MAX_FREEZES => return,
            Self::Freeze(seconds) => calendar.freezes.push(freeze(now, seconds)),
            Self::Window(minutes) => {
                let clock = |at: Timestamp| at.format("%H:%M").to_string();
                let end = now + TimeDelta::minutes(i64::from(minutes) + 1);
                let window = format!("{}-{} UTC", clock(now), clock(end));
                calendar.windows = vec![window.parse().expect("a window")];
            }
            Self::Thaw => calendar = Calendar::default(),
            Self::BeginIn(seconds) => {
                return control.set_beginning(now + TimeDelta::seconds(i64::from(seconds)));
            }
        }
        control.set_calendar(calendar);
    }
}

fn freeze(now: Timestamp, seconds: u32) -> Freeze {
    Freeze {
        id: FreezeId::from_uuid(Uuid::nil()),
        from: now,
        until: now + TimeDelta::seconds(i64::from(seconds)),
        reason: "a test".to_owned(),
        by: "grace".parse().expect("a valid name"),
    }
}

/// No host begins outside the windows, in a freeze or before the rollout's time, if these changes are written now.
pub(crate) fn begun_while_closed<C: SimControlPlane>(
    control: &C,
    changes: &[Change],
    now: Timestamp,
) -> Option<String> {
    let begins = |change: &Change| {
        matches!(
            change.effect,
            Effect::Step {
                to: StepState::Activating,
                ..
            }
        )
    };
    let begun = changes.iter().find(|change| begins(change))?;
    let hold = control.snapshot().timing.hold(now)?;
    Some(format!(
        "times: a host begins ({}) while the rollout {}",
        begun.cause,
        hold.words()
    ))
}
