//! The keys that seal events.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest as _, Sha256};
use slipway_domain::digest::Digest;
use slipway_domain::event::EventHash;
use slipway_settings::SecretKey;

/// Labels keep apart what is made with the same secret.
const SEAL_LABEL: &[u8] = b"slipway event seal\0";
const REQUEST_LABEL: &[u8] = b"slipway request\0";
const ID_LABEL: &[u8] = b"slipway key id\0";
const SECRETS_LABEL: &[u8] = b"slipway secrets\0";

/// Seals event hashes, so that somebody who can write to the database but does not have `SECRET_KEY` cannot compute a
/// chain again. Knows the keys before it too, which seal nothing any more.
#[derive(Clone)]
pub struct AuditKey {
    current: SealKey,
    /// The oldest first.
    earlier: Vec<SealKey>,
}

#[derive(Clone)]
struct SealKey {
    secret: SecretSlice<u8>,
    fingerprint: String,
}

/// Why a seal proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadSeal {
    /// It names a key that nobody named.
    UnknownKey,
    /// It is not the seal of the key that it names.
    Wrong,
}

impl AuditKey {
    /// The key from the settings, with the keys before it, the oldest first.
    #[must_use]
    pub fn new(secret: &SecretKey, earlier: &[SecretKey]) -> Self {
        let earlier = earlier.iter().map(|key| SealKey::new(key.expose())).collect();
        Self {
            current: SealKey::new(secret.expose()),
            earlier,
        }
    }

    /// A key from its bytes, with none before it.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            current: SealKey::new(bytes),
            earlier: Vec::new(),
        }
    }

    /// The key that takes this one's place.
    #[must_use]
    pub fn followed_by(mut self, bytes: &[u8]) -> Self {
        self.earlier.push(self.current);
        self.current = SealKey::new(bytes);
        self
    }

    /// Names the key without giving it away: the first 8 hex digits of its SHA-256.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.current.fingerprint
    }

    /// The ids of all keys, the oldest first.
    pub fn ids(&self) -> impl Iterator<Item = String> {
        self.earlier.iter().chain([&self.current]).map(SealKey::id)
    }

    /// The seal of an event's hash.
    #[must_use]
    pub fn seal(&self, hash: &EventHash) -> [u8; 32] {
        self.current.mac(hash).finalize().into_bytes().into()
    }

    /// Thirty-two bytes that follow from a request, and that nobody without the key can tell. The same request gives the
    /// same bytes, and each purpose others.
    #[must_use]
    pub fn derive(&self, purpose: &str, request: &Digest) -> [u8; 32] {
        let mut mac = self.current.keyed(REQUEST_LABEL);
        mac.update(format!("{purpose} {request}").as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// The key that encrypts what the database keeps for others, such as the secrets of destinations.
    pub(crate) fn secrets_key(&self) -> [u8; 32] {
        self.current.keyed(SECRETS_LABEL).finalize().into_bytes().into()
    }

    /// That key under an earlier `SECRET_KEY`, or under this one, by its fingerprint.
    pub(crate) fn secrets_key_of(&self, fingerprint: &str) -> Option<[u8; 32]> {
        let (_, key) = self.find(fingerprint)?;
        Some(key.keyed(SECRETS_LABEL).finalize().into_bytes().into())
    }

    /// Checks a seal with the key that it names, and says which one that is: 0 is the oldest, and this key the last.
    pub(crate) fn check(&self, fingerprint: &str, hash: &EventHash, seal: &[u8]) -> Result<usize, BadSeal> {
        let (place, key) = self.find(fingerprint).ok_or(BadSeal::UnknownKey)?;
        if key.is_seal(hash, seal) {
            Ok(place)
        } else {
            Err(BadSeal::Wrong)
        }
    }

    /// The place of the key of this name: 0 is the oldest.
    pub(crate) fn place(&self, fingerprint: &str) -> Option<usize> {
        self.find(fingerprint).map(|(place, _)| place)
    }

    fn find(&self, fingerprint: &str) -> Option<(usize, &SealKey)> {
        let mut keys = self.earlier.iter().chain([&self.current]).enumerate();
        keys.find(|(_, key)| key.fingerprint == fingerprint)
    }

    /// How many keys there were before.
    pub(crate) const fn earlier(&self) -> usize {
        self.earlier.len()
    }
}

impl SealKey {
    fn new(bytes: &[u8]) -> Self {
        let mut fingerprint = hex::encode(Sha256::digest(bytes));
        fingerprint.truncate(8);
        Self {
            secret: bytes.to_vec().into(),
            fingerprint,
        }
    }

    /// Names the key in lists that people keep. Other than its fingerprint, nobody finds a second key with the same id.
    fn id(&self) -> String {
        hex::encode(self.keyed(ID_LABEL).finalize().into_bytes())
    }

    /// Takes the same time for any wrong seal.
    fn is_seal(&self, hash: &EventHash, seal: &[u8]) -> bool {
        self.mac(hash).verify_slice(seal).is_ok()
    }

    fn mac(&self, hash: &EventHash) -> Hmac<Sha256> {
        let mut mac = self.keyed(SEAL_LABEL);
        mac.update(hash);
        mac
    }

    fn keyed(&self, label: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret())
            .expect("HMAC takes a key of any length");
        mac.update(label);
        mac
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditKey({})", self.current.fingerprint)
    }
}
