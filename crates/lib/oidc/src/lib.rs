//! Sign-in through a provider of `OpenID` Connect: where the browser goes, and who came back.
//!
//! The checks of the protocol are those of the crate `openidconnect`. This crate adds bounds for the provider's answers,
//! keeps what the provider says of itself, and reads the groups. It must never believe a token that is not signed with a
//! key of the provider, and must never show the client's secret. It gives nobody rights: that is for its caller.
//!
//! | module | what it holds |
//! |---|---|
//! | `http` | requests to the provider, within bounds |
//! | [`provider`] | the flow: authorization code with PKCE |
//! | `known` | what the provider says of itself, kept for an hour |
//! | [`person`] | who signed in, as the provider tells it |

mod http;
mod known;
pub mod person;
pub mod provider;

pub use http::{BadCa, Limits};
pub use openidconnect::IssuerUrl;
pub use person::Person;
pub use provider::{Attempt, Config, Provider};

/// Why nobody can sign in, or this person cannot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// The provider does not answer, or not as a provider does. It may be back soon.
    #[error("{0}")]
    Away(String),
    /// The provider refused the sign-in.
    #[error("{0}")]
    Refused(String),
    /// What came from the provider cannot be trusted.
    #[error("{0}")]
    Untrusted(String),
}

/// Text of the provider for people: on one line, without hidden characters, and not long.
#[must_use]
pub fn said(text: &str) -> String {
    const MOST: usize = 200;
    let text = slipway_text::clean(text);
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
