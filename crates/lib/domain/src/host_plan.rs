//! What a switch to a release's closure would change on a host, as its agent computes it before anything is touched.
//!
//! People approve it by its digest. The digest covers the whole plan, also what was cut from the lists that are sent. A list
//! that was cut carries the digest of its rest. So whoever has a plan can compute its digest again.
//!
//! Nothing in a plan differs between two hosts of one kind, such as their names or the hashes of their store paths. So
//! equal hosts have equal plans. Sizes differ by a few bytes, and are in the [`PlanReport`] beside it.

mod chain;
mod cut;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use chain::rollout_digest;
pub use cut::{MAX_ENTRIES, MAX_PLAN_BYTES};

use crate::StorePath;
use crate::digest::Digest;

/// What a switch would change, section by section. A section without entries is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostPlan {
    /// The sections by name, such as `units`; see [`section`]. A newer agent may have more.
    pub sections: BTreeMap<String, PlanSection>,
}

/// The names of the sections, in the order in which people read them.
pub mod section {
    /// Why the host must reboot before everything of the closure runs.
    pub const REBOOT: &str = "reboot";
    /// What NixOS refuses to change on a running system: the switch would fail.
    pub const INHIBITORS: &str = "inhibitors";
    /// Migrations of stacks' databases.
    pub const SCHEMAS: &str = "schemas";
    /// Units of systemd.
    pub const UNITS: &str = "units";
    /// Packages, by the names of store paths.
    pub const PACKAGES: &str = "packages";
    /// Lines of the firewall's rules.
    pub const FIREWALL: &str = "firewall";
    /// File systems and swap.
    pub const MOUNTS: &str = "mounts";
    /// Users.
    pub const USERS: &str = "users";
    /// Groups of users.
    pub const GROUPS: &str = "groups";
    /// Checks of `etc/slipway/checks.json`.
    pub const CHECKS: &str = "checks";
    /// Hooks of `etc/slipway/hooks.json`.
    pub const HOOKS: &str = "hooks";

    /// All of them.
    pub const ALL: [&str; 11] = [
        REBOOT, INHIBITORS, SCHEMAS, UNITS, PACKAGES, FIREWALL, MOUNTS, USERS, GROUPS, CHECKS, HOOKS,
    ];

    /// What people read above a section.
    #[must_use]
    pub fn title(name: &str) -> &str {
        match name {
            REBOOT => "needs a reboot",
            INHIBITORS => "NixOS refuses to switch live",
            SCHEMAS => "migrations",
            other => other,
        }
    }
}

/// Changes of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanSection {
    /// The changes, by name.
    #[serde(default)]
    pub entries: Vec<PlanEntry>,
    /// The changes after them that were cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<CutRest>,
}

/// What was cut off a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CutRest {
    /// How many entries.
    pub entries: u64,
    /// Their digest.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanEntry {
    /// What changes: the name of a unit, a package, a user.
    pub name: String,
    /// How.
    pub change: PlannedChange,
    /// What it is before, such as a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it is after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Why, such as the keys of a unit file that differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PlannedChange {
    /// It is only in the new closure.
    Added,
    /// It is only in the live one.
    Removed,
    /// It is in both, and not the same.
    Changed,
    /// It has the same version and other content.
    Rebuilt,
    /// The unit is stopped.
    Stop,
    /// The unit is started.
    Start,
    /// The unit is stopped and started again.
    Restart,
    /// The unit is told to read its configuration again.
    Reload,
    /// The unit changed and goes on as it is until somebody restarts it.
    Keep,
    /// What only a newer program knows.
    #[serde(other)]
    Other,
}

impl PlannedChange {
    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Rebuilt => "rebuilt",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::Keep => "keep",
            Self::Other => "other",
        }
    }
}

impl PlanEntry {
    /// A change without more to say.
    #[must_use]
    pub fn new(name: impl Into<String>, change: PlannedChange) -> Self {
        Self {
            name: name.into(),
            change,
            before: None,
            after: None,
            why: None,
        }
    }
}

/// What an agent reports of a plan with every observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanReport {
    /// The plan's digest.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
    /// What ran when it was computed: the plan is of the switch from this to the release's closure.
    pub from: StorePath,
    /// Bytes that the live closure takes in the store.
    pub bytes_before: u64,
    /// Bytes that the new closure takes.
    pub bytes_after: u64,
    /// Bytes of those of its paths that the live closure does not have: the most that had to be fetched, unpacked.
    pub bytes_new: u64,
}

impl HostPlan {
    /// Puts entries into a section, in order.
    pub fn put(&mut self, section: &str, entries: impl IntoIterator<Item = PlanEntry>) {
        let into = &mut self.sections.entry(section.to_owned()).or_default().entries;
        into.extend(entries);
        into.sort();
        into.dedup();
        if into.is_empty() {
            self.sections.remove(section);
        }
    }

    /// The entries of a section that were not cut off.
    #[must_use]
    pub fn entries(&self, section: &str) -> &[PlanEntry] {
        self.sections
            .get(section)
            .map_or(&[], |section| section.entries.as_slice())
    }

    /// The sections in the order in which people read them; those that only a newer agent knows come last.
    pub fn in_order(&self) -> impl Iterator<Item = (&str, &PlanSection)> {
        let known = section::ALL
            .iter()
            .filter_map(|name| self.sections.get_key_value(*name));
        let newer = self
            .sections
            .iter()
            .filter(|(name, _)| !section::ALL.contains(&name.as_str()));
        known.chain(newer).map(|(name, found)| (name.as_str(), found))
    }

    /// Whether the host must reboot before everything of the closure runs.
    #[must_use]
    pub fn needs_reboot(&self) -> bool {
        self.sections.contains_key(section::REBOOT) || self.sections.contains_key(section::INHIBITORS)
    }
}

impl PlanSection {
    /// How many changes there are, also those that were cut off.
    #[must_use]
    pub fn count(&self) -> u64 {
        let cut = self.cut.as_ref().map_or(0, |cut| cut.entries);
        cut.saturating_add(self.entries.len() as u64)
    }
}

#[cfg(test)]
mod tests;
