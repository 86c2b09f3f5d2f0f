//! Signatures, as the tools write them.

use std::fmt;
use std::str::FromStr;

use ring::signature::{ED25519, UnparsedPublicKey};
use ssh_key::SshSig;

use crate::keys::{self, ReleaseKey};

/// What `ssh-keygen -Y sign -n` must be given, so that no signature of anything else passes for one of a release.
pub const NAMESPACE: &str = "slipway-release";
/// The longest signature; the tools write some 300 bytes.
pub const MAX_SIGNATURE_BYTES: usize = 4096;

const SSH_BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const MINISIGN_BEGIN: &str = "untrusted comment:";

/// One signature of a manifest's bytes.
pub struct Signature(Kind);

enum Kind {
    Minisign {
        signature: minisign_verify::Signature,
        id: u64,
    },
    Ssh {
        signature: Box<SshSig>,
        key: [u8; 32],
    },
}

/// A text that is no signature of a release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Too long.
    #[error("the signature has {bytes} bytes, and {MAX_SIGNATURE_BYTES} are the most")]
    TooLong {
        /// What was given.
        bytes: usize,
    },
    /// Of no known form.
    #[error(
        "the signature is neither one of minisign nor of `ssh-keygen -Y sign`: give the file that the tool wrote"
    )]
    UnknownForm,
    /// Two in one file.
    #[error("the file holds more than one signature: give each in a file of its own")]
    Several,
    /// Cut short or changed.
    #[error("the signature cannot be read ({problem}): give the whole file that the tool wrote")]
    Malformed {
        /// What the library says.
        problem: String,
    },
    /// Of `ssh-keygen`, for something else.
    #[error(
        "the signature is for the namespace `{namespace}`: sign with `ssh-keygen -Y sign -n {NAMESPACE}`"
    )]
    OtherNamespace {
        /// The namespace.
        namespace: String,
    },
    /// Of another kind of key.
    #[error("the signature is by a key of the kind `{kind}`: sign with an ssh-ed25519 key")]
    OtherKey {
        /// The kind.
        kind: String,
    },
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        if text.len() > MAX_SIGNATURE_BYTES {
            return Err(SignatureError::TooLong { bytes: text.len() });
        }
        let begins = text.matches(SSH_BEGIN).count() + lines_with(text, MINISIGN_BEGIN);
        let trimmed = text.trim();
        match () {
            () if begins > 1 => Err(SignatureError::Several),
            () if trimmed.starts_with(SSH_BEGIN) => ssh(trimmed),
            () if trimmed.starts_with(MINISIGN_BEGIN) => minisign(trimmed),
            () => Err(SignatureError::UnknownForm),
        }
    }
}

fn lines_with(text: &str, start: &str) -> usize {
    text.lines().filter(|line| line.starts_with(start)).count()
}

fn ssh(text: &str) -> Result<Signature, SignatureError> {
    let text = format!("{}\n", text.replace("\r\n", "\n"));
    let signature = SshSig::from_pem(&text).map_err(|error| SignatureError::Malformed {
        problem: error.to_string(),
    })?;
    if signature.namespace() != NAMESPACE {
        return Err(SignatureError::OtherNamespace {
            namespace: signature.namespace().chars().take(60).collect(),
        });
    }
    let kind = signature.public_key().algorithm();
    let key = signature.public_key().ed25519();
    let Some(key) = key.filter(|_| signature.algorithm() == ssh_key::Algorithm::Ed25519) else {
        return Err(SignatureError::OtherKey {
            kind: kind.to_string(),
        });
    };
    Ok(Signature(Kind::Ssh {
        key: key.0,
        signature: Box::new(signature),
    }))
}

fn minisign(text: &str) -> Result<Signature, SignatureError> {
    let malformed = |problem: String| SignatureError::Malformed { problem };
    let lines = text.lines().count();
    if lines != 4 {
        return Err(malformed(format!("it has {lines} lines and not 4")));
    }
    let signature = minisign_verify::Signature::decode(text).map_err(|error| malformed(error.to_string()))?;
    let id = text.lines().nth(1).and_then(keys::minisign_key_id);
    let id = id.ok_or_else(|| malformed("it names no key".to_owned()))?;
    Ok(Signature(Kind::Minisign { signature, id }))
}

impl Signature {
    /// Whether the key made it, by what it says itself.
    #[must_use]
    pub fn names(&self, key: &ReleaseKey) -> bool {
        match &self.0 {
            Kind::Minisign { id, .. } => key.minisign_id() == Some(*id),
            Kind::Ssh { key: named, .. } => key.ssh() == Some(named),
        }
    }

    /// Whether two are by one key, by what they say.
    pub(crate) fn is_by_the_key_of(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Minisign { id, .. }, Kind::Minisign { id: other, .. }) => id == other,
            (Kind::Ssh { key, .. }, Kind::Ssh { key: other, .. }) => key == other,
            _ => false,
        }
    }

    /// The kind of its key.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match &self.0 {
            Kind::Minisign { .. } => "minisign",
            Kind::Ssh { .. } => "ssh-ed25519",
        }
    }

    /// The key that it names, as its tool does.
    #[must_use]
    pub fn key_name(&self) -> String {
        match &self.0 {
            Kind::Minisign { id, .. } => format!("{id:016X}"),
            Kind::Ssh { key, .. } => keys::ssh_name(key),
        }
    }

    /// Whether the key in it made it for exactly these bytes. It proves no trust: anybody can make a key.
    ///
    /// A signature of minisign holds only the key's id, so the answer is `None`. Anybody can write that id.
    #[must_use]
    pub fn fits(&self, bytes: &[u8]) -> Option<bool> {
        match &self.0 {
            Kind::Minisign { .. } => None,
            Kind::Ssh { signature, key } => Some(is_by(key, signature, bytes)),
        }
    }

    /// Whether exactly this key made it for exactly these bytes.
    #[must_use]
    pub fn verifies(&self, key: &ReleaseKey, bytes: &[u8]) -> bool {
        match &self.0 {
            // Only of the digest, as minisign signs since 0.10.
            Kind::Minisign { signature, .. } => key
                .minisign()
                .is_some_and(|key| key.verify(bytes, signature, false).is_ok()),
            Kind::Ssh {
                signature,
                key: named,
            } => {
                // The key counts that is trusted, and not the one that the signature brings along.
                key.ssh()
                    .filter(|trusted| *trusted == named)
                    .is_some_and(|trusted| is_by(trusted, signature, bytes))
            }
        }
    }
}

fn is_by(key: &[u8; 32], signature: &SshSig, bytes: &[u8]) -> bool {
    let Ok(message) = SshSig::signed_data(NAMESPACE, signature.hash_alg(), bytes) else {
        return false;
    };
    UnparsedPublicKey::new(&ED25519, key)
        .verify(&message, signature.signature_bytes())
        .is_ok()
}

impl fmt::Display for Signature {
    /// The key that it names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Minisign { .. } => write!(f, "minisign key {}", self.key_name()),
            Kind::Ssh { .. } => write!(f, "ssh key {}", self.key_name()),
        }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature by {self}")
    }
}
