//! Packages, by the names of store paths as `nix store diff-closures` reads them, and sizes.

use std::collections::{BTreeMap, BTreeSet};

use slipway_domain::host_plan::{PlanEntry, PlannedChange, section};
use slipway_domain::{HostPlan, StorePath};

use super::files::store_name;
use super::sides::sides;
use crate::nix::PathInfo;

/// Bytes of two closures in the store.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) before: u64,
    pub(super) after: u64,
    /// Of paths that only the new one has.
    pub(super) new: u64,
}

/// What a closure has of one package.
#[derive(Debug, Default, PartialEq, Eq)]
struct Package<'a> {
    versions: BTreeSet<&'a str>,
    paths: BTreeSet<&'a str>,
}

/// Compares packages. The closures themselves are none: their names are those of the hosts.
pub(super) fn compare(
    plan: &mut HostPlan,
    live: &[PathInfo],
    new: &[PathInfo],
    tops: &[&StorePath],
) -> Sizes {
    let tops: BTreeSet<&str> = tops.iter().map(|top| top.as_str()).collect();
    let (before, after) = (packages(live, &tops), packages(new, &tops));
    let entries = sides(&before, &after).filter_map(|(name, old, new)| {
        let change = match (old, new) {
            (None, _) => PlannedChange::Added,
            (_, None) => PlannedChange::Removed,
            (Some(old), Some(new)) if old.versions != new.versions => PlannedChange::Changed,
            (Some(old), Some(new)) if old.paths != new.paths => PlannedChange::Rebuilt,
            _ => return None,
        };
        let versions = |package: &Package<'_>| {
            let versions: Vec<&str> = package.versions.iter().copied().collect();
            versions.join(", ")
        };
        Some(PlanEntry {
            before: old.map(versions),
            after: new.map(versions).filter(|_| change != PlannedChange::Rebuilt),
            ..PlanEntry::new(*name, change)
        })
    });
    plan.put(section::PACKAGES, entries);
    let there: BTreeSet<&str> = live.iter().map(|path| path.path.as_str()).collect();
    let sum = |paths: &mut dyn Iterator<Item = &PathInfo>| {
        paths.map(|path| path.nar_size).fold(0, u64::saturating_add)
    };
    Sizes {
        before: sum(&mut live.iter()),
        after: sum(&mut new.iter()),
        new: sum(&mut new.iter().filter(|path| !there.contains(path.path.as_str()))),
    }
}

fn packages<'a>(paths: &'a [PathInfo], tops: &BTreeSet<&str>) -> BTreeMap<&'a str, Package<'a>> {
    let mut packages: BTreeMap<&str, Package<'_>> = BTreeMap::new();
    for path in paths.iter().filter(|path| !tops.contains(path.path.as_str())) {
        let (name, version) = name_and_version(without_output(store_name(&path.path)));
        // What has no version is a file of the configuration, and shows elsewhere.
        if version.is_empty() || name == "nixos-system" || name.starts_with("nixos-system-") {
            continue;
        }
        let package = packages.entry(name).or_default();
        package.versions.insert(version);
        package.paths.insert(&path.path);
    }
    packages
}

/// The version begins at the first dash that no letter follows.
fn name_and_version(name: &str) -> (&str, &str) {
    let at = name.match_indices('-').find(|(at, _)| {
        let next = name[at + 1..].chars().next();
        next.is_some_and(|next| !next.is_alphabetic())
    });
    at.map_or((name, ""), |(at, _)| (&name[..at], &name[at + 1..]))
}

/// Outputs such as `-lib` and `-doc` belong to the package.
fn without_output(name: &str) -> &str {
    const OUTPUTS: [&str; 12] = [
        "bin", "data", "debug", "dev", "dist", "doc", "info", "lib", "man", "out", "terminfo", "dnsutils",
    ];
    match name.rsplit_once('-') {
        Some((rest, output)) if OUTPUTS.contains(&output) => rest,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_as_nix_does() {
        for (name, expected) in [
            ("nginx-1.26.2", ("nginx", "1.26.2")),
            ("nginx-1.26.2-doc", ("nginx", "1.26.2")),
            ("python3.12-requests-2.32", ("python3.12-requests", "2.32")),
            ("unit-nginx.service", ("unit-nginx.service", "")),
            ("linux-6.12.30-modules", ("linux", "6.12.30-modules")),
            ("etc", ("etc", "")),
            ("a-", ("a-", "")),
        ] {
            assert_eq!(name_and_version(without_output(name)), expected, "{name}");
        }
    }
}
