//! Maintenance windows: `mon-thu 09:00-16:00 Europe/Berlin`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::{Span, ToSpan as _};

use super::zone::{UnknownZone, WallTime, Zone};
use crate::Timestamp;

/// The weekdays, by the first three letters.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// The months, by the first three letters.
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const LAST_DATE: u32 = 31;
const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;
/// How far the next opening is looked for, in days.
const HORIZON_DAYS: i32 = 2 * 366;
/// Characters of a window's text.
const MAX_TEXT: usize = 200;

/// A time that comes again and again: days, two times of a clock on the wall, and the clock's time zone.
///
/// `[WEEKDAYS] [DATES] [MONTHS] FROM-TO ZONE`, such as `tue 8-14 20:00-23:00 UTC` for every second Tuesday of a month.
/// What is left out is every one. A window whose end is not after its beginning ends on the next day.
///
/// A time that the clocks skip is left out. Of one that comes twice, `FROM` and `TO` mean the first.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    text: String,
    /// One bit a weekday, from Monday.
    days: u32,
    /// One bit a day of the month.
    dates: u32,
    /// One bit a month.
    months: u32,
    /// Minutes of the day.
    from: u32,
    to: u32,
    zone: Zone,
}

/// Text that is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// The form is wrong.
    #[error(
        "`{0}` is not a window: write [WEEKDAYS] [DATES] [MONTHS] FROM-TO ZONE, such as `mon-thu 09:00-16:00 Europe/Berlin`"
    )]
    Form(String),
    /// It ends with its times.
    #[error("the window `{0}` has no time zone: add one, such as `{0} Europe/Berlin`, or `{0} UTC`")]
    WithoutZone(String),
    /// A part cannot be read.
    #[error("`{part}` of a window is {problem}")]
    Part {
        /// The part.
        part: String,
        /// What is wrong with it, and what to write.
        problem: &'static str,
    },
    /// Its beginning is its end.
    #[error("`{0}` begins when it ends, so it never opens: for a whole day write 00:00-24:00")]
    Empty(String),
    /// There is no such zone.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
}

impl Window {
    /// Its text, in one form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is open at this instant.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.end_of_opening(at).is_some()
    }

    /// When the opening ends in which this instant is.
    #[must_use]
    pub fn end_of_opening(&self, at: Timestamp) -> Option<Timestamp> {
        let today = self.zone.wall_clock(at)?.date();
        let openings = [today.yesterday(), Ok(today)].into_iter().flatten();
        let mut openings = openings.filter_map(|date| self.opening_on(date));
        openings
            .find(|(start, end)| *start <= at && at < *end)
            .map(|(_, end)| end)
    }

    /// The next time after this instant that it opens; none within two years.
    #[must_use]
    pub fn next_start(&self, after: Timestamp) -> Option<Timestamp> {
        let today = self.zone.wall_clock(after)?.date();
        let dates = (0..=HORIZON_DAYS).filter_map(|days| today.checked_add(days.days()).ok());
        let mut starts = dates.filter_map(|date| Some(self.opening_on(date)?.0));
        starts.find(|start| *start > after)
    }

    /// The opening that begins on this day, if one does.
    fn opening_on(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        let bit = |number: i8| 1_u32 << number;
        let comes = self.days & bit(date.weekday().to_monday_zero_offset()) != 0
            && self.dates & bit(date.day() - 1) != 0
            && self.months & bit(date.month() - 1) != 0;
        if !comes {
            return None;
        }
        let to = if self.to > self.from {
            self.to
        } else {
            self.to + DAY
        };
        let (start, end) = (self.instant(date, self.from)?, self.instant(date, to)?);
        (start < end).then_some((start, end))
    }

    /// So many minutes after midnight by the clock on the wall.
    fn instant(&self, date: Date, minutes: u32) -> Option<Timestamp> {
        let (date, minutes) = match minutes.checked_sub(DAY) {
            Some(minutes) => (date.tomorrow().ok()?, minutes),
            None => (date, minutes),
        };
        let minutes: Span = i64::from(minutes).minutes();
        let wall: DateTime = date
            .to_datetime(jiff::civil::Time::midnight())
            .checked_add(minutes)
            .ok()?;
        Some(match self.zone.instant(wall)? {
            WallTime::Once(at) | WallTime::Skipped(at) | WallTime::Twice(at, _) => at,
        })
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Window {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some(
                "A time that comes again and again: `[WEEKDAYS] [DATES] [MONTHS] FROM-TO ZONE`. What is left out is every one.",
            ))
            .max_length(Some(MAX_TEXT))
            .examples(["mon-thu 09:00-16:00 Europe/Berlin"])
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Window {}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.text
    }
}

