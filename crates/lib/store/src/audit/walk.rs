//! Checking the log a little at a time, so that metrics can say whether it is whole.
//!
//! Two walks go through the events: one follows the newest event, one begins at the first event again and again. Their
//! places are rows, sealed as events are: whoever changes one by hand only makes the walk begin at the first event.

mod place;

use chrono::{DateTime, Utc};
use slipway_domain::Timestamp;
use sqlx::PgConnection;
use tracing::{error, instrument, warn};

use place::{WalkRow, lock_due, write_place};

use super::chain::{Broken, ChainCheck, PAGE, fetch_head, fetch_page};
use super::{AuditKey, EventRecord};
use crate::{Store, StoreError, bounded, row};

/// The most pages in one go; a walk through more events goes on at its next turn.
const PAGES: usize = 10;
/// All statements of one turn see the log as it is at one moment.
const ONE_MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";
/// How often the walks go on, in whichever worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From one turn of a walk to the next.
    pub turn_seconds: u32,
    /// How long the walk through all events rests at their end.
    pub rest_seconds: u32,
}

/// A walk through the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// Goes on with new events after those that it has seen. It also sees when the log's end was cut off.
    Newest,
    /// Goes through all events, and again after a rest. It sees when an earlier event was changed.
    Whole,
}

impl Walk {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Newest, Self::Whole];

    /// Its row, and its name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Whole => "whole",
        }
    }
}

/// Where a walk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditWalk {
    /// Which one.
    pub walk: Walk,
    /// The number of the last event that was right.
    pub number: i64,
    /// When it last reached the newest event and all were right.
    pub ended_at: Option<Timestamp>,
    /// What is wrong with the log.
    pub problem: Option<String>,
}

impl Store {
    /// Takes a walk on by at most 10,000 events. Nothing when it is not its turn, or when another worker is at it: the
    /// walk's row is locked until its place is written.
    #[instrument(name = "db.event.walk", level = "debug", skip_all, fields(walk = walk.as_str()))]
    pub async fn walk_events(
        &self,
        key: &AuditKey,
        walk: Walk,
        every: Pace,
    ) -> Result<Option<AuditWalk>, StoreError> {
        bounded(async {
            let mut tx = self.begin_with(Some(ONE_MOMENT)).await?;
            let Some((row, now)) = lock_due(&mut tx, walk, every).await? else {
                tx.rollback().await?;
                return Ok(None);
            };
            let reached = next_place(&mut tx, key, walk, row, now).await?;
            write_place(&mut tx, key, &reached).await?;
            crate::commits::note_commit();
            tx.commit().await?;
            Ok(Some(AuditWalk {
                walk,
                number: reached.number,
                ended_at: reached.ended_at,
                problem: reached.problem,
            }))
        })
        .await
    }

    /// Where each walk is that was begun. One whose row was changed by hand has a problem.
    #[instrument(name = "db.event.walks", level = "debug", skip_all)]
    pub async fn audit_walks(&self, key: &AuditKey) -> Result<Vec<AuditWalk>, StoreError> {
        bounded(async {
            let rows = sqlx::query_as!(
                WalkRow,
                "SELECT name, number, hash, seal_key, walked_at, ended_at, problem, seal, sealed_with
                 FROM audit_walks WHERE walked_at IS NOT NULL"
            )
            .fetch_all(&self.pool)
            .await?;
            let walks = rows.into_iter().filter_map(|row| {
                let walk = Walk::ALL.into_iter().find(|walk| walk.as_str() == row.name)?;
                let sealed = row.is_sealed(key);
                Some(AuditWalk {
                    walk,
                    number: if sealed { row.number } else { 0 },
                    ended_at: row.ended_at.filter(|_| sealed),
                    problem: if sealed {
                        row.problem
                    } else {
                        Some(UNSEALED.to_owned())
                    },
                })
            });
            Ok(walks.collect())
        })
        .await
    }
}

const UNSEALED: &str = "the place of the last check was changed by hand, or SECRET_KEY was changed";

/// Checks the events from a place on, and gives the place where that ended.
async fn next_place(
    tx: &mut PgConnection,
    key: &AuditKey,
    walk: Walk,
    row: WalkRow,
    now: DateTime<Utc>,
) -> Result<WalkRow, StoreError> {
    let sealed = row.is_sealed(key);
    if !sealed && row.walked_at.is_some() {
        warn!(
            walk = walk.as_str(),
            "{UNSEALED}; checking from the first event on"
        );
    }
    let (mut check, mut seal_key) = if sealed {
        let hash = row::hash("event hash", row.hash)?;
        (
            ChainCheck::after(key, row.number, hash, &row.seal_key),
            row.seal_key,
        )
    } else {
        (ChainCheck::new(key), String::new())
    };
    let (ended, broken) = go_on(tx, &mut check, &mut seal_key).await?;
    if let Some(Broken { number, problem }) = &broken {
        error!(
            walk = walk.as_str(),
            event = number,
            problem,
            "the audit log is not whole"
        );
    }
    let whole_again = ended && walk == Walk::Whole;
    let (number, hash) = if whole_again {
        (0, [0; 32])
    } else {
        (check.count(), check.hash)
    };
    Ok(WalkRow {
        name: row.name,
        number,
        hash: hash.to_vec(),
        seal_key: if whole_again { String::new() } else { seal_key },
        walked_at: Some(now),
        ended_at: if ended {
            Some(now)
        } else {
            row.ended_at.filter(|_| sealed)
        },
        problem: broken.map(|broken| match broken.number {
            Some(number) => format!("event {number}: {}", broken.problem),
            None => broken.problem,
        }),
        seal: None,
        sealed_with: None,
    })
}

/// Checks at most [`PAGES`] pages. Says whether the newest event was reached and all is right, or what is wrong.
async fn go_on(
    tx: &mut PgConnection,
    check: &mut ChainCheck<'_>,
    seal_key: &mut String,
) -> Result<(bool, Option<Broken>), StoreError> {
    let head = fetch_head(tx).await?;
    for _ in 0..PAGES {
        let page = fetch_page(tx, check.checked).await?;
        let last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        for row in page {
            match check.event(row) {
                Ok(EventRecord { seal_key: with, .. }) => *seal_key = with,
                Err(broken) => return Ok((false, Some(broken))),
            }
        }
        if last {
            let broken = check.wrong_end(head);
            return Ok((broken.is_none(), broken));
        }
    }
    Ok((false, None))
}
