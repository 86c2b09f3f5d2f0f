//! Digests of decisions in events, so that nobody can swap the decided rows afterwards.
//!
//! A digest covers rows as they are stored, field by field. It is at the end of its event's cause, so the event's hash
//! and seal cover it. A program of a release before digests reads it as plain text.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// What the text form begins with.
const PREFIX: &str = "sha256:";

/// SHA-256, of named fields or of the bytes of a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a file, as `sha256sum` prints it.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// An id that follows from it.
    #[must_use]
    pub fn id(&self) -> Uuid {
        id_of(&self.0)
    }

    /// Enough of it to tell it from others, for people.
    #[must_use]
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is `sha256:` and 64 hex digits")]
pub struct NoDigest;

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let mut bytes = [0; 32];
        let digits = text.strip_prefix(PREFIX).ok_or(NoDigest)?;
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| NoDigest)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = NoDigest;

    fn try_from(text: String) -> Result<Self, NoDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Computes a digest. Each field has its name and its length before it, so that no two contents have the same bytes.
///
/// Fields are added one after another, so a long list, such as the hosts of a release, need not be in memory.
#[derive(Debug, Clone)]
pub struct Digester(Sha256);

impl Digester {
    /// For one kind of thing, such as `release`: two kinds never have the same digest.
    #[must_use]
    pub fn new(kind: &str) -> Self {
        let mut digester = Self(Sha256::new());
        digester.text("slipway digest 1");
        digester.text(kind);
        digester
    }

    /// Adds a field.
    pub fn field(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        self.text(name);
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(text, "{value}");
        self.text(&text);
        self
    }

    /// Adds a field that may be missing. A missing one adds nothing, so that a field that a later release adds leaves
    /// the digests alone that were made before it.
    pub fn field_opt(&mut self, name: &str, value: Option<impl fmt::Display>) -> &mut Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// The digest of what was added.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }

    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
    }
}

/// An id that follows from bytes that a hash made.
#[must_use]
pub fn id_of(bytes: &[u8; 32]) -> Uuid {
    let (id, _) = bytes
        .split_first_chunk()
        .expect("32 bytes have 16 at their beginning");
    Uuid::new_v8(*id)
}

/// The cause with the digest at its end.
#[must_use]
pub(crate) fn append(cause: &str, digest: &Digest) -> String {
    format!("{cause} [{digest}]")
}

/// A cause in two: what people wrote, and the digest at its end.
pub(crate) fn split(cause: &str) -> (&str, Option<Digest>) {
    let parts = cause
        .strip_suffix(']')
        .and_then(|rest| rest.rsplit_once(" ["))
        .and_then(|(text, digest)| Some((text, digest.parse().ok()?)));
    match parts {
        Some((text, digest)) => (text, Some(digest)),
        None => (cause, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(fields: &[(&str, &str)]) -> Digest {
        let mut digester = Digester::new("thing");
        for (name, value) in fields {
            digester.field(name, value);
        }
        digester.finish()
    }

    #[test]
    fn no_two_contents_have_the_same_digest() {
        let all = [
            digest(&[]),
            digest(&[("a", "")]),
            digest(&[("a", "b")]),
            digest(&[("ab", "")]),
            digest(&[("a", "b"), ("c", "d")]),
            digest(&[("c", "d"), ("a", "b")]),
            digest(&[("a", "bcd")]),
            Digester::new("other").finish(),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other != one), "{i}");
        }
    }

    #[test]
    fn a_missing_field_leaves_the_digest_as_it_was() {
        let mut with = Digester::new("thing");
        with.field("a", 1).field_opt("b", None::<&str>);
        assert_eq!(with.finish(), digest(&[("a", "1")]));
    }

    #[test]
    fn a_cause_carries_its_digest_and_gives_it_back() {
        let made = digest(&[("a", "b")]);
        let cause = append("approve: see [1]", &made);
        assert_eq!(split(&cause), ("approve: see [1]", Some(made)));
        for plain in ["", "approve", "approve: [sha256:12]", "x [sha256:]", "]"] {
            assert_eq!(split(plain), (plain, None));
        }
        assert_eq!(made.to_string().parse(), Ok(made));
    }
}
