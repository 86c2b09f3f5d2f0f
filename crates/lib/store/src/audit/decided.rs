//! Compares the decisions of the events with the present rows: the second half of checking the log.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;

use slipway_domain::digest::Digest;
use slipway_domain::event::{Actor, NewEvent};
use slipway_domain::{CommandId, EnvironmentId, PrincipalId, ReleaseId, RolloutId, RolloutState};
use sqlx::PgConnection;
use uuid::Uuid;

use super::digests::{self, CommandRow, Decided, TokenRow, Tokens};
use super::expected::Expectations;
use super::{Broken, kind};
use crate::StoreError;

/// The newest decision on each thing, gathered event by event.
#[derive(Default)]
pub(super) struct Decisions {
    environments: HashMap<Uuid, Decision>,
    deleted: HashSet<Uuid>,
    principals: HashMap<String, Decision>,
    disabled: HashSet<String>,
    tokens: HashMap<Uuid, Decision>,
    revoked: HashSet<Uuid>,
    hosts: HashMap<Uuid, HostDecision>,
    expected: Expectations,
    /// What was recorded as the prior of a step, and by which event.
    priors: HashMap<Uuid, (i64, Option<String>)>,
    releases: HashMap<Uuid, Decision>,
    rollouts: HashMap<Uuid, Decision>,
    /// Rollouts that began by waiting for an approval.
    waited: HashSet<Uuid>,
    requested: HashSet<Digest>,
    requested_undigested: HashSet<(Uuid, String, String)>,
}

/// What an event decided.
pub(super) struct Decision {
    pub(super) number: i64,
    pub(super) cause: String,
    pub(super) digest: Option<Digest>,
}

/// Where a host is and what it is called, according to its newest event that decides this.
struct HostDecision {
    decision: Decision,
    environment: Uuid,
    retired: bool,
}

impl Decisions {
    /// Takes an event whose place in the chain was checked.
    pub(super) fn note(&mut self, number: i64, event: &NewEvent) {
        let cause = event.cause_text();
        let decision = || Decision {
            number,
            cause: cause.to_owned(),
            digest: event.digest(),
        };
        self.expected.note(event, decision);
        match event.kind.as_str() {
            kind::ENVIRONMENT_CREATED | kind::ENVIRONMENT_CHANGED => {
                if let Some(id) = event.environment {
                    self.environments.insert(id.as_uuid(), decision());
                    self.deleted.remove(&id.as_uuid());
                }
            }
            kind::ENVIRONMENT_DELETED => self.deleted.extend(event.environment.map(EnvironmentId::as_uuid)),
            kind::PRINCIPAL_CREATED => {
                self.principals.insert(first_word(cause), decision());
            }
            kind::PRINCIPAL_DISABLED => {
                self.disabled.insert(first_word(cause));
            }
            kind::TOKEN_CREATED => {
                if let Some(id) = second_word(cause) {
                    self.tokens.insert(id, decision());
                }
            }
            kind::TOKEN_REVOKED => self.revoked.extend(second_word(cause)),
            kind::RELEASE_CREATED => {
                if let Some(id) = second_word(cause) {
                    self.releases.insert(id, decision());
                }
            }
            kind::ROLLOUT_CREATED => {
                if let Some(id) = event.rollout {
                    self.rollouts.insert(id.as_uuid(), decision());
                    if event.to.as_deref() == Some(RolloutState::PendingApproval.as_str()) {
                        self.waited.insert(id.as_uuid());
                    }
                }
            }
            kind::COMMAND_REQUESTED => match (event.digest(), event.rollout, &event.actor) {
                (Some(digest), ..) => {
                    self.requested.insert(digest);
                }
                (None, Some(rollout), Actor::Principal(name)) => {
                    let what = (rollout.as_uuid(), name.to_string(), cause.to_owned());
                    self.requested_undigested.insert(what);
                }
                _ => {}
            },
            // Others only name the environment that the row had when they were written.
            kind::HOST_CREATED | kind::HOST_RESTORED | kind::HOST_MOVED | kind::HOST_RETIRED => {
                if let (Some(id), Some(environment)) = (event.host, event.environment) {
                    let before = self.hosts.remove(&id.as_uuid());
                    let mut decision = decision();
                    // A program of the previous release retires hosts without recording their names.
                    decision.digest = decision
                        .digest
                        .or(before.and_then(|before| before.decision.digest));
                    let decision = HostDecision {
                        decision,
                        environment: environment.as_uuid(),
                        retired: event.kind == kind::HOST_RETIRED,
                    };
                    self.hosts.insert(id.as_uuid(), decision);
                }
            }
            kind::STEP_PRIOR => {
                if let Some(step) = event.step {
                    self.priors.insert(step.as_uuid(), (number, event.to.clone()));
                }
            }
            _ => {}
        }
    }

