//! Units of systemd: what NixOS' switch script does to those that run.
//!
//! Its rules are those of `switch-to-configuration-ng` in NixOS 25.05 and 26.05. Which units run is not looked at: that
//! differs from one minute to the next, and a plan must not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use slipway_domain::HostPlan;
use slipway_domain::host_plan::{PlanEntry, PlannedChange, section};

use super::files::{Place, StoreFiles};
use super::sides::sides;
use super::unit_file::{UnitDifference, UnitFile};

/// Where the units are in a closure.
pub(super) const FOLDER: &str = "etc/systemd/system";
/// What is a unit, by the ends of names.
const KINDS: [&str; 10] = [
    "automount",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
];
/// The most keys that are named as the reason.
const MOST_KEYS: usize = 6;

/// The units of a closure.
struct Units {
    files: BTreeMap<String, PathBuf>,
    /// Those that something that starts wants.
    wanted: BTreeSet<String>,
}

pub(super) fn compare(plan: &mut HostPlan, files: &StoreFiles, live: &Path, new: &Path) {
    let read = |root: &Path| Units::read(files, &root.join(FOLDER));
    let (live, new) = (read(live), read(new));
    let mut entries = Vec::new();
    for (name, old, file) in sides(&live.files, &new.files) {
        let entry = match (old, file) {
            (Some(old), Some(file)) => changed(files, name, old, file),
            (Some(old), None) => Some(removed(files, name, old)),
            (None, Some(_)) => new.wanted.contains(name).then(|| {
                let entry = PlanEntry::new(name, PlannedChange::Start);
                because(entry, "it is new")
            }),
            (None, None) => None,
        };
        entries.extend(entry);
    }
    let sockets = with_their_services(files, &entries, &live, &new);
    entries.extend(sockets);
    plan.put(section::UNITS, entries);
}

impl Units {
    fn read(files: &StoreFiles, folder: &Path) -> Self {
        let mut units = Self {
            files: BTreeMap::new(),
            wanted: BTreeSet::new(),
        };
        for (path, name) in files.entries(folder) {
            let Ok(name) = name.into_string() else {
                continue;
            };
            let kind = name.rsplit('.').next().unwrap_or_default();
            if matches!(kind, "wants" | "requires" | "upholds") {
                let wanted = files.entries(&path).into_iter();
                units
                    .wanted
                    .extend(wanted.filter_map(|(_, name)| name.into_string().ok()));
            } else if KINDS.contains(&kind) && !is_alias(&path) && !is_masked(files, &path) {
                units.files.insert(name, path);
            }
        }
        units
    }
}

/// Another name for a unit of the same folder.
fn is_alias(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target.is_relative() && target.components().count() == 1)
}

fn is_masked(files: &StoreFiles, path: &Path) -> bool {
    match files.place(path) {
        Place::Inside(found) => !found.exists(),
        Place::Outside(named) => named == Path::new("/dev/null"),
        Place::Nowhere => true,
    }
}

fn removed(files: &StoreFiles, name: &str, old: &Path) -> PlanEntry {
    let stops = UnitFile::read(files, old).is("Unit", "X-StopOnRemoval", true);
    let change = if stops {
        PlannedChange::Stop
    } else {
        PlannedChange::Keep
    };
    because(PlanEntry::new(name, change), "it is not in the release")
}

fn changed(files: &StoreFiles, name: &str, old: &Path, file: &Path) -> Option<PlanEntry> {
    let same = files.place(old) == files.place(file);
    let (old, new) = (UnitFile::read(files, old), UnitFile::read(files, file));
    if same && old == new {
        return None;
    }
    let kind = name.rsplit('.').next().unwrap_or_default();
    let (keys, change) = match old.compare(&new) {
        UnitDifference::None => return None,
        UnitDifference::Reload(keys) => (keys, PlannedChange::Reload),
        // Targets are started again whatever is in them, and slices follow the reload of systemd.
        UnitDifference::Restart(_) if matches!(kind, "target" | "slice") => return None,
        UnitDifference::Restart(keys) => (keys, restart(name, kind, &new)),
    };
    let mut why = keys
        .iter()
        .take(MOST_KEYS)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if keys.len() > MOST_KEYS {
        why.push_str(", …");
    }
    let oneshot = new
        .values("Service", "Type")
        .last()
        .is_some_and(|kind| kind == "oneshot");
    if oneshot && change != PlannedChange::Keep && !new.is("Service", "RemainAfterExit", false) {
        why.push_str("; only while it runs");
    }
    Some(because(PlanEntry::new(name, change), why))
}

/// What becomes of a unit whose file differs in more than what it can read again.
fn restart(name: &str, kind: &str, new: &UnitFile) -> PlannedChange {
    match kind {
        "mount" if matches!(name, "-.mount" | "nix.mount") => PlannedChange::Reload,
        "mount" => PlannedChange::Restart,
        // The script leaves them as they are, except together with their services.
        "socket" => PlannedChange::Keep,
        _ if new.is("Service", "X-ReloadIfChanged", false) => PlannedChange::Reload,
        _ if !new.is("Service", "X-RestartIfChanged", true)
            || new.is("Unit", "RefuseManualStop", false)
            || new.is("Unit", "X-OnlyManualStart", false) =>
        {
            PlannedChange::Keep
        }
        _ => PlannedChange::Restart,
    }
}

/// Sockets that are restarted because their services are.
fn with_their_services(
    files: &StoreFiles,
    entries: &[PlanEntry],
    live: &Units,
    new: &Units,
) -> Vec<PlanEntry> {
    let mut sockets = BTreeMap::new();
    let restarted = entries
        .iter()
        .filter(|entry| entry.change == PlannedChange::Restart);
    for service in restarted {
        let (Some(base), Some(file)) = (
            service.name.strip_suffix(".service"),
            new.files.get(&service.name),
        ) else {
            continue;
        };
        let unit = UnitFile::read(files, file);
        if !unit.is("Service", "X-StopIfChanged", true) {
            continue;
        }
        let named = unit
            .values("Service", "Sockets")
            .iter()
            .flat_map(|value| value.split_whitespace());
        let mut own: Vec<String> = named.map(ToOwned::to_owned).collect();
        if own.is_empty() {
            own.push(format!("{base}.socket"));
        }
        let own = own
            .into_iter()
            .filter(|socket| live.files.contains_key(socket) && new.files.contains_key(socket));
        sockets.extend(own.map(|socket| (socket, service.name.clone())));
    }
    let listed: BTreeSet<&String> = entries.iter().map(|entry| &entry.name).collect();
    let sockets = sockets.into_iter().filter(|(socket, _)| !listed.contains(socket));
    let entry = |(socket, service): (String, String)| {
        because(
            PlanEntry::new(socket, PlannedChange::Restart),
            format!("with {service}"),
        )
    };
    sockets.map(entry).collect()
}

fn because(mut entry: PlanEntry, why: impl Into<String>) -> PlanEntry {
    entry.why = Some(why.into());
    entry
}