impl TryFrom<String> for Window {
    type Error = WindowError;

    fn try_from(text: String) -> Result<Self, WindowError> {
        text.parse()
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let form = || WindowError::Form(text.chars().take(MAX_TEXT).collect());
        if text.len() > MAX_TEXT {
            return Err(form());
        }
        let parts: Vec<&str> = text.split_whitespace().collect();
        // No zone begins with a digit.
        let is_times =
            |part: &&str| part.contains('-') && part.starts_with(|first: char| first.is_ascii_digit());
        if parts.last().is_some_and(is_times) {
            return Err(WindowError::WithoutZone(parts.join(" ")));
        }
        let [days @ .., times, zone] = parts.as_slice() else {
            return Err(form());
        };
        let (from, to) = times.split_once('-').ok_or_else(form)?;
        let (from, to) = (time_of_day(from, DAY - 1)?, time_of_day(to, DAY)?);
        let zone: Zone = zone.parse()?;
        let (mut weekdays, mut dates, mut months) = (None, None, None);
        for part in days {
            let part = part.to_lowercase();
            let (field, set) = if part.starts_with(|first: char| first.is_ascii_digit()) {
                (&mut dates, set_of(&part, date, None)?)
            } else if part.split([',', '-']).all(|name| MONTHS.contains(&name)) {
                (&mut months, set_of(&part, |name| place(&MONTHS, name), Some(12))?)
            } else {
                (&mut weekdays, set_of(&part, |name| place(&DAYS, name), Some(7))?)
            };
            if field.replace((part, set)).is_some() {
                return Err(form());
            }
        }
        let times = format!("{}-{}", clock(from), clock(to));
        if from == to {
            return Err(WindowError::Empty(times));
        }
        let bits = |field: &Option<(String, u32)>| field.as_ref().map_or(u32::MAX, |(_, set)| *set);
        let (in_days, in_dates, in_months) = (bits(&weekdays), bits(&dates), bits(&months));
        let named = [weekdays, dates, months]
            .into_iter()
            .flatten()
            .map(|(part, _)| part);
        let all: Vec<String> = named.chain([times, zone.name().to_owned()]).collect();
        Ok(Self {
            text: all.join(" "),
            days: in_days,
            dates: in_dates,
            months: in_months,
            from,
            to,
            zone,
        })
    }
}

fn clock(minutes: u32) -> String {
    format!("{:02}:{:02}", minutes / HOUR, minutes % HOUR)
}

fn time_of_day(text: &str, most: u32) -> Result<u32, WindowError> {
    let read = |text: &str| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| is_number)
    };
    let minutes = text.split_once(':').and_then(|(hours, minutes)| {
        let minutes = read(minutes).filter(|n| *n < HOUR && minutes.len() == 2)?;
        Some(read(hours)? * HOUR + minutes)
    });
    minutes.filter(|minutes| *minutes <= most).ok_or_else(|| WindowError::Part {
        part: text.to_owned(),
        problem: "not a time of day: write hours and minutes, from 00:00 to 23:59; a window may end at 24:00",
    })
}

fn place(names: &[&str], name: &str) -> Option<u32> {
    let place = names.iter().position(|known| *known == name)?;
    u32::try_from(place).ok()
}

fn date(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (1..=LAST_DATE).contains(&number).then(|| number - 1)
}

/// The places that a list of names and ranges means. A range of names may go beyond the last one, to the first.
fn set_of(text: &str, place: impl Fn(&str) -> Option<u32>, round: Option<u32>) -> Result<u32, WindowError> {
    let bad = |problem| WindowError::Part {
        part: text.to_owned(),
        problem,
    };
    let unknown = "not a list of weekdays (mon-thu), dates (8-14) or months (jan,jul)";
    let mut set = 0;
    for item in text.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let (first, last) = place(first).zip(place(last)).ok_or_else(|| bad(unknown))?;
        let last = match round {
            _ if first <= last => last,
            Some(count) => last + count,
            None => {
                return Err(bad(
                    "a range from a later date to an earlier one: write two, as 25-31,1-5",
                ));
            }
        };
        for at in first..=last {
            set |= 1 << round.map_or(at, |count| at % count);
        }
    }
    Ok(set)
}
