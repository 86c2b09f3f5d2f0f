//! Signed manifests on this host: kept in the state folder, and asked before a release is run.
//!
//! A host with release keys runs a release only if its manifest names the closure for this host. The manifest comes from
//! the control plane. Whether it counts is for its signature to say, for the host's own name, environment and clock, and
//! for the number in its own journal. Nothing that was found once is remembered: each time the file is read and verified again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use slipway_domain::agent::ManifestRef;
use slipway_domain::digest::Digest;
use slipway_domain::{StorePath, Timestamp};
use slipway_release::{
    Committed, HostEntry, KeyError, Question, ReleaseKeys, SignedManifest, Untrusted, rule,
};

use crate::checks::{self, ManifestError};
use crate::config::{HostConfig, ReleaseTrust};
use crate::door::{self, Runnable, UnfitClosure};
use crate::hooks;

/// Where a closure carries the keys that its agent will trust, one a line.
pub const KEYS_FILE: &str = "etc/slipway/release-keys";
/// The longest file of keys.
const MAX_KEYS_BYTES: u64 = 64 * 1024;
/// The longest file of a kept manifest: JSON may double what it quotes.
const MAX_KEPT_BYTES: u64 = 8 * 1024 * 1024;
/// So many manifests are kept.
const KEPT: usize = 8;

/// What is claimed of a closure, and what this host knows to judge it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseClaim {
    /// The manifest that the control plane named, if it named any.
    pub manifest: Option<ManifestRef>,
    /// The signed release that this host committed last.
    pub committed: Option<Committed>,
    /// Now, by this host's clock.
    pub now: Timestamp,
}

impl ReleaseClaim {
    /// Of a closure without a manifest, on a host that never committed one.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn unsigned() -> Self {
        Self {
            manifest: None,
            committed: None,
            now: Timestamp::default(),
        }
    }
}

/// A release that the door let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedRelease {
    /// Its closure.
    pub runnable: Runnable,
    /// What its manifest is remembered by once it is committed; none on a host without release keys.
    pub signed: Option<Committed>,
}

/// Why a host with release keys does not run a closure.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseRefusal {
    /// Nobody named a manifest.
    #[error(
        "{closure} is refused: this host takes signed releases only, and this one has no manifest; sign the release (docs/trust.md) and register it with `slipway release create --manifest`"
    )]
    Unsigned {
        /// The closure.
        closure: StorePath,
    },
    /// It is not here.
    #[error(
        "{closure} is refused: the control plane does not hand out the manifest of release {}; the agent's log has its answer", manifest.release
    )]
    NotHere {
        /// The closure.
        closure: StorePath,
        /// The manifest.
        manifest: ManifestRef,
    },
    /// It is another one.
    #[error(
        "the release manifest is refused: the control plane named {named} and handed out {found}; look who changed it there (`slipway audit verify`)"
    )]
    Swapped {
        /// What was named.
        named: Digest,
        /// What came.
        found: Digest,
    },
    /// It is damaged.
    #[error("the kept manifest {file} cannot be read ({problem}): remove it, and the agent fetches it anew")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// By the rule of signatures, names and numbers.
    #[error(transparent)]
    Rule(#[from] rule::Refusal),
    /// What is in the closure is not what was signed.
    #[error(
        "{closure} is refused: its {file} is not the one that the release manifest names; build the closure and the manifest from the same source"
    )]
    OtherFile {
        /// The closure.
        closure: StorePath,
        /// The file in it.
        file: &'static str,
    },
    /// A file of the closure cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ManifestError),
    /// A file of the closure is not its own.
    #[error(transparent)]
    Unfit(#[from] UnfitClosure),
    /// The new closure's keys cannot be read.
    #[error("{closure} is refused: its {KEYS_FILE} holds no usable keys: {error}")]
    BadKeys {
        /// The closure.
        closure: StorePath,
        /// What is wrong with them.
        error: KeyError,
    },
    /// A system from before the keys.
    #[error(
        "{closure} carries no {KEYS_FILE}, so it would run whatever the control plane names; to go there, sign it under a new number"
    )]
    KeysGone {
        /// The closure.
        closure: StorePath,
    },
    /// A system that trusts a key that is not trusted any more.
    #[error(
        "{closure} trusts the {key}, and this host does not any more; to go there, sign it under a new number"
    )]
    KeyBack {
        /// The closure.
        closure: StorePath,
        /// The key.
        key: String,
    },
    /// The new closure would not have let itself in.
    #[error(
        "{closure} is refused: its own {KEYS_FILE} does not trust the key of its manifest ({error}); sign it with a key that stays, or take the old key away in a later release"
    )]
    KeyTakenAway {
        /// The closure.
        closure: StorePath,
        /// What its keys say of the manifest.
        error: Untrusted,
    },
}

