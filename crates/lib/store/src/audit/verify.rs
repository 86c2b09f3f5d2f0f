//! Checking the whole chain.

use slipway_domain::event::{EventHash, GENESIS, chain_hash};
use sqlx::PgConnection;
use tracing::instrument;

use super::read::EventRow;
use super::{AuditKey, EventHead, EventRecord};
use crate::{ONE_MOMENT, Store, StoreError, row};

/// Events read at once.
const PAGE: i64 = 1000;

/// What a check of the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// Events that are right, from the first on.
    pub events: i64,
    /// The hash of the last of them.
    pub head: EventHash,
    /// Events among them that were sealed with an earlier key, so that only their hashes could be checked.
    pub unsealed: i64,
    /// The first thing that is wrong; `None` when the chain is whole.
    pub broken: Option<Broken>,
}

/// The first thing that is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The number of the event.
    pub number: i64,
    /// What is wrong with it, for people.
    pub problem: String,
}

impl Store {
    /// Computes the chain anew from the first event to the newest, in pages, and checks every seal.
    ///
    /// All pages are of one instant, so that events appended meanwhile do not matter. Events sealed with another key
    /// may only stand before the first one sealed with this key. Somebody with the key, or somebody who cuts off the
    /// end of the chain together with its head, is not found out here: compare the head with one noted down earlier.
    #[instrument(name = "db.event.verify", level = "debug", skip_all)]
    pub async fn verify_chain(&self, key: &AuditKey) -> Result<ChainReport, StoreError> {
        let mut tx = self.pool.begin_with(ONE_MOMENT).await?;
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
        let mut check = Check::new(key);
        loop {
            let page = fetch_page(&mut tx, check.seen).await?;
            let last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            let broken = page.into_iter().find_map(|row| check.event(row).err());
            if broken.is_some() || last {
                tx.rollback().await?;
                return Ok(check.conclude(broken, head));
            }
        }
    }
}

async fn fetch_page(tx: &mut PgConnection, after: i64) -> Result<Vec<EventRow>, StoreError> {
    Ok(sqlx::query_as!(
        EventRow,
        r#"SELECT number, at, actor_kind, actor_name, kind, environment_id, rollout_id, step_id, host_id,
                  NULL AS "host_name?", from_state, to_state, cause, hash, seal, seal_key
           FROM events WHERE number > $1 ORDER BY number LIMIT $2"#,
        after,
        PAGE
    )
    .fetch_all(tx)
    .await?)
}

/// A check under way.
struct Check<'a> {
    key: &'a AuditKey,
    seen: i64,
    hash: EventHash,
    unsealed: i64,
}

impl<'a> Check<'a> {
    const fn new(key: &'a AuditKey) -> Self {
        Self {
            key,
            // Below 1, so that an event smuggled in before the first is read too.
            seen: i64::MIN,
            hash: GENESIS,
            unsealed: 0,
        }
    }

    fn count(&self) -> i64 {
        self.seen.max(0)
    }

    fn event(&mut self, row: EventRow) -> Result<(), Broken> {
        let expected = self.count() + 1;
        let broken = |number, problem: String| Err(Broken { number, problem });
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
        if record.seal_key == self.key.fingerprint() {
            if !self.key.is_seal(&hash, &record.seal) {
                return broken(
                    expected,
                    "its seal was not made with the control plane's key".to_owned(),
                );
            }
        } else if self.unsealed < self.count() {
            return broken(
                expected,
                format!(
                    "it was sealed with another key ({}) than the event before it",
                    record.seal_key.chars().take(16).collect::<String>()
                ),
            );
        } else {
            self.unsealed += 1;
        }
        self.hash = hash;
        self.seen = expected;
        Ok(())
    }

    fn conclude(self, broken: Option<Broken>, head: Option<EventHead>) -> ChainReport {
        let count = self.count();
        let end = || {
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
                number: count + 1,
                problem,
            })
        };
        ChainReport {
            events: count,
            head: self.hash,
            unsealed: self.unsealed,
            broken: broken.or_else(end),
        }
    }
}
