//! Public keys that a host trusts.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The most keys of one host: the one in force, the next, and those of people for an emergency.
pub const MAX_KEYS: usize = 32;

/// One public key: a line of minisign's, or an `ssh-ed25519` line.
#[derive(Clone, PartialEq, Eq)]
pub struct ReleaseKey(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Minisign { id: u64, line: String },
    Ssh { key: [u8; 32] },
}

/// A line that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It should never have left its file.
    #[error(
        "a private key stands where public keys belong: take it away, make a new pair and give its public half"
    )]
    Private,
    /// Another kind.
    #[error(
        "keys of the kind `{kind}` sign no releases: give an ssh-ed25519 key (ssh-keygen -t ed25519) or one of minisign"
    )]
    OtherKind {
        /// The kind.
        kind: String,
    },
    /// Not readable.
    #[error(
        "`{start}…` is no public key: give a line `ssh-ed25519 AAAA…` or the second line of a minisign.pub"
    )]
    Malformed {
        /// How it begins.
        start: String,
    },
    /// None at all.
    #[error("there is no key: give at least one line, or name no file at all")]
    None,
    /// Too many.
    #[error("there are more than {MAX_KEYS} keys: keep those that sign")]
    TooMany,
    /// In a list, with its place.
    #[error("line {line}: {error}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        error: Box<KeyError>,
    },
}

impl FromStr for ReleaseKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let line = text.trim();
        if line.contains("PRIVATE KEY") || line.contains("secret key") {
            return Err(KeyError::Private);
        }
        let malformed = || KeyError::Malformed {
            start: line.chars().take(12).collect(),
        };
        if let Some((kind, _)) = line.split_once(' ') {
            if kind != "ssh-ed25519" {
                return Err(KeyError::OtherKind {
                    kind: kind.chars().take(40).collect(),
                });
            }
            let key = ssh_key::PublicKey::from_openssh(line).map_err(|_| malformed())?;
            let key = key.key_data().ed25519().ok_or_else(malformed)?;
            return Ok(Self(Kind::Ssh { key: key.0 }));
        }
        minisign_verify::PublicKey::from_base64(line).map_err(|_| malformed())?;
        let id = minisign_key_id(line).ok_or_else(malformed)?;
        Ok(Self(Kind::Minisign {
            id,
            line: line.to_owned(),
        }))
    }
}

impl fmt::Display for ReleaseKey {
    /// As the tools themselves name keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Minisign { id, .. } => write!(f, "minisign key {id:016X}"),
            Kind::Ssh { key } => write!(f, "ssh key {}", ssh_name(key)),
        }
    }
}

impl fmt::Debug for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ReleaseKey {
    /// The key of minisign, if it is one.
    pub(crate) fn minisign(&self) -> Option<minisign_verify::PublicKey> {
        match &self.0 {
            Kind::Minisign { line, .. } => minisign_verify::PublicKey::from_base64(line).ok(),
            Kind::Ssh { .. } => None,
        }
    }

    /// What a signature of minisign's names.
    pub(crate) const fn minisign_id(&self) -> Option<u64> {
        match &self.0 {
            Kind::Minisign { id, .. } => Some(*id),
            Kind::Ssh { .. } => None,
        }
    }

    /// The key of `ssh-keygen`, if it is one.
    pub(crate) const fn ssh(&self) -> Option<&[u8; 32]> {
        match &self.0 {
            Kind::Ssh { key } => Some(key),
            Kind::Minisign { .. } => None,
        }
    }
}

/// All keys that a host trusts; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseKeys(Vec<ReleaseKey>);

impl ReleaseKeys {
    /// The keys; at least one.
    pub fn new(keys: Vec<ReleaseKey>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        if keys.len() > MAX_KEYS {
            return Err(KeyError::TooMany);
        }
        Ok(Self(keys))
    }

    /// Reads a file of keys, one a line. Empty lines, those with `#` and minisign's own comments are passed over.
    pub fn read(text: &str) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            let comment = line.starts_with('#')
                || (line.starts_with("untrusted comment:") && !line.contains("secret key"));
            if line.is_empty() || comment {
                continue;
            }
            let key: Result<ReleaseKey, KeyError> = line.parse();
            keys.push(key.map_err(|error| KeyError::Line {
                line: at + 1,
                error: Box::new(error),
            })?);
        }
        Self::new(keys)
    }

    /// The keys.
    #[must_use]
    pub fn as_slice(&self) -> &[ReleaseKey] {
        &self.0
    }
}

/// As `ssh-keygen -l` prints it.
pub(crate) fn ssh_name(key: &[u8; 32]) -> String {
    let public = ssh_key::public::Ed25519PublicKey(*key);
    let key = ssh_key::public::KeyData::Ed25519(public);
    key.fingerprint(ssh_key::HashAlg::Sha256).to_string()
}

/// The id in what minisign writes, for keys as for signatures: bytes 2 to 10.
pub(crate) fn minisign_key_id(base64: &str) -> Option<u64> {
    let bytes = STANDARD.decode(base64).ok()?;
    let id = bytes.get(2..10)?.try_into().ok()?;
    Some(u64::from_le_bytes(id))
}

#[cfg(test)]
mod tests;
