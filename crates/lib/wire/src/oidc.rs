//! Sign-in through a provider of `OpenID` Connect.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::access::TokenSecret;

/// Whole minutes that somebody may take at the provider.
pub const ATTEMPT_MINUTES: u32 = 10;
/// The same in seconds.
pub const ATTEMPT_SECONDS: u32 = ATTEMPT_MINUTES * 60;

/// `GET /login/oidc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OidcOffer {
    /// The provider's address; none: nobody signs in this way.
    pub issuer: Option<String>,
}

/// `POST /login/oidc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OidcBegun {
    /// Where the browser goes to sign in.
    pub url: String,
    /// What the browser that began shows again at the end, and no other has. It is good for 10 minutes and once.
    pub attempt: TokenSecret,
    /// What the provider sends back with the browser.
    pub state: String,
}

/// `POST /login/oidc/finish`: what the provider sent the browser back with.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FinishOidc {
    /// As it was begun.
    pub attempt: String,
    /// The parameter `state`.
    pub state: String,
    /// The parameter `code`.
    pub code: String,
    /// The parameter `iss`, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// What the session is called in the list, such as the browser.
    pub label: String,
}

impl fmt::Debug for FinishOidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishOidc")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}
