//! `APP_ENV`, `SECRET_KEY`, `STORE_DIR`: what the whole control plane shares.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::Deserialize;

use crate::reader::{Check, Section};
use crate::registry;

/// Where the process runs, from `APP_ENV`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppEnv {
    /// A person's machine; example secrets are accepted.
    #[default]
    Development,
    /// Automated tests; example secrets are accepted.
    Test,
    /// Real users: empty, example and weak secrets are refused.
    Production,
}

impl AppEnv {
    /// The value of `APP_ENV`, which is also the suffix of the `.env.$APP_ENV` file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
            Self::Production => "production",
        }
    }

    /// True where empty, example and weak secrets are refused.
    #[must_use]
    pub fn is_production(self) -> bool {
        self == Self::Production
    }

    pub(crate) fn parse(value: &str) -> Option<Self> {
        [Self::Development, Self::Test, Self::Production]
            .into_iter()
            .find(|env| env.as_str() == value)
    }
}

impl fmt::Display for AppEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The control plane's own key, decoded from hex: 32 bytes or more.
///
/// It seals the event chain: events sealed with another key no longer verify.
pub struct SecretKey(SecretSlice<u8>);

impl SecretKey {
    /// The bytes, to be used at once and kept nowhere.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// `None` when the text is not an even number of hex digits.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
            .collect();
        let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
        let bytes: Vec<u8> = digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect();
        Some(Self(bytes.into()))
    }
}

impl Clone for SecretKey {
    fn clone(&self) -> Self {
        Self(self.expose().to_vec().into())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(<redacted>)")
    }
}

/// What the api and the worker share.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// Where the process runs.
    pub env: AppEnv,
    /// The key that seals events; the same in every replica.
    pub secret_key: SecretKey,
    /// The keys before it, the oldest first: they check older seals.
    pub earlier_keys: Vec<SecretKey>,
    /// The hosts' Nix store folder: closures outside it are refused.
    pub store_dir: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Raw {
    app_env: AppEnv,
    secret_key: SecretString,
    secret_key_earlier: Option<SecretString>,
    store_dir: PathBuf,
}

impl Section for AppSettings {
    const SECTION: registry::Section = registry::Section::App;
    type Raw = Raw;

    fn build(raw: Raw, check: &mut Check<'_>) -> Option<Self> {
        let Some(secret_key) = SecretKey::from_hex(raw.secret_key.expose_secret()) else {
            check.fail(
                "SECRET_KEY",
                "is not an even number of hex digits",
                "make one with: openssl rand -hex 32",
            );
            return None;
        };
        let earlier = raw.secret_key_earlier.as_ref().map(ExposeSecret::expose_secret);
        let earlier: Option<Vec<SecretKey>> = earlier
            .into_iter()
            .flat_map(|keys| keys.split(','))
            .map(|key| SecretKey::from_hex(key.trim()))
            .collect();
        Some(Self {
            env: raw.app_env,
            secret_key,
            earlier_keys: earlier?,
            store_dir: raw.store_dir,
        })
    }
}
