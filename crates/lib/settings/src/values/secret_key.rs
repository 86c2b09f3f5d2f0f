//! The key that seals events.

use std::fmt;

use secrecy::{ExposeSecret, SecretSlice};

use crate::error::InvalidValue;

/// The least number of hex digits.
const DIGITS: usize = 64;

/// The control plane's own key, decoded from hex: 32 bytes or more.
///
/// It seals the event chain: events sealed with another key no longer verify.
#[derive(Clone)]
pub struct SecretKey(SecretSlice<u8>);

impl SecretKey {
    /// The bytes, to be used at once and kept nowhere.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    pub(crate) fn parse(text: &str) -> Result<Self, InvalidValue> {
        let problem = match hex::decode(text) {
            _ if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) => "is not made of hex digits".to_owned(),
            _ if text.len() < DIGITS => format!("is shorter than {DIGITS} hex digits"),
            Err(_) => "has an odd number of hex digits".to_owned(),
            Ok(bytes) => return Ok(Self(bytes.into())),
        };
        Err(InvalidValue::new(
            problem,
            format!("make one with: openssl rand -hex {}", DIGITS / 2),
        ))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(<redacted>)")
    }
}
