//! Messages to people: their words, and the loop that sends what the outbox holds. The worker uses this crate. It must
//! never follow a redirect, connect to an address that is not allowed, or say where a secret address leads.
//!
//! | module | what it holds |
//! |---|---|
//! | [`body`] | what a message says, in each form that destinations take |
//! | [`transport`] | HTTP and SMTP, within bounds |
//! | [`schedule`] | when a delivery is sent again |
//! | [`Outbox`] | the loop: events become deliveries, and deliveries are sent |

pub mod body;
mod gauges;
mod outbox;
pub mod schedule;
pub mod transport;

pub use gauges::describe as describe_metrics;
pub use outbox::Outbox;
pub use transport::{Limits, Messenger};
