//! Compares what the boot loader boots, by default and once, with the system that the profile names.
//!
//! Somebody may change the boot loader's choice with `bootctl set-default` or `grub-set-default`. The profile does not show
//! that.

use std::collections::BTreeSet;

use slipway_domain::drift::{ONCE, Override};
use slipway_domain::{AttemptId, StorePath};

use super::{BootError, BootLoader, PROFILE, grub, systemd_boot};
use crate::config::HostConfig;
use crate::overrides::shown;

/// What the boot loader boots.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picks {
    /// At every boot.
    pub(super) default: Option<Pick>,
    /// At the next boot alone.
    pub(super) once: Option<Pick>,
    /// The systems of all its entries.
    pub(super) known: BTreeSet<StorePath>,
}

/// An entry that the boot loader boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pick {
    /// How the boot loader names it.
    pub(super) entry: String,
    /// The system that it starts; none for memory tests, other operating systems and unified kernel images.
    pub(super) closure: Option<StorePath>,
}

/// The entries that start another system than the profile names. The default comes first. Empty if the boot loader cannot be
/// read.
///
/// While an attempt is under way, the agent's own entry for one boot does not count.
pub(crate) fn differences(
    config: &HostConfig,
    profile: &StorePath,
    under_way: Option<AttemptId>,
) -> Vec<Override> {
    let picks = match picks(config) {
        Ok(Some(picks)) => picks,
        Ok(None) => return Vec::new(),
        Err(error) => {
            tracing::debug!(%error, "cannot read what the boot loader boots");
            return Vec::new();
        }
    };
    let differs = |pick: &&Pick| match &pick.closure {
        Some(closure) => closure != profile,
        // If no readable entry starts the profile's system, this one may start it.
        None => picks.known.contains(profile),
    };
    let is_ours = |pick: &&Pick| under_way.is_some() && pick.entry.contains(PROFILE);
    let default = picks.default.as_ref().filter(differs);
    let once = picks.once.as_ref().filter(differs).filter(|pick| !is_ours(pick));
    let default = default.map(Pick::words);
    let once = once.map(|pick| format!("{}{ONCE}", pick.words()));
    let found = default.into_iter().chain(once);
    found
        .map(|found| Override::boot(shown(profile.as_str()), shown(&found)))
        .collect()
}

/// `None` if the configuration names no boot loader.
fn picks(config: &HostConfig) -> Result<Option<Picks>, BootError> {
    match config.boot.loader {
        BootLoader::None => Ok(None),
        BootLoader::SystemdBoot => systemd_boot::picks(&config.boot).map(Some),
        BootLoader::Grub => grub::picks(&config.boot).map(Some),
    }
}

impl Pick {
    fn words(&self) -> String {
        self.closure
            .as_ref()
            .map_or_else(|| format!("the boot entry {}", self.entry), ToString::to_string)
    }
}

/// The system that a line of kernel parameters starts: NixOS takes the last `init=`.
pub(super) fn closure_of(line: &str) -> Option<StorePath> {
    let words = line.split_whitespace();
    let init = words.filter_map(|word| word.strip_prefix("init=")).next_back()?;
    init.strip_suffix("/init")?.parse().ok()
}
