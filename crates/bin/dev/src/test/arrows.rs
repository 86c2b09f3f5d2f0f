//! Who may depend on whom: the arrows of docs/architecture.md, held against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Direct arrows. A crate may also use everything that its arrows lead to: a user of the store may use the
/// domain.
const ARROWS: [(&str, &[&str]); 27] = [
    ("slipway-text", &[]),
    ("slipway-domain", &["slipway-text"]),
    ("slipway-durable", &[]),
    ("slipway-process", &[]),
    ("slipway-fixtures", &[]),
    // Agent, control plane and command line read manifests by one rule.
    ("slipway-release", &["slipway-domain"]),
    ("slipway-sim", &["slipway-domain"]),
    ("slipway-wire", &["slipway-domain"]),
    ("slipway-settings", &["slipway-text"]),
    ("slipway-telemetry", &["slipway-domain", "slipway-settings"]),
    (
        "slipway-store",
        &["slipway-release", "slipway-settings", "slipway-wire"],
    ),
    ("slipway-wake", &["slipway-domain", "slipway-settings"]),
    ("slipway-webhook", &[]),
    // Its pages ask the API's own router, so they need nothing of the store.
    ("slipway-console", &["slipway-text", "slipway-wire"]),
    // It gives nobody rights, so it knows nothing of roles.
    ("slipway-oidc", &["slipway-text"]),
    ("slipway-client", &["slipway-webhook", "slipway-wire"]),
    ("slipway-verify", &["slipway-client"]),
    // The outbox is the store's.
    (
        "slipway-messages",
        &["slipway-store", "slipway-telemetry", "slipway-webhook"],
    ),
    (
        "slipway-host",
        &["slipway-durable", "slipway-process", "slipway-release"],
    ),
    // For the spans of an attempt, which hang below its rollout's.
    ("slipway-attempt", &["slipway-host", "slipway-telemetry"]),
    (
        "slipway-testkit",
        &[
            "slipway-store",
            "slipway-wake",
            "slipway-client",
            "slipway-host",
            "slipway-telemetry",
        ],
    ),
    (
        "slipway-api",
        &[
            "slipway-console",
            "slipway-oidc",
            "slipway-release",
            "slipway-store",
            "slipway-wake",
            "slipway-telemetry",
        ],
    ),
    (
        "slipway-worker",
        &["slipway-messages", "slipway-wake", "slipway-telemetry"],
    ),
    // Telemetry as in every process; the store and Redis are the control plane's alone.
    (
        "slipway-agent",
        &["slipway-attempt", "slipway-client", "slipway-telemetry"],
    ),
    // Works for any stack's database, so nothing of the control plane.
    (
        "slipway-backup",
        &[
            "slipway-telemetry",
            "slipway-durable",
            "slipway-process",
            "slipway-wire",
        ],
    ),
    (
        "slipway",
        &[
            "slipway-verify",
            "slipway-durable",
            "slipway-release",
            "slipway-telemetry",
        ],
    ),
    ("slipway-dev", &["slipway-client", "slipway-process"]),
];

/// What only tests may use.
const TEST_ONLY: [&str; 3] = ["slipway-fixtures", "slipway-sim", "slipway-testkit"];

/// The part of `cargo metadata` that matters here.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    /// The workspace's members, given `--no-deps`.
    pub packages: Vec<Package>,
}

/// One member.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Package name.
    pub name: String,
    /// Path of its manifest.
    pub manifest_path: String,
    /// What it declares.
    pub dependencies: Vec<ManifestDependency>,
}

/// One declared dependency.
#[derive(Debug, Deserialize)]
pub struct ManifestDependency {
    /// Package name.
    pub name: String,
    /// None for a normal one, else `dev` or `build`.
    pub kind: Option<String>,
    /// The folder of a dependency by path: one of ours.
    pub path: Option<String>,
}

/// Reads what `cargo metadata --no-deps --format-version 1` printed.
pub fn parse(json: &str) -> Result<Metadata> {
    serde_json::from_str(json).context("cannot read what `cargo metadata` printed")
}

