//! Checking the whole log: the chain, and the rows that its events decided.

use slipway_domain::event::{EventHash, GENESIS, chain_hash};
use slipway_wire::audit::AuditReport;
use sqlx::PgConnection;
use tracing::instrument;

use super::decided::{Comparison, Decisions};
use super::key::BadSeal;
use super::read::{EventRow, event_rows};
use super::{AuditKey, EventHead, EventRecord};
use crate::{Store, StoreError, row};

/// Events read at once.
const PAGE: i64 = 1000;

/// The first thing that is wrong with a log.
#[derive(Debug)]
pub(crate) struct Broken {
    /// The number of the event; none when there should be one.
    pub(super) number: Option<i64>,
    /// What is wrong with it, for people.
    pub(super) problem: String,
}

impl Store {
    /// Computes the chain again from the first event to the newest, in pages. Checks every seal, and compares the
    /// decisions of the events with the present rows.
    ///
    /// All of it is of one instant, so that events appended meanwhile do not matter. A seal of a key that nobody named
    /// proves nothing and counts as broken, and so does a key of before that comes back. This cannot detect somebody
    /// with the key, or a cut-off end together with its head: compare the head with one that you noted earlier.
    #[instrument(name = "db.event.verify", level = "debug", skip_all)]
    pub async fn verify_chain(&self, key: &AuditKey) -> Result<AuditReport, StoreError> {
        let mut tx = self.begin_one_moment().await?;
        let head = sqlx::query!("SELECT number, hash FROM event_head")
            .fetch_optional(&mut *tx)
            .await?;
        let head = head
            .map(|head| {
                row::hash("event hash", head.hash).map(|hash| EventHead {
                    number: head.number,
                    hash,
                })
            })
            .transpose()?;
        let mut check = ChainCheck::new(key);
        loop {
            let page = fetch_page(&mut tx, check.checked).await?;
            let last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            let broken = page.into_iter().find_map(|row| check.event(row).err());
            if broken.is_some() || last {
                let comparison = match broken.or_else(|| check.wrong_end(head)) {
                    Some(broken) => Comparison {
                        undigested: 0,
                        broken: Some(broken),
                    },
                    None => check.decisions.compare(&mut tx).await?,
                };
                tx.rollback().await?;
                return Ok(check.report(comparison));
            }
        }
    }
}

async fn fetch_page(tx: &mut PgConnection, after: i64) -> Result<Vec<EventRow>, StoreError> {
    Ok(event_rows!(
        chained "FROM events e WHERE e.number > $1 ORDER BY e.number LIMIT $2",
        after,
        PAGE
    )
    .fetch_all(tx)
    .await?)
}

/// A check under way.
struct ChainCheck<'a> {
    key: &'a AuditKey,
    checked: i64,
    hash: EventHash,
    /// The place of the key of the event before.
    generation: usize,
    sealed_earlier: i64,
    decisions: Decisions,
}

impl<'a> ChainCheck<'a> {
    fn new(key: &'a AuditKey) -> Self {
        Self {
            key,
            // Below 1, so that an event smuggled in before the first is read too.
            checked: i64::MIN,
            hash: GENESIS,
            generation: 0,
            sealed_earlier: 0,
            decisions: Decisions::default(),
        }
    }

    fn count(&self) -> i64 {
        self.checked.max(0)
    }

    fn event(&mut self, row: EventRow) -> Result<(), Broken> {
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
                self.sealed_earlier += i64::from(generation < self.key.earlier());
            }
        }
        self.decisions.note(record.number, &record.event);
        self.hash = hash;
        self.checked = expected;
        Ok(())
    }

    /// What is wrong with the end of the chain, given its head.
    fn wrong_end(&self, head: Option<EventHead>) -> Option<Broken> {
        let count = self.count();
        let problem = match head {
            None => "the chain's head is missing".to_owned(),
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

    fn report(&self, comparison: Comparison) -> AuditReport {
        let (broken_at, problem) = comparison
            .broken
            .map(|broken| (broken.number, broken.problem))
            .unzip();
        AuditReport {
            whole: problem.is_none(),
            events: self.count(),
            head: hex::encode(self.hash),
            broken_at: broken_at.flatten(),
            problem,
            unsealed: 0,
            sealed_earlier: self.sealed_earlier,
            undigested: comparison.undigested,
        }
    }
}
