//! The audit log: every change of state with its actor, instant and cause, in a hash chain.
//!
//! An event's hash covers the hash before it, so that no event can be changed, left out or moved without every later
//! hash being wrong. `slipway audit verify` computes the chain again from what it downloads.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::digest::{self, Digest};
use crate::{EnvironmentId, HostId, PrincipalName, RolloutId, StepId, Timestamp};

/// Who changed something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Actor {
    /// A person or a machine with a token.
    Principal(PrincipalName),
    /// A host's agent, by what it reported.
    Host(String),
    /// The control plane by its own rules.
    Rules,
    /// An administrator on the control plane's own machine, such as by `slipway-api migrate`.
    Console,
}

impl Actor {
    /// `principal`, `host`, `rules` or `console`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Principal(_) => "principal",
            Self::Host(_) => "host",
            Self::Rules => "rules",
            Self::Console => "console",
        }
    }

    /// Its name; empty for the rules and the console.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Principal(name) => name.as_str(),
            Self::Host(name) => name,
            Self::Rules | Self::Console => "",
        }
    }
}

/// An event before it has its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewEvent {
    /// Who.
    pub actor: Actor,
    /// What, such as `rollout.state` or `token.revoked`.
    pub kind: String,
    /// The environment it is about.
    pub environment: Option<EnvironmentId>,
    /// The rollout it is about.
    pub rollout: Option<RolloutId>,
    /// The step it is about.
    pub step: Option<StepId>,
    /// The host it is about.
    pub host: Option<HostId>,
    /// The state before, for a change of state.
    pub from: Option<String>,
    /// The state after, for a change of state.
    pub to: Option<String>,
    /// Why, in one line for people.
    pub cause: String,
}

impl NewEvent {
    /// An event of this kind, about nothing yet.
    #[must_use]
    pub fn new(actor: Actor, kind: &str, cause: impl Into<String>) -> Self {
        Self {
            actor,
            kind: kind.to_owned(),
            environment: None,
            rollout: None,
            step: None,
            host: None,
            from: None,
            to: None,
            cause: cause.into(),
        }
    }

    /// The event with the digest of what it decides at the end of its cause.
    #[must_use]
    pub fn deciding(mut self, digest: &Digest) -> Self {
        self.cause = digest::append(&self.cause, digest);
        self
    }

    /// The digest of what it decides. An event of a release before digests has none.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        digest::split(&self.cause).1
    }

    /// Its cause without the digest, for people.
    #[must_use]
    pub fn cause_text(&self) -> &str {
        digest::split(&self.cause).0
    }
}

/// A link of the chain.
pub type EventHash = [u8; 32];

/// The hash before the first event.
pub const GENESIS: EventHash = [0; 32];

/// The hash of the event with this number, at this instant, after the event with the hash `previous`.
///
/// SHA-256 over the previous hash and then every field, each with its length before it, so that no two events have the
/// same bytes. Instants count in microseconds, which is all that the database keeps.
#[must_use]
pub fn chain_hash(previous: &EventHash, number: i64, at: Timestamp, event: &NewEvent) -> EventHash {
    let mut hash = Sha256::new();
    hash.update(previous);
    let mut field = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    field(&number.to_string());
    field(&at.timestamp_micros().to_string());
    field(event.actor.kind());
    field(event.actor.name());
    field(&event.kind);
    let id = |id: Option<uuid::Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    field(&id(event.environment.map(EnvironmentId::as_uuid)));
    field(&id(event.rollout.map(RolloutId::as_uuid)));
    field(&id(event.step.map(StepId::as_uuid)));
    field(&id(event.host.map(HostId::as_uuid)));
    field(event.from.as_deref().unwrap_or_default());
    field(event.to.as_deref().unwrap_or_default());
    field(&event.cause);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_timestamp_micros(micros).unwrap()
    }

    #[test]
    fn every_field_is_in_the_hash() {
        let base = NewEvent::new(Actor::Rules, "rollout.state", "all hosts are staged");
        let hash = |n, t, e: &NewEvent| chain_hash(&GENESIS, n, at(t), e);
        let first = hash(1, 5, &base);
        let changed = [
            hash(2, 5, &base),
            hash(1, 6, &base),
            chain_hash(&first, 1, at(5), &base),
            hash(
                1,
                5,
                &NewEvent {
                    actor: Actor::Console,
                    ..base.clone()
                },
            ),
            hash(
                1,
                5,
                &NewEvent {
                    actor: Actor::Host("web-1".into()),
                    ..base.clone()
                },
            ),
            hash(
                1,
                5,
                &NewEvent {
                    kind: "rollout.other".into(),
                    ..base.clone()
                },
            ),
            hash(
                1,
                5,
                &NewEvent {
                    environment: Some(EnvironmentId::generate()),
                    ..base.clone()
                },
            ),
            hash(
                1,
                5,
                &NewEvent {
                    rollout: Some(RolloutId::generate()),
                    ..base.clone()
                },
            ),
            hash(
                1,
                5,
                &NewEvent {
                    step: Some(StepId::generate()),
                    ..base.clone()
                },
            ),
            hash(
                1,
                5,
                &NewEvent {
                    host: Some(HostId::generate()),
                    ..base.clone()
                },
            ),
            hash(
                1,
                5,
                &NewEvent {
                    from: Some("a".into()),
                    ..base.clone()
                },
            ),
            hash(
                1,
                5,
                &NewEvent {
                    to: Some("a".into()),
                    ..base.clone()
                },
            ),
            hash(
                1,
                5,
                &NewEvent {
                    cause: "x".into(),
                    ..base.clone()
                },
            ),
        ];
        for (i, a) in changed.iter().enumerate() {
            assert_ne!(*a, first, "{i}");
            assert!(changed[i + 1..].iter().all(|b| a != b), "{i}");
        }
    }
}
