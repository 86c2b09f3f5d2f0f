//! The base score of a vector of CVSS 3, by [its specification](https://www.first.org/cvss/v3.1/specification-document).

use std::collections::HashMap;

/// The score of `CVSS:3.1/AV:N/AC:L/…`; none for another version, or where something is missing.
pub(super) fn base_score(vector: &str) -> Option<f64> {
    let metrics = vector
        .strip_prefix("CVSS:3.1/")
        .or_else(|| vector.strip_prefix("CVSS:3.0/"))?;
    let values: HashMap<&str, &str> = metrics
        .split('/')
        .filter_map(|metric| metric.split_once(':'))
        .collect();
    let pick = |metric: &str, weights: &[(&str, f64)]| {
        let value = values.get(metric)?;
        weights
            .iter()
            .find(|(name, _)| name == value)
            .map(|(_, weight)| *weight)
    };
    let changed = *values.get("S")? == "C";
    let effect = [("H", 0.56), ("L", 0.22), ("N", 0.0)];
    let without = (1.0 - pick("C", &effect)?) * (1.0 - pick("I", &effect)?) * (1.0 - pick("A", &effect)?);
    let effect = 1.0 - without;
    let privileges = if changed {
        [("N", 0.85), ("L", 0.68), ("H", 0.5)]
    } else {
        [("N", 0.85), ("L", 0.62), ("H", 0.27)]
    };
    let exploitability = 8.22
        * pick("AV", &[("N", 0.85), ("A", 0.62), ("L", 0.55), ("P", 0.2)])?
        * pick("AC", &[("L", 0.77), ("H", 0.44)])?
        * pick("PR", &privileges)?
        * pick("UI", &[("N", 0.85), ("R", 0.62)])?;
    let impact = if changed {
        7.52 * (effect - 0.029) - 3.25 * (effect - 0.02).powi(15)
    } else {
        6.42 * effect
    };
    if impact <= 0.0 {
        return Some(0.0);
    }
    let factor = if changed { 1.08 } else { 1.0 };
    let score = (factor * (impact + exploitability)).min(10.0);
    // Upwards to a tenth, past what binary fractions add.
    Some(((score * 100_000.0).round() / 10_000.0).ceil() / 10.0)
}
