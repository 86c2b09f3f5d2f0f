//! What is expected of each host: by the events, and by the rows that drift is found with.
//!
//! It is what ran when the host was first seen, what somebody accepted later, or what a step committed after both. Whoever
//! writes another one into the database makes an intruder's system the expected one, and no drift tells of it.

use std::collections::HashMap;

use slipway_domain::digest::{Digest, Digester};
use slipway_domain::event::NewEvent;
use slipway_domain::{StepId, StepState};
use sqlx::PgConnection;
use uuid::Uuid;

use super::decided::{Comparison, Decision};
use super::kind;
use crate::StoreError;

/// What is expected of a host, as it is stored.
pub(crate) struct Expected {
    pub(crate) host: Uuid,
    name: String,
    /// Of its baseline, and of what was accepted beside it.
    pub(crate) digest: Digest,
    /// Whether the host has no baseline, and nothing was accepted.
    is_empty: bool,
    /// The step that committed what is expected in place of the baseline.
    committed: Option<Uuid>,
}

/// Of these hosts, or of all.
pub(crate) async fn read(tx: &mut PgConnection, only: Option<&[Uuid]>) -> Result<Vec<Expected>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT h.id, h.name, h.baseline, h.baseline_boot_default, h.accepted_overrides::text AS overrides,
                  h.accepted_release, c.id AS "committed?"
           FROM hosts h
           LEFT JOIN LATERAL committed_since_baseline(h) c ON true
           WHERE $1::uuid[] IS NULL OR h.id = ANY($1) ORDER BY h.id"#,
        only
    )
    .fetch_all(tx)
    .await?;
    let expected = rows.into_iter().map(|row| {
        let is_empty = row.baseline.is_none()
            && row.baseline_boot_default.is_none()
            && row.overrides.is_none()
            && row.accepted_release.is_none();
        let mut digester = Digester::new("baseline");
        digester
            .field("host", row.id)
            .field_opt("live", row.baseline)
            .field_opt("boot_default", row.baseline_boot_default)
            .field_opt("overrides", row.overrides)
            .field_opt("release", row.accepted_release);
        Expected {
            host: row.id,
            name: row.name,
            digest: digester.finish(),
            is_empty,
            committed: row.committed,
        }
    });
    Ok(expected.collect())
}

/// What the events say of it, gathered one by one.
#[derive(Default)]
pub(super) struct Expectations {
    hosts: HashMap<Uuid, Expectation>,
}

#[derive(Default)]
struct Expectation {
    /// The event of its first sight, or the newest by which somebody accepted what runs.
    baseline: Option<Decision>,
    /// The steps that committed something since then and did not go back, the newest last.
    committed: Vec<Committed>,
    /// What the host committed last before it came back from retirement. Programs from before drift did not note when it
    /// came back, so there it is still expected.
    before: Option<Uuid>,
}

struct Committed {
    step: Uuid,
    number: i64,
}

impl Expectations {
    /// Takes an event; `decision` makes what it decided.
    pub(super) fn note(&mut self, event: &NewEvent, decision: impl Fn() -> Decision) {
        let Some(host) = event.host else { return };
        let host = || host.as_uuid();
        match event.kind.as_str() {
            kind::HOST_FIRST_SEEN | kind::HOST_ADOPTED => {
                let expectation = Expectation {
                    baseline: Some(decision()),
                    ..Expectation::default()
                };
                self.hosts.insert(host(), expectation);
            }
            kind::HOST_RESTORED => {
                let before = self.hosts.remove(&host());
                let before = before.and_then(|before| before.committed.last().map(|last| last.step));
                let expectation = Expectation {
                    before,
                    ..Expectation::default()
                };
                self.hosts.insert(host(), expectation);
            }
            kind::STEP_STATE => {
                let Some(step) = event.step.map(StepId::as_uuid) else {
                    return;
                };
                let steps = &mut self.hosts.entry(host()).or_default().committed;
                // One that goes back leaves what was expected before it.
                steps.retain(|known| known.step != step);
                if event.to.as_deref() == Some(StepState::Committed.as_str()) {
                    let number = decision().number;
                    steps.push(Committed { step, number });
                }
            }
            _ => {}
        }
    }

    /// Compares all hosts.
    pub(super) async fn compare(
        &self,
        tx: &mut PgConnection,
        comparison: &mut Comparison,
    ) -> Result<(), StoreError> {
        let none = Expectation::default();
        for now in read(tx, None).await? {
            let said = self.hosts.get(&now.host).unwrap_or(&none);
            let what = format!("what is expected of host {}", now.name);
            match &said.baseline {
                None if now.is_empty => {}
                decision => comparison.compare(&what, decision.as_ref(), now.digest),
            }
            let last = said.committed.last();
            let step = last.map(|last| last.step);
            if now.committed != step && !(step.is_none() && now.committed == said.before) {
                let event = last.map(|last| last.number);
                let event = event.or(said.baseline.as_ref().map(|decision| decision.number));
                comparison.wrong(
                    event,
                    format!("{what} is not what was committed or accepted last"),
                );
            }
        }
        Ok(())
    }
}
