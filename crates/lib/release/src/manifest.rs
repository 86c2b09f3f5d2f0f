//! What is signed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use slipway_domain::digest::Digest;
use slipway_domain::{EnvironmentName, HostName, ReleaseId, StorePath, Timestamp};

/// The one format that there is.
pub const FORMAT: u32 = 1;
/// The longest manifest: room for some seven thousand hosts.
pub const MAX_BYTES: usize = 2 * 1024 * 1024;
/// The highest number: what JSON numbers hold in every language.
pub const MAX_NUMBER: u64 = (1 << 53) - 1;
/// Characters of each text of the source.
const SOURCE_CHARS: usize = 2000;

/// Everything that a release says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this form.
    pub format: u32,
    /// The release.
    pub id: ReleaseId,
    /// The only environment that it is for.
    pub environment: EnvironmentName,
    /// No host takes it once it has committed a higher one.
    pub number: u64,
    /// When it was made, for people.
    pub created: Timestamp,
    /// No host activates it from then on.
    pub expires: Timestamp,
    /// Where its closures came from.
    #[serde(default, skip_serializing_if = "Source::is_unknown")]
    pub source: Source,
    /// What each host is to run. A list, so that a host that is there twice is seen.
    pub hosts: Vec<HostEntry>,
}

/// Where the closures came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The flake reference that was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake_ref: Option<String>,
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<String>,
    /// The hash of the source tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nar_hash: Option<String>,
}

impl Source {
    fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// One host's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostEntry {
    /// The host.
    pub name: HostName,
    /// What it is to run.
    pub closure: StorePath,
    /// The SHA-256 of the closure's `etc/slipway/checks.json`.
    pub checks: Digest,
    /// The SHA-256 of the closure's `etc/slipway/hooks.json`; left out where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Digest>,
}

/// Bytes that are no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// More than any fleet needs.
    #[error("the manifest has {bytes} bytes, and {MAX_BYTES} are the most: split the environment")]
    TooLarge {
        /// What was given.
        bytes: usize,
    },
    /// It ends in the middle.
    #[error("the manifest is cut short: it ends at line {line} column {column}; copy the whole file")]
    CutShort {
        /// Where it ends.
        line: usize,
        /// Where it ends.
        column: usize,
    },
    /// Of a newer program.
    #[error("the manifest has the format {found}, and this program reads {FORMAT}: update Slipway here")]
    OtherFormat {
        /// Its format.
        found: u64,
    },
    /// Not JSON, or of another form.
    #[error("the manifest cannot be read: {problem}; make one with `slipway release manifest`")]
    Malformed {
        /// What is wrong, and where.
        problem: String,
    },
    /// Two entries for one host.
    #[error("the manifest names the host {name} twice: name each host once")]
    HostTwice {
        /// The host.
        name: HostName,
    },
    /// No entry at all.
    #[error("the manifest names no host: name at least one")]
    NoHosts,
    /// Zero, or too high for other programs.
    #[error("the manifest has the number {number}: give one from 1 to {MAX_NUMBER}")]
    Number {
        /// The number.
        number: u64,
    },
    /// It never counted.
    #[error("the manifest expires at {expires}, not after it was made ({created}): give a later time")]
    NeverValid {
        /// When it was made.
        created: Timestamp,
        /// When it expires.
        expires: Timestamp,
    },
    /// A text without end.
    #[error("the manifest's source.{field} has more than {SOURCE_CHARS} characters: shorten it")]
    LongSource {
        /// The field.
        field: &'static str,
    },
}

/// The only field that every format has.
#[derive(Deserialize)]
struct Format {
    format: u64,
}

impl Manifest {
    /// Reads the bytes of a manifest. Anything that this program does not know is an error.
    pub fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_BYTES {
            return Err(ManifestError::TooLarge { bytes: bytes.len() });
        }
        let format: Format = serde_json::from_slice(bytes).map_err(|error| of_json(&error))?;
        if format.format != u64::from(FORMAT) {
            return Err(ManifestError::OtherFormat { found: format.format });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| of_json(&error))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The bytes of a new manifest, to be signed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let mut bytes = serde_json::to_vec(self).map_err(|error| of_json(&error))?;
        bytes.push(b'\n');
        if bytes.len() > MAX_BYTES {
            return Err(ManifestError::TooLarge { bytes: bytes.len() });
        }
        Ok(bytes)
    }

    /// A host's part.
    #[must_use]
    pub fn host(&self, name: &HostName) -> Option<&HostEntry> {
        self.hosts.iter().find(|entry| entry.name == *name)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let (number, created, expires) = (self.number, self.created, self.expires);
        if number == 0 || number > MAX_NUMBER {
            return Err(ManifestError::Number { number });
        }
        if expires <= created {
            return Err(ManifestError::NeverValid { created, expires });
        }
        let texts = [
            ("flake_ref", &self.source.flake_ref),
            ("rev", &self.source.rev),
            ("nar_hash", &self.source.nar_hash),
        ];
        let long = |text: &Option<String>| {
            text.as_ref()
                .is_some_and(|text| text.chars().count() > SOURCE_CHARS)
        };
        if let Some((field, _)) = texts.into_iter().find(|(_, text)| long(text)) {
            return Err(ManifestError::LongSource { field });
        }
        if self.hosts.is_empty() {
            return Err(ManifestError::NoHosts);
        }
        let mut seen = BTreeSet::new();
        match self.hosts.iter().find(|entry| !seen.insert(&entry.name)) {
            Some(entry) => Err(ManifestError::HostTwice {
                name: entry.name.clone(),
            }),
            None => Ok(()),
        }
    }
}

fn of_json(error: &serde_json::Error) -> ManifestError {
    if error.is_eof() {
        return ManifestError::CutShort {
            line: error.line(),
            column: error.column(),
        };
    }
    ManifestError::Malformed {
        problem: error.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
