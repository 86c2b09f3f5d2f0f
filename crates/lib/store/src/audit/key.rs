//! The key that seals events.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};
use slipway_domain::event::EventHash;
use slipway_settings::SecretKey;

/// Keeps seals apart from anything else that may ever be signed with the same secret.
const LABEL: &[u8] = b"slipway event seal\0";

/// Seals event hashes, so that somebody who can write to the database but does not have `SECRET_KEY` cannot compute a
/// chain anew.
#[derive(Clone)]
pub struct AuditKey {
    secret: SecretSlice<u8>,
    fingerprint: String,
}

impl AuditKey {
    /// The key from the settings.
    #[must_use]
    pub fn new(secret: &SecretKey) -> Self {
        Self::from_bytes(secret.expose())
    }

    /// A key from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut fingerprint = hex::encode(Sha256::digest(bytes));
        fingerprint.truncate(8);
        Self {
            secret: bytes.to_vec().into(),
            fingerprint,
        }
    }

    /// Names the key without giving it away: the first 8 hex digits of its SHA-256.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The seal of an event's hash.
    #[must_use]
    pub fn seal(&self, hash: &EventHash) -> [u8; 32] {
        self.mac(hash).finalize().into_bytes().into()
    }

    /// Whether the seal is this key's; takes the same time for any wrong one.
    #[must_use]
    pub fn is_seal(&self, hash: &EventHash, seal: &[u8]) -> bool {
        self.mac(hash).verify_slice(seal).is_ok()
    }

    fn mac(&self, hash: &EventHash) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret())
            .expect("HMAC takes a key of any length");
        mac.update(LABEL);
        mac.update(hash);
        mac
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditKey({})", self.fingerprint)
    }
}
