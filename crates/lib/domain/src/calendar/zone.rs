//! Time zones by their names, and what a clock on the wall there says.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use crate::Timestamp;

/// The database that is in the program.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone of the IANA database.
#[derive(Debug, Clone)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// Text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone: use a name of the IANA database, such as Europe/Berlin or UTC")]
pub struct UnknownZone(String);

/// What a clock on the wall means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WallTime {
    /// This instant.
    Once(Timestamp),
    /// The clocks skip it, at this instant.
    Skipped(Timestamp),
    /// It comes twice.
    Twice(Timestamp, Timestamp),
}

impl Zone {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the clock on the wall says at this instant.
    pub(super) fn wall_clock(&self, at: Timestamp) -> Option<DateTime> {
        let at = jiff::Timestamp::from_microsecond(at.timestamp_micros()).ok()?;
        Some(self.rules.to_datetime(at))
    }

    /// What this time on the wall means. None beyond the years that can be computed with.
    pub(super) fn instant(&self, wall: DateTime) -> Option<WallTime> {
        let at = |offset: jiff::tz::Offset| offset.to_timestamp(wall).ok();
        match self.rules.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => Some(WallTime::Once(ours(at(offset)?)?)),
            AmbiguousOffset::Fold { before, after } => {
                Some(WallTime::Twice(ours(at(before)?)?, ours(at(after)?)?))
            }
            AmbiguousOffset::Gap { after, .. } => {
                // By the later offset the time is before the change, by less than the clocks skip.
                let change = self.rules.following(at(after)?).next()?;
                Some(WallTime::Skipped(ours(change.timestamp())?))
            }
        }
    }
}

fn ours(at: jiff::Timestamp) -> Option<Timestamp> {
    Timestamp::from_timestamp_micros(at.as_microsecond())
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(text: &str) -> Result<Self, UnknownZone> {
        let unknown = || UnknownZone(text.chars().take(80).collect());
        let rules = ZONES.get(text).map_err(|_| unknown())?;
        let name = rules.iana_name().ok_or_else(unknown)?.to_owned();
        Ok(Self { name, rules })
    }
}
