//! The one door to everything that runs as root.
//!
//! A path is only a name; a [`Runnable`] is a closure that passed the checks here. Only a `Runnable` can be switched
//! to, checked, made the boot default or have its agent run as a dead-man. There are two ways to pass. A *release*
//! passes by its signatures, and where the host has release keys by a signed manifest: see
//! [`HostOperations::admit_release`]. A *system that this host knows* passes because it ran
//! here or would boot, according to the host alone: see [`HostOperations::admit_known`]. docs/decisions/0010 says why.
//!
//! [`HostOperations::admit_release`]: crate::HostOperations::admit_release
//! [`HostOperations::admit_known`]: crate::HostOperations::admit_known

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use slipway_domain::{StorePath, StorePathError};

use crate::config::HostConfig;
use crate::manifests::ManifestProof;
use crate::nix::{self, Validity};

/// A closure that was let through the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runnable(StorePath);

impl Runnable {
    /// The closure.
    #[must_use]
    pub const fn path(&self) -> &StorePath {
        &self.0
    }

    /// The script that switches to it.
    #[must_use]
    pub fn switch_script(&self) -> PathBuf {
        switch_script(&self.0)
    }

    /// For hosts in memory, where nothing runs.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub(crate) const fn unchecked(path: StorePath) -> Self {
        Self(path)
    }
}

/// Why a path is not run.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It belongs to another store.
    #[error(transparent)]
    OtherStore(#[from] StorePathError),
    /// Somebody names it and nothing on this host does.
    #[error(
        "{path} is refused: this host knows no such system; its journal, its live and booted system and the generations of {} do not name it. To go there all the same, release it, or switch to it by hand",
        profile.display()
    )]
    Stranger {
        /// The path.
        path: StorePath,
        /// The profile whose generations were looked at.
        profile: PathBuf,
    },
    /// It is not, or not any more, in the store.
    #[error("{path} is not in the Nix database of this host; nix said: {tail}")]
    NotValid {
        /// The path.
        path: StorePath,
        /// Nix's words.
        tail: String,
    },
    /// Nix does not say whether it is.
    #[error("Nix cannot be asked whether {path} is in its database; nix said: {tail}")]
    NoAnswer {
        /// The path.
        path: StorePath,
        /// Nix's words.
        tail: String,
    },
    /// It cannot be switched to.
    #[error(transparent)]
    Unfit(#[from] UnfitClosure),
}

/// Why a closure cannot be switched to.
#[derive(Debug, thiserror::Error)]
pub enum UnfitClosure {
    /// The script.
    #[error(
        "{file} {problem}: a closure for Slipway needs an executable one that takes test, boot and switch (a NixOS toplevel has it)"
    )]
    NoSwitchScript {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of the closure is a link to a file that others may change.
    #[error("{file} leads to {target}, outside the store: put the file itself into the closure")]
    Outside {
        /// The file.
        file: String,
        /// What it leads to.
        target: String,
    },
}

/// Lets a closure pass by its signatures and by its release's manifest, both of which were checked.
pub(crate) fn admit_signed(
    config: &HostConfig,
    closure: &StorePath,
    _signed: nix::SignatureProof,
    _named: &ManifestProof,
) -> Result<Runnable, UnfitClosure> {
    check_switch(config, closure)?;
    Ok(Runnable(closure.clone()))
}

/// Lets a closure in that this host knows.
pub(crate) async fn admit_known(
    config: &HostConfig,
    path: &StorePath,
    recorded: bool,
) -> Result<Runnable, Refusal> {
    config.store_dir.check(path.clone())?;
    if !recorded && !nix::known_systems(config).contains(path) {
        return Err(Refusal::Stranger {
            path: path.clone(),
            profile: config.profile.clone(),
        });
    }
    let path = path.clone();
    match nix::validity(config, &path).await {
        Validity::Valid => {}
        Validity::Invalid(tail) => return Err(Refusal::NotValid { path, tail }),
        // It passed when the journal recorded it, and a root has kept it since. Going back must not depend on a
        // database that a read-only disk keeps shut.
        Validity::NoAnswer(tail) if recorded => {
            tracing::warn!(%path, %tail, "Nix cannot be asked; the journal's word is taken");
        }
        Validity::NoAnswer(tail) => return Err(Refusal::NoAnswer { path, tail }),
    }
    check_switch(config, &path)?;
    Ok(Runnable(path))
}

/// Whether the closure has a switch script of its own.
fn check_switch(config: &HostConfig, closure: &StorePath) -> Result<(), UnfitClosure> {
    let script = switch_script(closure);
    let unfit = |problem: String| UnfitClosure::NoSwitchScript {
        file: script.display().to_string(),
        problem,
    };
    let meta = fs::metadata(&script).map_err(|error| {
        unfit(match error.kind() {
            io::ErrorKind::NotFound => "is missing".to_owned(),
            _ => format!("cannot be looked at ({error})"),
        })
    })?;
    if !meta.is_file() {
        return Err(unfit("is not a file".to_owned()));
    }
    if meta.permissions().mode() & 0o111 == 0 {
        return Err(unfit("is not executable".to_owned()));
    }
    check_inside(config, &script)
}

/// Whether a file of the store is still in the store after all links are followed: others may change files
/// outside.
pub(crate) fn check_inside(config: &HostConfig, file: &Path) -> Result<(), UnfitClosure> {
    let unreadable = |error: io::Error| UnfitClosure::NoSwitchScript {
        file: file.display().to_string(),
        problem: format!("cannot be looked at ({error})"),
    };
    let store = fs::canonicalize(config.store_dir.as_str()).map_err(unreadable)?;
    let target = fs::canonicalize(file).map_err(unreadable)?;
    if target.starts_with(&store) {
        return Ok(());
    }
    Err(UnfitClosure::Outside {
        file: file.display().to_string(),
        target: target.display().to_string(),
    })
}

fn switch_script(closure: &StorePath) -> PathBuf {
    closure.as_path().join("bin/switch-to-configuration")
}
