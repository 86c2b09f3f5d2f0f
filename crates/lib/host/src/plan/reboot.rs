//! What only a boot changes, and what NixOS refuses to change on a running system.

use std::collections::BTreeMap;
use std::path::Path;

use slipway_domain::HostPlan;
use slipway_domain::host_plan::{PlanEntry, PlannedChange, section};

use super::files::{Place, StoreFiles, store_name, without_hashes};
use super::units::FOLDER;

/// Compares with what this boot began with, as far as only a boot changes it.
pub(super) fn compare(plan: &mut HostPlan, files: &StoreFiles, booted: &Path, live: &Path, new: &Path) {
    let mut entries = Vec::new();
    for part in ["kernel", "initrd", "kernel-modules"] {
        let (before, after) = (target(files, &booted.join(part)), target(files, &new.join(part)));
        if before != after {
            entries.extend(change(
                part,
                before.as_deref().map(store_name),
                after.as_deref().map(store_name),
            ));
        }
    }
    // Every rebuild of it has another path; the switch re-executes it, and only another version matters.
    let systemd = |root: &Path| target(files, &root.join("systemd")).map(|path| store_name(&path).to_owned());
    let (before, after) = (systemd(booted), systemd(new));
    if before != after {
        entries.extend(change("systemd", before.as_deref(), after.as_deref()));
    }
    let params = |root: &Path| {
        let params = files.text(&root.join("kernel-params"));
        params.map(|text| without_hashes(text.trim()))
    };
    let (before, after) = (params(booted), params(new));
    if before != after {
        entries.extend(change("kernel-params", before.as_deref(), after.as_deref()));
    }
    let (before, after) = (bus(files, live), bus(files, new));
    if before != after {
        entries.extend(change("dbus", before, after));
    }
    plan.put(section::REBOOT, entries);
    plan.put(section::INHIBITORS, inhibitors(files, live, new));
}

/// A part that one of them lacks is no reason to reboot: that one is no NixOS, or boots in another way.
fn change(part: &str, before: Option<&str>, after: Option<&str>) -> Option<PlanEntry> {
    let (before, after) = (before?, after?);
    // The same words say nothing: it was built again.
    let words = |text: &str| (before != after).then(|| text.to_owned());
    Some(PlanEntry {
        before: words(before),
        after: words(after),
        ..PlanEntry::new(part, PlannedChange::Changed)
    })
}

fn target(files: &StoreFiles, path: &Path) -> Option<String> {
    let found = match files.place(path) {
        Place::Inside(found) => found.exists().then_some(found)?,
        Place::Outside(named) => named,
        Place::Nowhere => return None,
    };
    found.into_os_string().into_string().ok()
}

/// The implementation of the system's bus.
fn bus(files: &StoreFiles, root: &Path) -> Option<&'static str> {
    let unit = target(files, &root.join(FOLDER).join("dbus.service"))?;
    let program = files.text(Path::new(&unit))?;
    let broker = unit.contains("dbus-broker") || program.contains("dbus-broker-launch");
    Some(if broker { "broker" } else { "dbus" })
}

/// What is in `switch-inhibitors` of both and differs, as NixOS 26.05 checks it before a switch. The interface of `init` is
/// checked by the switch script itself.
fn inhibitors(files: &StoreFiles, live: &Path, new: &Path) -> Vec<PlanEntry> {
    let read = |root: &Path| -> BTreeMap<String, String> {
        let mut found: BTreeMap<String, String> = files
            .text(&root.join("switch-inhibitors"))
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let interface = files.text(&root.join("init-interface-version"));
        found.extend(interface.map(|version| ("init-interface-version".to_owned(), version)));
        found
    };
    let (live, new) = (read(live), read(new));
    let differing = live.iter().filter_map(|(name, before)| {
        let after = new.get(name).filter(|after| *after != before)?;
        change(name, Some(&without_hashes(before)), Some(&without_hashes(after)))
    });
    differing.collect()
}
