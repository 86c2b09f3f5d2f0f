//! The typed HTTP client of the Slipway API. The agent, the command line and `./dev` use it. It must never
//! follow a redirect, since a token must not travel to another address, and never show a token.
//!
//! | module | what it holds |
//! |---|---|
//! | [`builder`](mod@builder) | [`ClientBuilder`]: address, token, extra CA, time limits |
//! | [`client`] | [`Client`]: sends requests, reads answers, tries again where that is safe |
//! | [`api`] | one method a route |
//! | [`backoff`] | how long to wait before asking again |
//! | [`error`] | what can go wrong, in words for people, and whether trying again can help |
//! | `testing` | with the feature of that name: a scripted API for tests |
//!
//! Every request has a time limit. A request that fails is tried again for [`RETRY_FOR`] while the API cannot answer, such as
//! while its database has no leader. One that changes something is only if it certainly changed nothing, or if the server
//! makes the same thing only once.

pub mod api;
pub mod backoff;
pub mod builder;
pub mod client;
pub mod error;
#[cfg(feature = "testing")]
pub mod testing;
mod webhook;

mod attachments;
mod cause;
mod destinations;
mod once;

pub use backoff::RetryBackoff;
pub use builder::{ClientBuilder, RETRY_FOR, install_crypto_provider};
pub use client::{Client, RawResponse};
pub use error::{ClientError, UnreachableCause};
pub use slipway_webhook::{WebhookMessage, WebhookSecret};

/// Begins a client for the API at this address, such as `https://slipway.example.com`.
///
/// This is the only way to an HTTP client: it sets the time limits, the TLS provider and the redirect policy.
pub fn builder(url: &str) -> Result<ClientBuilder, ClientError> {
    ClientBuilder::new(url)
}