/// Every arrow that the design does not have, as sentences.
#[must_use]
pub fn violations(metadata: &Metadata) -> Vec<String> {
    let table: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut found = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        if !table.contains_key(name) {
            found.push(format!(
                "{name} has no place in the design: add its arrows to test/arrows.rs and the docs"
            ));
            continue;
        }
        let mut allowed = BTreeSet::new();
        reach(name, &table, &mut allowed);
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| dependency.path.is_some())
        {
            let other = dependency.name.as_str();
            let in_tests = dependency.kind.as_deref() == Some("dev");
            if !(allowed.contains(other) || (in_tests && is_test_help(other, name, &table))) {
                let kind = dependency
                    .kind
                    .as_deref()
                    .map(|kind| format!(" ({kind})"))
                    .unwrap_or_default();
                found.push(format!("{name} must not depend on {other}{kind}"));
            }
        }
    }
    found
}

fn is_test_help(other: &str, name: &str, table: &BTreeMap<&str, &[&str]>) -> bool {
    // A crate may use itself with a test feature, and everything that the test kit leads to.
    let mut help = BTreeSet::from([name]);
    for helper in TEST_ONLY {
        help.insert(helper);
        reach(helper, table, &mut help);
    }
    help.contains(other)
}

fn reach<'a>(from: &str, table: &BTreeMap<&'a str, &'a [&'a str]>, seen: &mut BTreeSet<&'a str>) {
    for next in table.get(from).copied().unwrap_or_default() {
        if seen.insert(next) {
            reach(next, table, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, other: &str, kind: Option<&str>) -> Vec<String> {
        violations(&Metadata {
            packages: vec![Package {
                name: name.to_owned(),
                manifest_path: String::new(),
                dependencies: vec![ManifestDependency {
                    name: other.to_owned(),
                    kind: kind.map(String::from),
                    path: Some(String::new()),
                }],
            }],
        })
    }

    #[test]
    fn the_arrows_of_the_design_are_allowed_with_what_they_lead_to() {
        for (name, others) in ARROWS {
            for other in others {
                assert_eq!(check(name, other, None), [""; 0], "{name} -> {other}");
            }
        }
        assert_eq!(check("slipway-worker", "slipway-domain", None), [""; 0]);
        assert_eq!(check("slipway-agent", "slipway-settings", None), [""; 0]);
    }

    #[test]
    fn what_the_design_forbids_is_found() {
        for (name, other) in [
            ("slipway-agent", "slipway-store"),
            ("slipway-agent", "slipway-wake"),
            ("slipway-domain", "slipway-wire"),
            ("slipway-settings", "slipway-domain"),
            ("slipway-wire", "slipway-store"),
            ("slipway-worker", "slipway-client"),
            ("slipway", "slipway-store"),
            ("slipway-store", "slipway-testkit"),
        ] {
            assert_eq!(
                check(name, other, None),
                [format!("{name} must not depend on {other}")]
            );
        }
    }

    #[test]
    fn no_program_depends_on_a_program_not_even_in_tests() {
        let programs = [
            "slipway-api",
            "slipway-worker",
            "slipway-agent",
            "slipway-backup",
            "slipway",
            "slipway-dev",
        ];
        for name in programs {
            for other in programs.iter().filter(|other| **other != name) {
                assert_eq!(check(name, other, None).len(), 1, "{name} -> {other}");
                assert_eq!(
                    check(name, other, Some("dev")).len(),
                    1,
                    "{name} -> {other} in tests"
                );
            }
        }
    }

    #[test]
    fn tests_may_use_the_test_kit() {
        for helper in TEST_ONLY {
            assert_eq!(check("slipway-agent", helper, Some("dev")), [""; 0]);
            assert_eq!(check("slipway-agent", helper, None).len(), 1);
        }
    }

    #[test]
    fn a_crate_that_the_design_does_not_know_is_named() {
        assert!(check("slipway-new", "slipway-domain", None)[0].contains("slipway-new has no place"));
    }
}
