//! File systems and swap, by `etc/fstab`.

use std::collections::BTreeMap;
use std::path::Path;

use slipway_domain::HostPlan;
use slipway_domain::host_plan::{PlanEntry, section};

use super::files::StoreFiles;
use super::sides::{change, sides};

pub(super) fn compare(plan: &mut HostPlan, files: &StoreFiles, live: &Path, new: &Path) {
    let read = |root: &Path| parse(&files.text(&root.join("etc/fstab")).unwrap_or_default());
    let (before, after) = (read(live), read(new));
    let entries = sides(&before, &after).filter_map(|(name, old, new)| {
        Some(PlanEntry {
            before: old.cloned(),
            after: new.cloned(),
            ..PlanEntry::new(name, change(old, new)?)
        })
    });
    plan.put(section::MOUNTS, entries);
}

/// By mount point: device, type and options. Swap is named by its device.
fn parse(fstab: &str) -> BTreeMap<String, String> {
    let lines = fstab.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mounts = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let (device, place, kind) = (words.next()?, words.next()?, words.next()?);
        let options = words.next().unwrap_or_default();
        Some(match kind {
            "swap" => (format!("swap {device}"), options.to_owned()),
            _ => (
                place.to_owned(),
                format!("{device} {kind} {options}").trim_end().to_owned(),
            ),
        })
    });
    mounts.collect()
}