/// Proof that a closure may come here as far as manifests are concerned. Only this module makes it.
#[derive(Debug)]
pub(crate) struct ManifestProof(Option<Committed>);

impl ManifestProof {
    /// What the manifest is remembered by.
    pub(crate) const fn signed(&self) -> Option<Committed> {
        self.0
    }
}

/// Whether a manifest names the closure for this host. What is inside the closure is looked at by [`check`].
pub(crate) fn check_named(
    config: &HostConfig,
    closure: &StorePath,
    claim: &ReleaseClaim,
) -> Result<(), ReleaseRefusal> {
    match &config.trust {
        None => Ok(()),
        Some(trust) => {
            admit_named(trust, closure, claim, |digest| load(&config.state_dir, digest)).map(|_| ())
        }
    }
}

/// Whether the closure may come here as far as manifests are concerned. It must be in the store.
pub(crate) fn check(
    config: &HostConfig,
    closure: &StorePath,
    claim: &ReleaseClaim,
) -> Result<ManifestProof, ReleaseRefusal> {
    let Some(trust) = &config.trust else {
        return Ok(ManifestProof(None));
    };
    let named = admit_named(trust, closure, claim, |digest| load(&config.state_dir, digest))?;
    let files = [
        (checks::FILE, Some(named.entry.checks)),
        (hooks::FILE, named.entry.hooks),
    ];
    for (file, expected) in files {
        let (_, found) = checks::read(closure, file, hooks::MAX_BYTES)?;
        if found.map(|bytes| Digest::of_bytes(&bytes)) != expected {
            return Err(ReleaseRefusal::OtherFile {
                closure: closure.clone(),
                file,
            });
        }
    }
    check_next_keys(config, closure, &named.signed)?;
    Ok(ManifestProof(Some(named.committed)))
}

/// A manifest that names a closure for this host.
#[derive(Debug)]
pub(crate) struct NamedRelease {
    /// The manifest with its signatures.
    signed: SignedManifest,
    /// This host's part of it.
    entry: HostEntry,
    /// What it is remembered by.
    pub(crate) committed: Committed,
}

/// The claimed manifest, if it names the closure for this host; `find` brings what is kept under its digest.
pub(crate) fn admit_named(
    trust: &ReleaseTrust,
    closure: &StorePath,
    claim: &ReleaseClaim,
    find: impl FnOnce(&Digest) -> Result<Option<SignedManifest>, ReleaseRefusal>,
) -> Result<NamedRelease, ReleaseRefusal> {
    let Some(manifest) = claim.manifest else {
        return Err(ReleaseRefusal::Unsigned {
            closure: closure.clone(),
        });
    };
    let Some(signed) = find(&manifest.digest)? else {
        return Err(ReleaseRefusal::NotHere {
            closure: closure.clone(),
            manifest,
        });
    };
    let asked = Question {
        host: &trust.host,
        environment: &trust.environment,
        keys: &trust.keys,
        now: claim.now,
        committed: claim.committed,
        closure,
        release: Some(manifest.release),
    };
    let (found, entry, _key) = rule::admit(&signed, &asked)?;
    let committed = Committed {
        number: found.number,
        manifest: signed.digest(),
    };
    Ok(NamedRelease {
        signed,
        entry,
        committed,
    })
}

/// Whether the agent of the closure itself would trust the manifest: else the next start of a host would not stand by what
/// it runs. A closure without the file has no release keys any more, which is for the signer to decide.
fn check_next_keys(
    config: &HostConfig,
    closure: &StorePath,
    signed: &SignedManifest,
) -> Result<(), ReleaseRefusal> {
    let Some(keys) = keys_of(config, closure)? else {
        return Ok(());
    };
    match signed.verify(&keys) {
        Ok(_) => Ok(()),
        Err(error) => Err(ReleaseRefusal::KeyTakenAway {
            closure: closure.clone(),
            error,
        }),
    }
}