    /// The first row that is not what was decided.
    pub(super) async fn compare(&self, tx: &mut PgConnection) -> Result<Comparison, StoreError> {
        let mut comparison = Comparison::default();
        self.compare_environments(tx, &mut comparison).await?;
        self.compare_access(tx, &mut comparison).await?;
        self.compare_hosts(tx, &mut comparison).await?;
        self.expected.compare(tx, &mut comparison).await?;
        let releases = sqlx::query!("SELECT id, seq FROM releases ORDER BY seq")
            .fetch_all(&mut *tx)
            .await?;
        comparison.require("release", &self.releases, releases.iter().map(|row| &row.id));
        for row in releases {
            let digest = digests::release(tx, ReleaseId::from_uuid(row.id)).await?;
            let (what, decision) = (format!("release {}", row.id), self.releases.get(&row.id));
            comparison.compare(&what, decision, digest);
            comparison.compare_number(&what, decision, row.seq);
        }
        self.compare_rollouts(tx, &mut comparison).await?;
        self.compare_priors(tx, &mut comparison).await?;
        Ok(comparison)
    }

    async fn compare_environments(
        &self,
        tx: &mut PgConnection,
        comparison: &mut Comparison,
    ) -> Result<(), StoreError> {
        let all = digests::environments(tx, None).await?;
        comparison.require("environment", &self.environments, all.iter().map(|now| &now.id));
        for now in all {
            let decision = self.environments.get(&now.id);
            let what = format!("environment {}", now.id);
            comparison.compare(&what, decision, now.digest);
            comparison.compare_end(&what, "deleted", self.deleted.contains(&now.id), now.over);
        }
        Ok(())
    }

    async fn compare_access(
        &self,
        tx: &mut PgConnection,
        comparison: &mut Comparison,
    ) -> Result<(), StoreError> {
        let all = digests::principals(tx, None).await?;
        comparison.require("principal", &self.principals, all.iter().map(|row| &row.name));
        for row in all {
            let (what, now) = (format!("principal {}", row.name), row.decided());
            comparison.compare_cause(&what, self.principals.get(&row.name), &now);
            comparison.compare_end(&what, "disabled", self.disabled.contains(&row.name), now.over);
        }
        let all = digests::tokens(tx, Tokens::All).await?;
        let all: Vec<Decided> = all.iter().map(TokenRow::decided).collect();
        comparison.require("token", &self.tokens, all.iter().map(|now| &now.id));
        for now in all {
            let what = format!("token {}", now.id);
            comparison.compare_cause(&what, self.tokens.get(&now.id), &now);
            comparison.compare_end(&what, "revoked", self.revoked.contains(&now.id), now.over);
        }
        Ok(())
    }

    async fn compare_hosts(
        &self,
        tx: &mut PgConnection,
        comparison: &mut Comparison,
    ) -> Result<(), StoreError> {
        let all = digests::hosts(tx, None).await?;
        let decisions = self.hosts.iter().map(|(id, here)| (id, &here.decision));
        comparison.require("host", decisions, all.iter().map(|now| &now.id));
        for now in all {
            let what = format!("host {}", now.name);
            let here = self.hosts.get(&now.id);
            comparison.compare(&what, here.map(|here| &here.decision), now.digest);
            let Some(here) = here else { continue };
            if here.environment != now.environment {
                let problem = format!("{what} is in another environment than the event put it");
                comparison.wrong(Some(here.decision.number), problem);
            }
            comparison.compare_end(&what, "retired", here.retired, now.over);
        }
        Ok(())
    }

    async fn compare_priors(
        &self,
        tx: &mut PgConnection,
        comparison: &mut Comparison,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query!("SELECT id, prior FROM steps ORDER BY seq")
            .fetch_all(tx)
            .await?;
        for row in rows {
            let (number, recorded) = self.priors.get(&row.id).cloned().unzip();
            if recorded.flatten() != row.prior {
                let problem = format!("the prior of step {} is not what was recorded", row.id);
                comparison.wrong(number, problem);
            }
        }
        Ok(())
    }

    async fn compare_rollouts(
        &self,
        tx: &mut PgConnection,
        comparison: &mut Comparison,
    ) -> Result<(), StoreError> {
        let rollouts = sqlx::query!("SELECT id, seq, state, approver_id FROM rollouts ORDER BY seq")
            .fetch_all(&mut *tx)
            .await?;
        comparison.require("rollout", &self.rollouts, rollouts.iter().map(|row| &row.id));
        for row in rollouts {
            let plan = digests::plan(tx, RolloutId::from_uuid(row.id)).await?;
            let decision = self.rollouts.get(&row.id);
            comparison.compare(&format!("the plan of rollout {}", row.id), decision, plan);
            comparison.compare_number(&format!("rollout {}", row.id), decision, row.seq);
            let unapproved = [
                RolloutState::PendingApproval.as_str(),
                RolloutState::Aborted.as_str(),
            ];
            let approved = self
                .compare_commands(tx, row.id, &plan, row.approver_id, comparison)
                .await?;
            if !approved && self.waited.contains(&row.id) && !unapproved.contains(&row.state.as_str()) {
                let problem = format!("rollout {} waited for an approval, and nobody gave it", row.id);
                comparison.wrong(decision.map(|decision| decision.number), problem);
            }
        }
        Ok(())
    }

