//! An instant as a person gives it.

use std::str::FromStr;

use jiff::civil::DateTime;

use super::zone::{UnknownZone, WallTime, Zone};
use crate::Timestamp;

/// An instant: RFC 3339 (`2026-12-01T22:00:00+01:00`), or a clock on the wall with its zone (`2026-12-01 22:00
/// Europe/Berlin`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenTime(pub Timestamp);

/// Text that is no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GivenTimeError {
    /// The form is wrong.
    #[error(
        "`{0}` is not a time: write it with an offset (2026-12-01T22:00:00+01:00), or with a zone (`2026-12-01 22:00 Europe/Berlin`)"
    )]
    Form(String),
    /// The clocks skip it.
    #[error("the clocks in {zone} skip {time}: choose another time, or give it with an offset")]
    Skipped {
        /// The time.
        time: String,
        /// The zone.
        zone: Zone,
    },
    /// It comes twice.
    #[error("the clocks in {zone} show {time} twice: give it with an offset, as {first} or {second}")]
    Twice {
        /// The time.
        time: String,
        /// The zone.
        zone: Zone,
        /// The first time, in UTC.
        first: String,
        /// The second.
        second: String,
    },
    /// There is no such zone.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
}

impl FromStr for GivenTime {
    type Err = GivenTimeError;

    fn from_str(text: &str) -> Result<Self, GivenTimeError> {
        let text = text.trim();
        if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text) {
            return Ok(Self(at.to_utc()));
        }
        let form = || GivenTimeError::Form(text.chars().take(80).collect());
        let (time, zone) = text.rsplit_once(' ').ok_or_else(form)?;
        let wall: DateTime = time.parse().map_err(|_| form())?;
        // A date alone would mean midnight, which few mean who leave the time out.
        if !time.contains(':') {
            return Err(form());
        }
        let zone: Zone = zone.parse()?;
        let utc = |at: Timestamp| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        match zone.instant(wall).ok_or_else(form)? {
            WallTime::Once(at) => Ok(Self(at)),
            WallTime::Skipped(_) => Err(GivenTimeError::Skipped {
                time: time.to_owned(),
                zone,
            }),
            WallTime::Twice(first, second) => Err(GivenTimeError::Twice {
                time: time.to_owned(),
                zone,
                first: utc(first),
                second: utc(second),
            }),
        }
    }
}