/// Whether a system that the host goes back to after a commit asks for signatures of the same keys, or of fewer. Else the
/// control plane could send the host back to before its keys, or to a key that was stolen meanwhile.
pub(crate) fn check_keeps_keys(config: &HostConfig, closure: &StorePath) -> Result<(), ReleaseRefusal> {
    let Some(trust) = &config.trust else {
        return Ok(());
    };
    let Some(keys) = keys_of(config, closure)? else {
        return Err(ReleaseRefusal::KeysGone {
            closure: closure.clone(),
        });
    };
    let stranger = keys
        .as_slice()
        .iter()
        .find(|key| !trust.keys.as_slice().contains(key));
    stranger.map_or(Ok(()), |key| {
        Err(ReleaseRefusal::KeyBack {
            closure: closure.clone(),
            key: key.to_string(),
        })
    })
}

/// The keys that the agent of the closure will trust; none where it will trust the control plane.
fn keys_of(config: &HostConfig, closure: &StorePath) -> Result<Option<ReleaseKeys>, ReleaseRefusal> {
    let (_, Some(bytes)) = checks::read(closure, KEYS_FILE, MAX_KEYS_BYTES)? else {
        return Ok(None);
    };
    door::check_inside(config, &closure.as_path().join(KEYS_FILE))?;
    let keys = ReleaseKeys::read(&String::from_utf8_lossy(&bytes));
    keys.map(Some).map_err(|error| ReleaseRefusal::BadKeys {
        closure: closure.clone(),
        error,
    })
}

fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("manifests")
}

fn file(state_dir: &Path, digest: &Digest) -> PathBuf {
    let digits = digest.to_string();
    let digits = digits.split_once(':').map_or(&*digits, |(_, digits)| digits);
    folder(state_dir).join(format!("{digits}.json"))
}

/// Whether the manifest is kept here with a signature that counts, so that it need not be fetched. What came with a bad
/// signature may come with a good one the next time.
#[must_use]
pub fn is_kept(config: &HostConfig, digest: &Digest) -> bool {
    let kept = load(&config.state_dir, digest).ok().flatten();
    match (&config.trust, kept) {
        (Some(trust), Some(signed)) => signed.verify(&trust.keys).is_ok(),
        _ => false,
    }
}

/// Keeps what was handed out for the manifest of this digest, and forgets the oldest.
pub fn keep(state_dir: &Path, digest: &Digest, signed: &SignedManifest) -> io::Result<()> {
    slipway_durable::private_folder(&folder(state_dir))?;
    let json = serde_json::to_vec(signed).map_err(io::Error::other)?;
    slipway_durable::write(&file(state_dir, digest), &json, slipway_durable::PRIVATE)?;
    forget_oldest(&folder(state_dir))
}

fn forget_oldest(folder: &Path) -> io::Result<()> {
    let mut kept: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        kept.push((entry.metadata()?.modified()?, entry.path()));
    }
    kept.sort();
    let extra = kept.len().saturating_sub(KEPT);
    kept.iter()
        .take(extra)
        .try_for_each(|(_, path)| slipway_durable::remove(path))
}

fn load(state_dir: &Path, digest: &Digest) -> Result<Option<SignedManifest>, ReleaseRefusal> {
    let file = file(state_dir, digest);
    let damaged = |problem: String| ReleaseRefusal::Damaged {
        file: file.display().to_string(),
        problem,
    };
    let length = match fs::metadata(&file) {
        Ok(meta) => meta.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(damaged(error.to_string())),
    };
    if length > MAX_KEPT_BYTES {
        return Err(damaged(format!("it has {length} bytes")));
    }
    let bytes = fs::read(&file).map_err(|error| damaged(error.to_string()))?;
    let signed: SignedManifest =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if signed.digest() != *digest {
        return Err(ReleaseRefusal::Swapped {
            named: *digest,
            found: signed.digest(),
        });
    }
    Ok(Some(signed))
}
