//! `ADMIN_PASSWORD`: what `slipway login` exchanges for a token.

use secrecy::SecretString;
use serde::Deserialize;

use crate::reader::{Check, Section};
use crate::registry;

/// The first operator's way in; only the api reads it.
#[derive(Debug, Clone, Deserialize)]
pub struct AdminSettings {
    /// Compared in constant time by the api; never stored.
    pub password: SecretString,
}

impl Section for AdminSettings {
    const SECTION: registry::Section = registry::Section::Admin;
    type Raw = Self;

    fn build(raw: Self, _: &mut Check<'_>) -> Option<Self> {
        Some(raw)
    }
}
