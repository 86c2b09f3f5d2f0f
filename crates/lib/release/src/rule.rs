//! Whether a host may run a closure by a manifest.
//!
//! The one rule of the agent's door. What the host knows by its own configuration is in the [`Question`]. Nothing in it
//! comes from the control plane but the closure and the release that it names.

use serde::{Deserialize, Serialize};
use slipway_domain::digest::Digest;
use slipway_domain::{EnvironmentName, HostName, ReleaseId, StorePath, Timestamp};

use crate::keys::{ReleaseKey, ReleaseKeys};
use crate::manifest::{HostEntry, Manifest};
use crate::signed::{SignedManifest, Untrusted};

/// The signed release that a host committed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// Its number. No lower one is activated again.
    pub number: u64,
    /// The digest of its manifest: the same number under another manifest is another release.
    pub manifest: Digest,
}

/// What is asked of a manifest.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The host, by its own configuration.
    pub host: &'a HostName,
    /// Its environment, by its own configuration.
    pub environment: &'a EnvironmentName,
    /// The keys that it trusts.
    pub keys: &'a ReleaseKeys,
    /// Now, by its own clock.
    pub now: Timestamp,
    /// What it committed last, by its own journal.
    pub committed: Option<Committed>,
    /// The closure that it is told to run.
    pub closure: &'a StorePath,
    /// The release that this is said to be; none where nobody says so.
    pub release: Option<ReleaseId>,
}

/// Why a host does not run a closure, although there is a manifest.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No trusted key signed it, or it cannot be read.
    #[error("the release manifest is refused: {0}")]
    Untrusted(#[from] Untrusted),
    /// Of another release.
    #[error(
        "the release manifest is refused: it is the one of release {found}, and release {told} was named"
    )]
    OtherRelease {
        /// Its own.
        found: ReleaseId,
        /// The one that was named.
        told: ReleaseId,
    },
    /// Of another environment.
    #[error(
        "the release manifest is refused: it is for the environment `{found}`, and this host is in `{own}`"
    )]
    OtherEnvironment {
        /// The manifest's.
        found: EnvironmentName,
        /// The host's.
        own: EnvironmentName,
    },
    /// It does not name the host.
    #[error(
        "the release manifest is refused: the one with the number {number} names nothing for the host `{host}`"
    )]
    NotForHost {
        /// The host.
        host: HostName,
        /// The manifest's number.
        number: u64,
    },
    /// It names another closure for the host.
    #[error("{told} is refused: the manifest with the number {number} names {signed} for this host")]
    OtherClosure {
        /// What the host was told to run.
        told: StorePath,
        /// What was signed.
        signed: StorePath,
        /// The manifest's number.
        number: u64,
    },
    /// Too late.
    #[error(
        "the release manifest is refused: the one with the number {number} expired at {expires}, and this host's clock says {now}; sign the release anew"
    )]
    Expired {
        /// The manifest's number.
        number: u64,
        /// When it expired.
        expires: Timestamp,
        /// The host's clock.
        now: Timestamp,
    },
    /// An earlier release again.
    #[error(
        "the release manifest is refused: its number is {number}, and this host has committed number {committed}; to go back, sign the earlier closures under a new number"
    )]
    NumberGoesBack {
        /// The manifest's number.
        number: u64,
        /// The one that was committed.
        committed: u64,
    },
    /// Two releases with one number.
    #[error(
        "the release manifest is refused: this host has committed another release with the number {number}; sign it under a new number"
    )]
    NumberUsed {
        /// The number.
        number: u64,
    },
}

/// The manifest and the host's part of it, if the host may run the closure by it.
pub fn admit<'a>(
    signed: &SignedManifest,
    asked: &Question<'a>,
) -> Result<(Manifest, HostEntry, &'a ReleaseKey), Refusal> {
    let (manifest, key) = signed.verify(asked.keys)?;
    if let Some(told) = asked.release.filter(|told| *told != manifest.id) {
        return Err(Refusal::OtherRelease {
            found: manifest.id,
            told,
        });
    }
    if manifest.environment != *asked.environment {
        return Err(Refusal::OtherEnvironment {
            found: manifest.environment,
            own: asked.environment.clone(),
        });
    }
    let number = manifest.number;
    let Some(entry) = manifest.host(asked.host).cloned() else {
        return Err(Refusal::NotForHost {
            host: asked.host.clone(),
            number,
        });
    };
    if entry.closure != *asked.closure {
        return Err(Refusal::OtherClosure {
            told: asked.closure.clone(),
            signed: entry.closure,
            number,
        });
    }
    if manifest.expires <= asked.now {
        return Err(Refusal::Expired {
            number,
            expires: manifest.expires,
            now: asked.now,
        });
    }
    match asked.committed {
        Some(last) if number < last.number => Err(Refusal::NumberGoesBack {
            number,
            committed: last.number,
        }),
        Some(last) if number == last.number && signed.digest() != last.manifest => {
            Err(Refusal::NumberUsed { number })
        }
        _ => Ok((manifest, entry, key)),
    }
}

#[cfg(test)]
mod tests;
