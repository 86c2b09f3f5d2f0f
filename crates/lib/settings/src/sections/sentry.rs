//! `SENTRY_*`: where errors go.

use secrecy::SecretString;
use serde::Deserialize;

use super::AppEnv;
use crate::reader::{Check, Section};
use crate::registry;

/// Where errors go.
#[derive(Debug, Clone, Default)]
pub struct SentrySettings {
    /// The project's DSN; `None` means that no errors are sent.
    pub dsn: Option<SecretString>,
    /// Sent along with every event.
    pub env: AppEnv,
}

#[derive(Deserialize)]
pub(crate) struct Raw {
    dsn: Option<SecretString>,
}

impl Section for SentrySettings {
    const SECTION: registry::Section = registry::Section::Sentry;
    type Raw = Raw;

    fn build(raw: Raw, check: &mut Check<'_>) -> Option<Self> {
        Some(Self {
            dsn: raw.dsn,
            env: check.env(),
        })
    }
}
