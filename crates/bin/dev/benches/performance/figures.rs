//! What was measured, as it is committed: docs/performance.json.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// How much worse a figure may be than the committed one before `--compare` names it.
const NOTABLE: f64 = 1.25;

/// One run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Where it ran, and from what.
    pub(crate) machine: BTreeMap<String, String>,
    /// By part and name.
    pub(crate) parts: BTreeMap<String, BTreeMap<String, Figure>>,
    /// Points of what has a curve: the size, and what it took.
    pub(crate) curves: BTreeMap<String, Vec<(u32, f64)>>,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// Whether more of it is better.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) more_is_better: bool,
}

impl Figure {
    /// A cost, of which less is better.
    pub(crate) fn cost(value: f64, unit: &str) -> Self {
        Self {
            value,
            unit: unit.to_owned(),
            more_is_better: false,
        }
    }

    /// A rate, of which more is better.
    pub(crate) fn rate(value: f64, unit: &str) -> Self {
        Self {
            more_is_better: true,
            ..Self::cost(value, unit)
        }
    }

    /// How many times worse it is than `before`.
    fn worse_than(&self, before: &Self) -> f64 {
        let (now, before) = (self.value.max(f64::MIN_POSITIVE), before.value);
        if self.more_is_better {
            before / now
        } else {
            now / before.max(f64::MIN_POSITIVE)
        }
    }
}

impl Figures {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("cannot understand {}", file.display()))
    }

    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    pub(crate) fn add(&mut self, part: &str, name: &str, figure: Figure) {
        let part = self.parts.entry(part.to_owned()).or_default();
        part.insert(name.to_owned(), figure);
    }

    pub(crate) fn get(&self, part: &str, name: &str) -> Option<&Figure> {
        self.parts.get(part)?.get(name)
    }

    /// Takes the parts and curves that were measured anew.
    pub(crate) fn renew(&mut self, newer: Self) {
        self.machine = newer.machine;
        self.parts.extend(newer.parts);
        self.curves.extend(newer.curves);
    }

    /// What is notably worse than `before`, as lines for people.
    pub(crate) fn worse_than(&self, before: &Self) -> Vec<String> {
        let figures = self
            .parts
            .iter()
            .flat_map(|(part, figures)| figures.iter().map(move |(name, figure)| (part, name, figure)));
        let worse = figures.filter_map(|(part, name, figure)| {
            let known = before.get(part, name)?;
            let ratio = figure.worse_than(known);
            (ratio > NOTABLE).then(|| {
                format!(
                    "{part}, {name}: {ratio:.2} times worse ({:.1} {unit}, before {:.1} {unit})",
                    figure.value,
                    known.value,
                    unit = figure.unit
                )
            })
        });
        worse.collect()
    }
}

/// The middle one of several measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What so many percent of the measurements stay below.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or(f64::NAN)
}
