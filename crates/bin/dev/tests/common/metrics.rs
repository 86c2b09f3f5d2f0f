//! Metrics in the documentation and in answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A metric: its name and type.
type Metric = (String, String);

/// The rows of the table, by program.
pub(crate) fn documented(page: &Path) -> BTreeMap<String, BTreeSet<Metric>> {
    let text = std::fs::read_to_string(page).unwrap();
    let mut table: BTreeMap<String, BTreeSet<Metric>> = BTreeMap::new();
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let metric = (cells[1].trim_matches('`').to_owned(), cells[2].to_owned());
        let programs = cells[4].replace("all", "api, worker, agent, backup");
        for program in programs.split(", ") {
            table
                .entry(program.to_owned())
                .or_default()
                .insert(metric.clone());
        }
    }
    table
}

/// The metrics of an answer in Prometheus' text form.
pub(crate) fn shown(text: &str) -> BTreeSet<Metric> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let metrics = types.filter_map(|line| line.split_once(' '));
    metrics
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}
