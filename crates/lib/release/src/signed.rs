//! A manifest's bytes with their signatures.

use serde::{Deserialize, Serialize};
use slipway_domain::digest::Digest;

use crate::keys::{ReleaseKey, ReleaseKeys};
use crate::manifest::{MAX_BYTES, Manifest, ManifestError};
use crate::signature::{MAX_SIGNATURE_BYTES, Signature, SignatureError};

/// The most signatures of one manifest: by the old key and the new one, and by people.
pub const MAX_SIGNATURES: usize = 8;

/// A manifest as it travels: the text that was signed, and the texts of its signatures.
///
/// Reading it says nothing of trust; [`SignedManifest::verify`] does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedManifest {
    /// The manifest's bytes, as they were signed.
    pub manifest: String,
    /// What the signing tools wrote, one text a signature.
    pub signatures: Vec<String>,
}

/// A manifest or a signature that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SignedError {
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A signature.
    #[error("signature {at}: {error}")]
    Signature {
        /// Counted from 1.
        at: usize,
        /// What is wrong with it.
        error: SignatureError,
    },
    /// None.
    #[error("the manifest is not signed: give at least one signature of it")]
    Unsigned,
    /// Too many.
    #[error("the manifest has {found} signatures, and {MAX_SIGNATURES} are the most")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// Twice by one key.
    #[error("the manifest is signed twice with the {key}: give one signature a key")]
    SignedTwice {
        /// The key.
        key: String,
    },
}

/// Why no signature counts.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] SignedError),
    /// A trusted key signed something else.
    #[error(
        "the signature by the {key} does not fit the manifest: it was changed or cut short after it was signed"
    )]
    Changed {
        /// The key.
        key: String,
    },
    /// Keys that are not trusted.
    #[error("the manifest is signed with the {signed}, and the trusted keys are: {trusted}")]
    OtherKeys {
        /// The keys of the signatures.
        signed: String,
        /// The trusted keys.
        trusted: String,
    },
}

impl SignedManifest {
    /// The digest of the manifest's bytes, by which it is known.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_bytes(self.manifest.as_bytes())
    }

    /// Whether it is no larger than one may be.
    #[must_use]
    pub fn is_within_bounds(&self) -> bool {
        self.manifest.len() <= MAX_BYTES
            && self.signatures.len() <= MAX_SIGNATURES
            && self
                .signatures
                .iter()
                .all(|text| text.len() <= MAX_SIGNATURE_BYTES)
    }

    /// Reads manifest and signatures without asking who signed.
    pub fn read(&self) -> Result<(Manifest, Vec<Signature>), SignedError> {
        let signatures = self.read_signatures()?;
        Ok((Manifest::read(self.manifest.as_bytes())?, signatures))
    }

    fn read_signatures(&self) -> Result<Vec<Signature>, SignedError> {
        // Before anything is read or hashed.
        if self.manifest.len() > MAX_BYTES {
            let bytes = self.manifest.len();
            return Err(ManifestError::TooLarge { bytes }.into());
        }
        match self.signatures.len() {
            0 => return Err(SignedError::Unsigned),
            1..=MAX_SIGNATURES => {}
            found => return Err(SignedError::TooMany { found }),
        }
        let mut signatures: Vec<Signature> = Vec::with_capacity(self.signatures.len());
        for (at, text) in self.signatures.iter().enumerate() {
            let signature: Signature = text
                .parse()
                .map_err(|error| SignedError::Signature { at: at + 1, error })?;
            if signatures.iter().any(|other| other.is_by_the_key_of(&signature)) {
                return Err(SignedError::SignedTwice {
                    key: signature.to_string(),
                });
            }
            signatures.push(signature);
        }
        Ok(signatures)
    }

    /// The manifest, if a trusted key signed exactly these bytes; and the key. Nothing of the manifest is read before.
    pub fn verify<'a>(&self, keys: &'a ReleaseKeys) -> Result<(Manifest, &'a ReleaseKey), Untrusted> {
        let signatures = self.read_signatures()?;
        let bytes = self.manifest.as_bytes();
        let mut changed = None;
        for signature in &signatures {
            for key in keys.as_slice().iter().filter(|key| signature.names(key)) {
                if signature.verifies(key, bytes) {
                    let manifest = Manifest::read(bytes).map_err(SignedError::from)?;
                    return Ok((manifest, key));
                }
                changed.get_or_insert_with(|| key.to_string());
            }
        }
        if let Some(key) = changed {
            return Err(Untrusted::Changed { key });
        }
        let list = |names: Vec<String>| names.join(", ");
        Err(Untrusted::OtherKeys {
            signed: list(signatures.iter().map(ToString::to_string).collect()),
            trusted: list(keys.as_slice().iter().map(ToString::to_string).collect()),
        })
    }
}
