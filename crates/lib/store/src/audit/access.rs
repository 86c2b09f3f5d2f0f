//! A principal or a token, held against the events that made it and that took it out of use.

use slipway_domain::Role;
use slipway_domain::digest::Digest;
use uuid::Uuid;

use super::digests::{Decided, PrincipalRow, TokenRow};
use super::gate::{compare, differs, still_over};
use super::kind;
use super::sealed::{self, CausePrefix, Sealed};
use crate::StoreError;

/// A principal or a token, with the events that made it and that took it out of use.
pub(super) struct AccessRecord {
    what: String,
    /// What the first event gave it.
    granted: &'static str,
    /// How the cause of that event begins.
    cause: String,
    digest: Digest,
    over: bool,
    /// How the causes of the events that made it, and of the one that took it out of use, begin.
    made: CausePrefix,
    ended: CausePrefix,
    /// The same, long enough to be looked up.
    pub(super) causes: Vec<CausePrefix>,
}

impl AccessRecord {
    /// Of each role: the newest event counts, and none before it brings an earlier role back.
    ///
    /// They are whole words: a shorter beginning than that of the index finds nothing.
    pub(super) fn causes_of_principal(name: &str) -> Vec<CausePrefix> {
        let roles = [Role::Viewer, Role::Deployer, Role::Approver, Role::Admin];
        let made = roles.map(|role| (kind::PRINCIPAL_CREATED, format!("{name} is a new {role}")));
        let disabled = format!("{name} may no longer use the API");
        let ended = [(kind::PRINCIPAL_DISABLED, disabled)];
        made.into_iter().chain(ended).collect()
    }

    pub(super) fn causes_of_token(id: Uuid, owner: &str) -> [CausePrefix; 2] {
        [
            (kind::TOKEN_CREATED, format!("token {id} of {owner} (")),
            (kind::TOKEN_REVOKED, format!("token {id}")),
        ]
    }

    pub(super) fn principal(row: &PrincipalRow) -> Self {
        let name = &row.name;
        let made = (kind::PRINCIPAL_CREATED, format!("{name} is a new "));
        let ended = (kind::PRINCIPAL_DISABLED, format!("{name} "));
        let causes = Self::causes_of_principal(name);
        let what = format!("principal {name}");
        Self::of(what, "the role", &row.decided(), [made, ended], causes)
    }

    pub(super) fn token(row: &TokenRow) -> Self {
        let causes = Self::causes_of_token(row.id, &row.owner);
        let what = format!("token {}", row.id);
        Self::of(what, "the owner", &row.decided(), causes.clone(), causes.to_vec())
    }

    fn of(
        what: String,
        granted: &'static str,
        now: &Decided,
        [made, ended]: [CausePrefix; 2],
        causes: Vec<CausePrefix>,
    ) -> Self {
        Self {
            what,
            granted,
            cause: now.cause.clone(),
            digest: now.digest,
            over: now.over,
            made,
            ended,
            causes,
        }
    }

    /// Fails unless it was given so, and is out of use if an event says so.
    pub(super) fn check(&self, events: &[Sealed]) -> Result<(), StoreError> {
        let what = format!("{} of {}", self.granted, self.what);
        let newest = sealed::newest(events, &self.made);
        compare(&what, newest, self.digest)?;
        if let Some(event) = newest
            && !event.event.cause.starts_with(&self.cause)
        {
            return Err(differs(&what, event));
        }
        still_over(&self.what, sealed::newest(events, &self.ended), self.over)
    }
}
