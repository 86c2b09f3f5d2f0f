//! The firewall: lines of the scripts and rules that its units name.

use std::collections::BTreeMap;
use std::path::Path;

use slipway_domain::HostPlan;
use slipway_domain::host_plan::{PlanEntry, PlannedChange, section};

use super::files::{StoreFiles, store_files, store_name, without_hashes};
use super::units::FOLDER;

/// NixOS has the one or the other.
const UNITS: [&str; 2] = ["firewall.service", "nftables.service"];
/// What their files are named by.
const NAMES: [&str; 2] = ["firewall-", "nftables-"];

pub(super) fn compare(plan: &mut HostPlan, files: &StoreFiles, live: &Path, new: &Path) {
    let (before, after) = (rules(files, live), rules(files, new));
    let (old, new) = (count(&before), count(&after));
    let only = |one: &BTreeMap<&str, usize>, other: &BTreeMap<&str, usize>, change| -> Vec<PlanEntry> {
        let more = one
            .iter()
            .filter(|(line, times)| other.get(*line).copied().unwrap_or(0) < **times);
        more.map(|(line, _)| PlanEntry::new(*line, change)).collect()
    };
    let mut entries = only(&old, &new, PlannedChange::Removed);
    entries.extend(only(&new, &old, PlannedChange::Added));
    if entries.is_empty() && before != after {
        entries.push(PlanEntry::new("the order of the rules", PlannedChange::Changed));
    }
    plan.put(section::FIREWALL, entries);
}

/// The lines of all files that the units name, in order.
fn rules(files: &StoreFiles, root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for unit in UNITS {
        let unit = files.text(&root.join(FOLDER).join(unit)).unwrap_or_default();
        let named =
            store_files(&unit).filter(|file| NAMES.iter().any(|name| store_name(file).starts_with(name)));
        let mut seen = Vec::new();
        for file in named {
            if seen.contains(&file) {
                continue;
            }
            seen.push(file);
            let rules = files.text(Path::new(file)).unwrap_or_default();
            let rules = rules.lines().map(str::trim);
            let rules = rules.filter(|line| !line.is_empty() && !line.starts_with('#'));
            lines.extend(rules.map(without_hashes));
        }
    }
    lines
}

fn count(lines: &[String]) -> BTreeMap<&str, usize> {
    let mut counted = BTreeMap::new();
    for line in lines {
        *counted.entry(line.as_str()).or_insert(0) += 1;
    }
    counted
}