    /// Compares what was asked of a rollout, and says whether its approver approved it.
    async fn compare_commands(
        &self,
        tx: &mut PgConnection,
        rollout: Uuid,
        plan: &Digest,
        approver: Option<Uuid>,
        comparison: &mut Comparison,
    ) -> Result<bool, StoreError> {
        let rows = sqlx::query!(
            "SELECT c.id, c.kind, c.principal_id, p.name AS principal, c.reason, c.plan, c.refused
             FROM rollout_commands c JOIN principals p ON p.id = c.principal_id WHERE c.rollout_id = $1",
            rollout
        )
        .fetch_all(tx)
        .await?;
        let mut given = false;
        for row in rows {
            let command = CommandRow {
                id: CommandId::from_uuid(row.id),
                rollout: RolloutId::from_uuid(rollout),
                kind: row.kind,
                principal: PrincipalId::from_uuid(row.principal_id),
                reason: row.reason,
                plan: row.plan,
            };
            let words = (rollout, row.principal.clone(), command.cause());
            // The worker refuses one that nobody asked for, and leaves it there.
            if !self.requested.contains(&command.digest(plan))
                && !self.requested_undigested.contains(&words)
                && row.refused.is_none()
            {
                let (by, kind) = (&row.principal, &command.kind);
                comparison.wrong(
                    None,
                    format!("no event says that {by} asked to {kind} rollout {rollout}"),
                );
            }
            given |= command.is_approval()
                && row.refused.is_none()
                && approver == Some(command.principal.as_uuid());
        }
        if approver.is_some() && !given {
            let problem = format!("rollout {rollout} names somebody who never approved it");
            comparison.wrong(None, problem);
        }
        Ok(given)
    }
}

/// The result of the comparison.
#[derive(Default)]
pub(super) struct Comparison {
    /// Rows whose event is of a release before digests.
    pub(super) undigested: i64,
    /// The first row that is not what was decided.
    pub(super) broken: Option<Broken>,
}

impl Comparison {
    pub(super) fn wrong(&mut self, number: Option<i64>, problem: String) {
        self.broken.get_or_insert(Broken { number, problem });
    }

    /// Whether something was taken out of use, by the events and by its row.
    fn compare_end(&mut self, what: &str, end: &str, decided: bool, now: bool) {
        match (decided, now) {
            (true, false) => self.wrong(None, format!("{what} was {end}, and is not any more")),
            (false, true) => self.wrong(None, format!("{what} is {end}, and no event says so")),
            _ => {}
        }
    }

    /// Nothing that an event made is ever removed.
    fn require<'a, Id: Display + Hash + Eq + 'a>(
        &mut self,
        what: &str,
        made: impl IntoIterator<Item = (&'a Id, &'a Decision)>,
        here: impl IntoIterator<Item = &'a Id>,
    ) {
        let here: HashSet<&Id> = here.into_iter().collect();
        let gone = made.into_iter().filter(|(id, _)| !here.contains(id));
        if let Some((id, decision)) = gone.min_by_key(|(_, decision)| decision.number) {
            self.wrong(
                Some(decision.number),
                format!("{what} {id}, which this event made, is gone"),
            );
        }
    }

    pub(super) fn compare(&mut self, what: &str, decision: Option<&Decision>, now: Digest) {
        let Some(decision) = decision else {
            return self.wrong(None, format!("no event says how {what} came to be"));
        };
        match decision.digest {
            None => self.undigested += 1,
            Some(digest) if digest == now => {}
            Some(_) => self.wrong(
                Some(decision.number),
                format!("{what} is not what this event decided: somebody changed the database by hand"),
            ),
        }
    }

    /// People name it by its number. Events of programs before numbers say none.
    fn compare_number(&mut self, what: &str, decision: Option<&Decision>, now: i64) {
        let said = decision.and_then(|decision| Some((decision.number, number_in(&decision.cause)?)));
        if let Some((event, said)) = said.filter(|(_, said)| *said != now) {
            let problem = format!("{what} has the number {now}, and this event says #{said}");
            self.wrong(Some(event), problem);
        }
    }

    /// As [`Self::compare`], where an event without a digest says something too.
    fn compare_cause(&mut self, what: &str, decision: Option<&Decision>, now: &Decided) {
        self.compare(what, decision, now.digest);
        if let Some(decision) = decision
            && !decision.cause.starts_with(&now.cause)
        {
            let problem = format!(
                "{what} is not what this event decided: it says `{}`",
                decision.cause
            );
            self.wrong(Some(decision.number), problem);
        }
    }
}

fn first_word(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// The number of what was made: in `rollout #34 of release #12`, or in `(#12` and `(#12, v1.4.0)`.
fn number_in(cause: &str) -> Option<i64> {
    let rest = match cause.strip_prefix("rollout #") {
        Some(rest) => rest,
        None => cause.split_once("(#")?.1,
    };
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..end].parse().ok()
}

/// The id after the first word, up to a space or a colon.
fn second_word(text: &str) -> Option<Uuid> {
    text.split([' ', ':']).nth(1)?.parse().ok()
}
