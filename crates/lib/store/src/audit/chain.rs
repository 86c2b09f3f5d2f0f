//! Checking events in their order, from the first one or from where an earlier check ended.

use slipway_domain::event::{EventHash, GENESIS, chain_hash};
use slipway_wire::audit::SealKeyUse;
use sqlx::PgConnection;

use super::key::BadSeal;
use super::read::{EventRow, event_rows};
use super::{AuditKey, EventHead, EventRecord};
use crate::{StoreError, row};

/// Events read at once.
pub(super) const PAGE: i64 = 1000;

/// The first thing that is wrong with a log.
#[derive(Debug)]
pub(crate) struct Broken {
    /// The number of the event; none when there should be one.
    pub(super) number: Option<i64>,
    /// What is wrong with it, for people.
    pub(super) problem: String,
}

/// The chain's newest event, as the log says.
pub(super) async fn fetch_head(tx: &mut PgConnection) -> Result<Option<EventHead>, StoreError> {
    let head = sqlx::query!("SELECT number, hash FROM event_head")
        .fetch_optional(tx)
        .await?;
    let head = head.map(|head| {
        row::hash("event hash", head.hash).map(|hash| EventHead {
            number: head.number,
            hash,
        })
    });
    head.transpose()
}

/// The next events after this number.
pub(super) async fn fetch_page(tx: &mut PgConnection, after: i64) -> Result<Vec<EventRow>, StoreError> {
    Ok(event_rows!(
        chained "FROM events e WHERE e.number > $1 ORDER BY e.number LIMIT $2",
        after,
        PAGE
    )
    .fetch_all(tx)
    .await?)
}

/// A check under way.
pub(super) struct ChainCheck<'a> {
    key: &'a AuditKey,
    /// Where it began: the number of events that an earlier check had seen.
    began: i64,
    pub(super) checked: i64,
    pub(super) hash: EventHash,
    /// The place of the key of the event before.
    generation: usize,
    pub(super) sealed_earlier: i64,
    /// The places of the keys, each with the numbers of the first and the last event that it sealed.
    uses: Vec<(usize, i64, i64)>,
}

impl<'a> ChainCheck<'a> {
    pub(super) const fn new(key: &'a AuditKey) -> Self {
        Self {
            key,
            began: 0,
            // Below 1, so that an event smuggled in before the first is read too.
            checked: i64::MIN,
            hash: GENESIS,
            generation: 0,
            sealed_earlier: 0,
            uses: Vec::new(),
        }
    }

    /// Goes on after an event that was checked before, whose seal has this key.
    pub(super) fn after(key: &'a AuditKey, number: i64, hash: EventHash, seal_key: &str) -> Self {
        if number < 1 {
            return Self::new(key);
        }
        Self {
            began: number,
            checked: number,
            hash,
            // Unknown: the next event then has an unknown key, too, or a later one.
            generation: key.place(seal_key).unwrap_or(0),
            ..Self::new(key)
        }
    }

    /// The keys of the events that were right, in their order.
    pub(super) fn keys(&self) -> Vec<SealKeyUse> {
        let ids: Vec<String> = self.key.ids().collect();
        let uses = self.uses.iter().map(|(place, first, last)| SealKeyUse {
            id: ids.get(*place).cloned().unwrap_or_default(),
            first: *first,
            last: *last,
        });
        uses.collect()
    }

    pub(super) fn count(&self) -> i64 {
        self.checked.max(0)
    }

    /// Checks the next event.
    pub(super) fn event(&mut self, row: EventRow) -> Result<EventRecord, Broken> {
        let expected = self.count() + 1;
        let broken = |number, problem: String| {
            Err(Broken {
                number: Some(number),
                problem,
            })
        };
        if row.number != expected {
            return broken(
                expected,
                format!(
                    "it is missing: the next event that there is has number {}",
                    row.number
                ),
            );
        }
        let record = match EventRecord::try_from(row) {
            Ok(record) => record,
            Err(error) => return broken(expected, error.to_string()),
        };
        let hash = chain_hash(&self.hash, record.number, record.at, &record.event);
        if hash != record.hash {
            return broken(
                expected,
                "its hash does not fit its content and the event before it: one of them was changed"
                    .to_owned(),
            );
        }
        let named: String = record.seal_key.chars().take(16).collect();
        match self.key.check(&record.seal_key, &hash, &record.seal) {
            Err(BadSeal::Wrong) => {
                let problem = "its seal was not made with the control plane's key";
                return broken(expected, problem.to_owned());
            }
            Err(BadSeal::UnknownKey) => {
                let problem = format!(
                    "it is sealed with a key ({named}) that nobody named; if SECRET_KEY was changed, put the one before \
                     into SECRET_KEY_EARLIER"
                );
                return broken(expected, problem);
            }
            Ok(generation) if generation < self.generation => {
                let problem = format!("it is sealed with a key ({named}) of before the event before it");
                return broken(expected, problem);
            }
            Ok(generation) => {
                self.generation = generation;
                match self.uses.last_mut() {
                    Some((place, _, last)) if *place == generation => *last = expected,
                    _ => self.uses.push((generation, expected, expected)),
                }
                self.sealed_earlier += i64::from(generation < self.key.earlier());
            }
        }
        self.hash = hash;
        self.checked = expected;
        Ok(record)
    }

    /// What is wrong with the end of the chain, given its head.
    pub(super) fn wrong_end(&self, head: Option<EventHead>) -> Option<Broken> {
        let count = self.count();
        let problem = match head {
            None => "the chain's head is missing".to_owned(),
            Some(head) if head.number < self.began => format!(
                "{} events were there at an earlier check, and the chain's head says {}: the end was cut off",
                self.began, head.number
            ),
            Some(head) if head.number != count => {
                format!(
                    "the chain ends after {count} events and its head says {}",
                    head.number
                )
            }
            Some(head) if head.hash != self.hash => "the chain's head has another hash".to_owned(),
            Some(_) => return None,
        };
        Some(Broken {
            number: Some(count + 1),
            problem,
        })
    }
}
