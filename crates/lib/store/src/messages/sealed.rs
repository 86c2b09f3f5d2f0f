//! What gives access to destinations, encrypted with a key that follows from `SECRET_KEY`.
//!
//! The encryption covers what the rest of the row says of the destination. Nobody without the key can put
//! a secret beside another address in the database, to have it sent there.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use slipway_domain::digest::{Digest, Digester};

use super::Bound;
use crate::{AuditKey, StoreError};

/// What is encrypted, as JSON.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Secrets {
    /// The whole address.
    pub(super) url: String,
    /// What signs messages, or the token of the account that writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
}

/// Encrypted secrets, and the fingerprint of the `SECRET_KEY` behind the key.
pub(super) struct SealedSecrets {
    pub(super) bytes: Vec<u8>,
    pub(super) key: String,
}

/// Why secrets cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CannotOpen {
    #[error(
        "its secrets are encrypted with a SECRET_KEY that nobody named; put the one before into SECRET_KEY_EARLIER, or delete the \
         destination and make it again"
    )]
    UnknownKey,
    #[error(
        "its secrets do not belong to its row: somebody changed the database by hand; delete the destination and make it again"
    )]
    Changed,
}

impl Bound<'_> {
    fn digest(&self) -> Digest {
        let mut digester = Digester::new("destination");
        digester
            .field("id", self.id)
            .field("kind", self.kind)
            .field("shown", self.shown)
            .field_opt("room", self.room);
        digester.finish()
    }
}

pub(super) fn seal(key: &AuditKey, bound: Bound<'_>, secrets: &Secrets) -> Result<SealedSecrets, StoreError> {
    let corrupt = |detail: &str| StoreError::Corrupt {
        what: "secrets of a destination",
        detail: detail.to_owned(),
    };
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| corrupt("the operating system gives no random bytes"))?;
    let mut text = serde_json::to_vec(secrets).map_err(|error| corrupt(&error.to_string()))?;
    cipher(&key.secrets_key())
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(bound.digest().as_bytes()),
            &mut text,
        )
        .map_err(|_| corrupt("they are too long"))?;
    Ok(SealedSecrets {
        bytes: [nonce.as_slice(), &text].concat(),
        key: key.fingerprint().to_owned(),
    })
}

pub(super) fn open(
    key: &AuditKey,
    bound: Bound<'_>,
    sealed: &[u8],
    fingerprint: &str,
) -> Result<Secrets, CannotOpen> {
    let key = key.secrets_key_of(fingerprint).ok_or(CannotOpen::UnknownKey)?;
    let (nonce, text) = sealed.split_first_chunk().ok_or(CannotOpen::Changed)?;
    let mut text = text.to_vec();
    let opened = cipher(&key)
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(bound.digest().as_bytes()),
            &mut text,
        )
        .map_err(|_| CannotOpen::Changed)?;
    serde_json::from_slice(opened).map_err(|_| CannotOpen::Changed)
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the cipher's length"))
}

#[cfg(test)]
mod tests {
    use slipway_domain::{DestinationId, DestinationKind};

    use super::*;

    #[test]
    fn secrets_open_for_their_own_row_and_key_only() {
        let key = AuditKey::from_bytes(&[7; 32]);
        let bound = Bound {
            id: DestinationId::generate(),
            kind: DestinationKind::Matrix,
            shown: "https://matrix.example.org",
            room: Some("!a:example.org"),
        };
        let secrets = Secrets {
            url: "https://matrix.example.org".to_owned(),
            secret: Some("syt_secret".to_owned()),
        };
        let sealed = seal(&key, bound, &secrets).unwrap();
        let again = seal(&key, bound, &secrets).unwrap();
        assert_ne!(sealed.bytes, again.bytes, "each time another");
        for word in ["syt_secret", "matrix"] {
            assert!(!String::from_utf8_lossy(&sealed.bytes).contains(word));
        }
        let opened = |key: &AuditKey, bound| {
            open(key, bound, &sealed.bytes, &sealed.key).map(|secrets| secrets.secret.unwrap_or_default())
        };
        assert_eq!(opened(&key, bound), Ok("syt_secret".to_owned()));
        assert_eq!(
            opened(&key.clone().followed_by(&[8; 32]), bound),
            Ok("syt_secret".to_owned())
        );
        assert_eq!(
            opened(&AuditKey::from_bytes(&[8; 32]), bound),
            Err(CannotOpen::UnknownKey)
        );
        for other in [
            Bound {
                id: DestinationId::generate(),
                ..bound
            },
            Bound {
                kind: DestinationKind::Slack,
                ..bound
            },
            Bound {
                shown: "https://evil.example.org",
                ..bound
            },
            Bound {
                room: Some("!b:example.org"),
                ..bound
            },
            Bound { room: None, ..bound },
        ] {
            assert_eq!(opened(&key, other), Err(CannotOpen::Changed), "{other:?}");
        }
        for place in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.clone();
            bytes[place] ^= 1;
            assert!(open(&key, bound, &bytes, &sealed.key).is_err(), "byte {place}");
        }
        assert!(open(&key, bound, &[1, 2], &sealed.key).is_err());
    }
}
