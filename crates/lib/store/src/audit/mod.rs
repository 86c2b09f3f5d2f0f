//! The event chain: appending to it, reading it, and checking it.
//!
//! There is one chain for the whole control plane. To append, a transaction locks the head row as its last
//! lock. So two writers can never wait for each other in a circle.

mod access;
mod append;
pub(crate) mod caller;
mod chain;
mod decided;
pub(crate) mod digests;
pub(crate) mod expected;
pub(crate) mod gate;
mod key;
pub(crate) mod kind;
mod read;
pub(crate) mod related;
pub(crate) mod sealed;
mod verify;
mod walk;

use slipway_domain::event::{Actor, EventHash, NewEvent};
use slipway_domain::{HostName, PrincipalName, Timestamp};
use slipway_wire::audit::Event;
use uuid::Uuid;

pub(crate) use append::append;
pub(crate) use chain::Broken;
pub use key::AuditKey;
pub(crate) use read::actor;
pub use read::{EventSearch, EventsOf};
pub use walk::{AuditWalk, Pace, Walk};

/// The author of an event, and the key that seals it.
#[derive(Debug, Clone)]
pub struct EventAuthor<'a> {
    /// Who.
    pub actor: Actor,
    /// The control plane's key.
    pub key: &'a AuditKey,
    /// The id of what it makes, where its request decides that.
    made: Option<Uuid>,
}

impl<'a> EventAuthor<'a> {
    /// Somebody, under this key.
    #[must_use]
    pub const fn new(actor: Actor, key: &'a AuditKey) -> Self {
        Self {
            actor,
            key,
            made: None,
        }
    }

    /// What it makes gets this id: a second time that is refused, so nothing is made twice.
    #[must_use]
    pub fn making(self, id: Option<Uuid>) -> Self {
        Self { made: id, ..self }
    }

    /// The id of what it makes.
    pub(crate) fn id<T>(&self, from: fn(Uuid) -> T, new: fn() -> T) -> T {
        self.made.map_or_else(new, from)
    }

    /// The principal that does it, if it is one.
    pub(crate) const fn principal(&self) -> Option<&PrincipalName> {
        match &self.actor {
            Actor::Principal(name) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn event(&self, kind: &str, cause: impl Into<String>) -> NewEvent {
        NewEvent::new(self.actor.clone(), kind, cause)
    }
}

/// An event in its place in the chain, with its seal.
#[derive(Debug)]
struct EventRecord {
    number: i64,
    at: Timestamp,
    event: NewEvent,
    /// The name of the host it is about, for people.
    host_name: Option<HostName>,
    /// The number of the rollout it is about, for people.
    rollout_number: Option<u64>,
    /// The hash over the hash before it and every field.
    hash: EventHash,
    /// The HMAC of the hash.
    seal: [u8; 32],
    /// Which key made the seal: see [`AuditKey::fingerprint`].
    seal_key: String,
}

impl From<EventRecord> for Event {
    fn from(record: EventRecord) -> Self {
        Self {
            number: record.number,
            at: record.at,
            event: record.event,
            hash: hex::encode(record.hash),
            host_name: record.host_name,
            rollout_number: record.rollout_number,
        }
    }
}

/// The newest event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHead {
    /// Its number; 0 before the first event.
    pub number: i64,
    /// Its hash.
    pub hash: EventHash,
}
