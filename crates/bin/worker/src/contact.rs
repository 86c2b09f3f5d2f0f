//! When the database was out of reach, so that no host is blamed for what nobody could hear.

use std::time::{Duration, Instant};

use slipway_domain::snapshot::Snapshot;
use slipway_domain::{OFFLINE_AFTER_SECONDS, Timestamp};

/// A longer time between two answers of the database is an absence.
const SILENCE: Duration = Duration::from_secs(5);
/// After its return, hosts get as long to be heard of as before they count as offline.
const EXCUSED: Duration = Duration::from_secs(OFFLINE_AFTER_SECONDS.unsigned_abs());

/// What a worker knows of its contact with the database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contact {
    /// The last answer.
    last: Instant,
    /// The last absence: how long it was, and when it ended.
    away: Option<(Duration, Instant)>,
}

impl Contact {
    /// A worker that begins. One that found the database away does not know for how long it had been.
    pub(crate) fn begin(database_was_away: bool, now: Instant) -> Self {
        Self {
            last: now,
            away: database_was_away.then_some((EXCUSED, now)),
        }
    }

    /// The database answers.
    pub(crate) fn answered(&mut self, now: Instant) {
        let silent = now.saturating_duration_since(self.last);
        if silent > SILENCE {
            self.away = Some((silent, now));
        }
        self.last = now;
    }

    /// Takes a recent absence into account; `now` and `database_now` are one moment.
    pub(crate) fn excuse(&self, snapshot: &mut Snapshot, now: Instant, database_now: Timestamp) {
        let Some((lasted, ended)) = self.away else {
            return;
        };
        let since = now.saturating_duration_since(ended);
        if since < EXCUSED {
            let ended = database_now - since;
            snapshot.excuse(ended - lasted, ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_silence_is_no_absence() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut contact = Contact::begin(false, begin);
        contact.answered(at(1));
        contact.answered(at(5));
        assert_eq!(contact.away, None);
        contact.answered(at(65));
        assert_eq!(contact.away, Some((Duration::from_mins(1), at(65))));
        contact.answered(at(66));
        assert_eq!(contact.away, Some((Duration::from_mins(1), at(65))), "it is kept");
        assert!(Contact::begin(true, begin).away.is_some());
    }
}
