//! Users and groups, by what NixOS hands to the program that makes them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use slipway_domain::HostPlan;
use slipway_domain::host_plan::{PlanEntry, PlannedChange, section};

use super::files::{StoreFiles, store_files, without_hashes};
use super::sides::sides;
use super::units::FOLDER;

/// `users-groups.json` of the activation script, or `userborn.json` of userborn's unit.
#[derive(Default, Deserialize)]
struct Accounts {
    #[serde(default)]
    users: Vec<BTreeMap<String, Value>>,
    #[serde(default)]
    groups: Vec<BTreeMap<String, Value>>,
}

pub(super) fn compare(plan: &mut HostPlan, files: &StoreFiles, live: &Path, new: &Path) {
    let (live, new) = (Accounts::read(files, live), Accounts::read(files, new));
    plan.put(section::USERS, differences(&live.users, &new.users));
    plan.put(section::GROUPS, differences(&live.groups, &new.groups));
}

impl Accounts {
    fn read(files: &StoreFiles, root: &Path) -> Self {
        let places = [root.join("activate"), root.join(FOLDER).join("userborn.service")];
        let read = places.iter().find_map(|place| {
            let script = files.text(place)?;
            let file = store_files(&script)
                .find(|file| file.ends_with("-users-groups.json") || file.ends_with("-userborn.json"))?;
            serde_json::from_str(&files.text(Path::new(file))?).ok()
        });
        read.unwrap_or_default()
    }
}

/// Values are not shown: some are hashes of passwords.
fn differences(before: &[BTreeMap<String, Value>], after: &[BTreeMap<String, Value>]) -> Vec<PlanEntry> {
    let (before, after) = (by_name(before), by_name(after));
    let entries = sides(&before, &after).filter_map(|(name, old, new)| match (old, new) {
        (None, _) => Some(PlanEntry::new(*name, PlannedChange::Added)),
        (_, None) => Some(PlanEntry::new(*name, PlannedChange::Removed)),
        (Some(old), Some(new)) => {
            let words = |value: Option<&Value>| value.map(|value| without_hashes(&value.to_string()));
            let changed = sides(old, new).filter(|(_, old, new)| words(*old) != words(*new));
            let changed: Vec<&str> = changed.map(|(key, ..)| key.as_str()).collect();
            (!changed.is_empty()).then(|| PlanEntry {
                why: Some(changed.join(", ")),
                ..PlanEntry::new(*name, PlannedChange::Changed)
            })
        }
    });
    entries.collect()
}

fn by_name(accounts: &[BTreeMap<String, Value>]) -> BTreeMap<&str, &BTreeMap<String, Value>> {
    let named = accounts
        .iter()
        .filter_map(|account| Some((account.get("name")?.as_str()?, account)));
    named.collect()
}
