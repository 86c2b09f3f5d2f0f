//! Messages to people: destinations, and the outbox.
//!
//! One transaction moves the cursor over the events and queues a delivery of each to every destination that wants it. So no
//! event is passed over and none is queued twice, whenever a process dies. A sender takes deliveries with a lease, and
//! says afterwards what became of them. One that dies in between sends again, with the same id.
//!
//! Deliveries of a lane, such as a rollout, are sent to a destination one after the other.

mod conditions;
mod deliveries;
mod destinations;
mod events;
mod queue;
mod sealed;
mod send;

use secrecy::SecretString;
use slipway_domain::digest::Digester;
use slipway_domain::{DeliveryId, DestinationId, DestinationKind, DestinationName};
use slipway_wire::message::Message;

pub use conditions::Lasting;
pub use deliveries::Backlog;
pub use destinations::NewDestination;
pub use send::{Sent, Taken};

/// For how long a delivery is tried, in seconds. After that, a failure is the last one.
pub const TRIED_FOR_SECONDS: u32 = 86_400;

/// The error of a delivery whose message a newer program wrote. It is tried as long as others: that program may come back.
///
/// Its words never change: rows keep them, and queries know such a delivery by them.
pub const UNREADABLE: &str = "a newer program wrote the message, and this one cannot read it";
/// After so many tries, later messages go ahead of it. The tries take some minutes, in which both programs may run.
const UNREADABLE_TRIES: i32 = 3;

/// What gives access to a destination.
#[derive(Debug, Clone)]
pub enum Access {
    /// A webhook, and the secret that signs what is sent there.
    Standard {
        /// Where.
        url: SecretString,
        /// `whsec_` and base64.
        secret: SecretString,
    },
    /// A webhook whose address is its password.
    Slack {
        /// Where.
        url: SecretString,
    },
    /// A room of Matrix.
    Matrix {
        /// The server.
        url: SecretString,
        /// The room.
        room: String,
        /// The token of the account that writes.
        token: SecretString,
    },
    /// E-mail.
    Email {
        /// Who gets it.
        recipients: Vec<String>,
    },
}

/// A message that is to be queued.
#[derive(Debug, Clone)]
struct Queued {
    /// What it follows from: its id follows from that.
    source: String,
    /// Deliveries of one lane are in order.
    lane: String,
    message: Message,
}

/// The id of a message to a destination: the same whoever queues it.
fn delivery_id(destination: DestinationId, source: &str) -> DeliveryId {
    let mut digester = Digester::new("delivery");
    digester.field("destination", destination).field("source", source);
    DeliveryId::from_uuid(digester.finish().id())
}

/// The parts of a destination that its secrets are bound to: with others they cannot be opened.
#[derive(Debug, Clone, Copy)]
struct Bound<'a> {
    id: DestinationId,
    kind: DestinationKind,
    shown: &'a str,
    room: Option<&'a str>,
}

/// A name for errors.
fn not_found(name: &DestinationName) -> crate::StoreError {
    crate::StoreError::not_found("destination", name)
}
