//! Checking the whole log: the chain, and the rows that its events decided.

use slipway_wire::audit::AuditReport;
use tracing::instrument;

use super::AuditKey;
use super::chain::{ChainCheck, PAGE, fetch_head, fetch_page};
use super::decided::{Comparison, Decisions};
use crate::{Store, StoreError};

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
        let head = fetch_head(&mut tx).await?;
        let mut check = ChainCheck::new(key);
        let mut decisions = Decisions::default();
        loop {
            let page = fetch_page(&mut tx, check.checked).await?;
            let last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            let broken = page.into_iter().find_map(|row| match check.event(row) {
                Ok(record) => {
                    decisions.note(record.number, &record.event);
                    None
                }
                Err(broken) => Some(broken),
            });
            if broken.is_some() || last {
                let comparison = match broken.or_else(|| check.wrong_end(head)) {
                    Some(broken) => Comparison {
                        undigested: 0,
                        broken: Some(broken),
                    },
                    None => decisions.compare(&mut tx).await?,
                };
                tx.rollback().await?;
                return Ok(report(&check, comparison));
            }
        }
    }
}

fn report(check: &ChainCheck<'_>, comparison: Comparison) -> AuditReport {
    let (broken_at, problem) = comparison
        .broken
        .map(|broken| (broken.number, broken.problem))
        .unzip();
    AuditReport {
        whole: problem.is_none(),
        events: check.count(),
        head: hex::encode(check.hash),
        broken_at: broken_at.flatten(),
        problem,
        unsealed: 0,
        sealed_earlier: check.sealed_earlier,
        undigested: comparison.undigested,
        keys: check.keys(),
    }
}
