//! What a closure says to Slipway: checks, hooks and the schemas of its stacks' databases.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use slipway_domain::HostPlan;
use slipway_domain::host_plan::{PlanEntry, PlannedChange, section};

use super::files::{StoreFiles, without_hashes};
use super::sides::{change, sides};
use crate::{checks, hooks};

/// Where a closure says which migrations its stacks bring.
const SCHEMAS: &str = "etc/slipway/schemas.json";
/// The most migrations that are named.
const MOST_NAMED: usize = 5;

/// The schema of a stack's database.
#[derive(Debug, Default, Deserialize)]
struct Schema {
    /// The migrations, the oldest first.
    #[serde(default)]
    migrations: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Schemas {
    #[serde(default)]
    stacks: BTreeMap<String, Schema>,
}

pub(super) fn compare(plan: &mut HostPlan, files: &StoreFiles, live: &Path, new: &Path) {
    let named = |file: &str, lists: &[&str]| {
        let before = entries(files, &live.join(file), lists);
        differences(&before, &entries(files, &new.join(file), lists))
    };
    plan.put(section::CHECKS, named(checks::FILE, &["checks"]));
    plan.put(
        section::HOOKS,
        named(hooks::FILE, &["before_activate", "after_commit"]),
    );
    plan.put(section::SCHEMAS, schemas(files, live, new));
}

/// The entries of a file's lists, by list and name.
fn entries(files: &StoreFiles, file: &Path, lists: &[&str]) -> BTreeMap<String, String> {
    let parsed = files
        .text(file)
        .and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let parsed = parsed.unwrap_or_default();
    let mut found = BTreeMap::new();
    for list in lists {
        for entry in parsed.get(list).and_then(Value::as_array).into_iter().flatten() {
            let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
            let name = if lists.len() > 1 {
                format!("{list}: {name}")
            } else {
                name.to_owned()
            };
            found.insert(name, without_hashes(&entry.to_string()));
        }
    }
    found
}

fn differences(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<PlanEntry> {
    let entries = sides(before, after);
    entries
        .filter_map(|(name, old, new)| Some(PlanEntry::new(name, change(old, new)?)))
        .collect()
}

/// Migrations that only the new closure has. One that the new closure lacks was run before, and stays.
fn schemas(files: &StoreFiles, live: &Path, new: &Path) -> Vec<PlanEntry> {
    let read = |root: &Path| -> Schemas {
        let parsed = files
            .text(&root.join(SCHEMAS))
            .and_then(|text| serde_json::from_str(&text).ok());
        parsed.unwrap_or_default()
    };
    let (before, after) = (read(live), read(new));
    let none = Schema::default();
    let entries = sides(&before.stacks, &after.stacks).filter_map(|(name, old, new)| {
        let (had, has) = (old.unwrap_or(&none), new.unwrap_or(&none));
        let fresh: Vec<&str> = has
            .migrations
            .iter()
            .filter(|one| !had.migrations.contains(one))
            .map(String::as_str)
            .collect();
        let gone = had
            .migrations
            .iter()
            .filter(|one| !has.migrations.contains(one))
            .count();
        let change = match (old, new) {
            (None, Some(_)) => PlannedChange::Added,
            (Some(_), None) => PlannedChange::Removed,
            _ if fresh.is_empty() && gone == 0 => return None,
            _ => PlannedChange::Changed,
        };
        let mut why = match (new, fresh.len(), gone) {
            (None, ..) => "its database stays as it is".to_owned(),
            (_, 0, gone) => format!("{gone} migrations that ran are not in the release"),
            (_, 1, _) => format!("1 migration: {}", fresh[0]),
            (_, count, _) => format!(
                "{count} migrations: {}",
                fresh[..count.min(MOST_NAMED)].join(", ")
            ),
        };
        if fresh.len() > MOST_NAMED {
            why.push_str(", …");
        }
        Some(PlanEntry {
            before: had.migrations.last().cloned(),
            after: has.migrations.last().cloned(),
            why: Some(why),
            ..PlanEntry::new(name, change)
        })
    });
    entries.collect()
}
