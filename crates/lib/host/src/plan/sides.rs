//! Two sides of a comparison, name by name.

use std::collections::{BTreeMap, BTreeSet};

use slipway_domain::host_plan::PlannedChange;

/// Every name of either side in order, with what each side has under it.
pub(super) fn sides<'a, K: Ord, V>(
    before: &'a BTreeMap<K, V>,
    after: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Option<&'a V>, Option<&'a V>)> {
    let names: BTreeSet<&K> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .map(|name| (name, before.get(name), after.get(name)))
}

/// How they differ; none where they are equal.
pub(super) fn change<V: PartialEq>(before: Option<&V>, after: Option<&V>) -> Option<PlannedChange> {
    match (before, after) {
        (None, _) => Some(PlannedChange::Added),
        (_, None) => Some(PlannedChange::Removed),
        (before, after) => (before != after).then_some(PlannedChange::Changed),
    }
}
