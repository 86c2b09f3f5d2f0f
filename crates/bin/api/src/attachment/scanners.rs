//! What scanners write in formats of their own: grype, Trivy, vulnix and cargo-audit.

use std::collections::HashMap;

use cvss::Cvss;
use serde::Deserialize;
use slipway_domain::Severity;
use slipway_wire::attachment::Vulnerability;

use super::value::{cut, named, or_nothing, some};
use super::{Found, bounded};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Grype {
    #[serde(deserialize_with = "or_nothing")]
    matches: Vec<GrypeMatch>,
    #[serde(rename = "ignoredMatches", deserialize_with = "or_nothing")]
    ignored: Vec<GrypeMatch>,
    #[serde(deserialize_with = "or_nothing")]
    descriptor: Descriptor,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GrypeMatch {
    vulnerability: GrypeVulnerability,
    artifact: Package,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GrypeVulnerability {
    id: String,
    severity: Option<String>,
    #[serde(deserialize_with = "or_nothing")]
    fix: Fix,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fix {
    #[serde(deserialize_with = "or_nothing")]
    versions: Vec<String>,
    state: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Package {
    name: String,
    version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Descriptor {
    version: Option<String>,
}

/// `grype -o json`.
pub(super) fn of_grype(report: &Grype) -> Found<Vulnerability> {
    let version = report.descriptor.version.as_deref().unwrap_or_default();
    let matches = report.matches.iter().map(|one| (one, false));
    let ignored = report.ignored.iter().map(|one| (one, true));
    let all = bounded(matches.chain(ignored).map(|(one, dismissed)| {
        let fix = &one.vulnerability.fix;
        let will_not = fix.state.as_deref() == Some("wont-fix");
        Vulnerability {
            dismissed,
            severity: severity(one.vulnerability.severity.as_deref()),
            id: cut(&one.vulnerability.id),
            component: Some(named(&one.artifact.name, one.artifact.version.as_deref())),
            fixed_in: some(Some(&fix.versions.join(", "))),
            state: match (dismissed, will_not) {
                (true, _) => Some("ignored".to_owned()),
                (false, true) => Some("will not fix".to_owned()),
                (false, false) => None,
            },
        }
    }));
    Ok((cut(format!("grype {version}").trim_end()), all?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Trivy {
    #[serde(deserialize_with = "or_nothing")]
    results: Vec<TrivyResult>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct TrivyResult {
    #[serde(deserialize_with = "or_nothing")]
    vulnerabilities: Vec<TrivyVulnerability>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct TrivyVulnerability {
    #[serde(rename = "VulnerabilityID")]
    id: String,
    pkg_name: String,
    installed_version: Option<String>,
    fixed_version: Option<String>,
    severity: Option<String>,
    status: Option<String>,
}

/// `trivy -f json`.
pub(super) fn of_trivy(report: &Trivy) -> Found<Vulnerability> {
    let found = report.results.iter().flat_map(|result| &result.vulnerabilities);
    let all = bounded(found.map(|one| {
        let status = one.status.as_deref().unwrap_or_default();
        let plain = ["", "unknown", "affected", "fixed"].contains(&status);
        Vulnerability {
            dismissed: status == "not_affected",
            severity: severity(one.severity.as_deref()),
            id: cut(&one.id),
            component: Some(named(&one.pkg_name, one.installed_version.as_deref())),
            fixed_in: some(one.fixed_version.as_ref()),
            state: (!plain).then(|| cut(&status.replace('_', " "))),
        }
    }));
    Ok(("Trivy".to_owned(), all?))
}

/// Nothing but these two keys tells that a list is vulnix's.
#[derive(Debug, Deserialize)]
pub(super) struct VulnixPackage {
    name: String,
    affected_by: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    whitelisted: Vec<String>,
    #[serde(default, rename = "cvssv3_basescore", deserialize_with = "or_nothing")]
    scores: HashMap<String, Option<f64>>,
}

/// `vulnix --json`: a list of derivations.
pub(super) fn of_vulnix(report: &[VulnixPackage]) -> Found<Vulnerability> {
    let found = report.iter().flat_map(|one| {
        let affected = one.affected_by.iter().map(|id| (id, false));
        let whitelisted = one.whitelisted.iter().map(|id| (id, true));
        affected
            .chain(whitelisted)
            .map(move |(id, dismissed)| Vulnerability {
                dismissed,
                severity: of_score(one.scores.get(id).copied().flatten()),
                id: cut(id),
                component: Some(cut(&one.name)),
                fixed_in: None,
                state: dismissed.then(|| "whitelisted".to_owned()),
            })
    });
    let all = bounded(found);
    Ok(("vulnix".to_owned(), all?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CargoAudit {
    vulnerabilities: CargoVulnerabilities,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CargoVulnerabilities {
    #[serde(deserialize_with = "or_nothing")]
    list: Vec<CargoVulnerability>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CargoVulnerability {
    advisory: Advisory,
    #[serde(deserialize_with = "or_nothing")]
    versions: CargoVersions,
    package: Package,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Advisory {
    id: String,
    cvss: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CargoVersions {
    #[serde(deserialize_with = "or_nothing")]
    patched: Vec<String>,
}

/// `cargo audit --json`.
pub(super) fn of_cargo_audit(report: &CargoAudit) -> Found<Vulnerability> {
    let all = bounded(report.vulnerabilities.list.iter().map(|one| Vulnerability {
        dismissed: false,
        severity: of_score(one.advisory.cvss.as_deref().and_then(base_score)),
        id: cut(&one.advisory.id),
        component: Some(named(&one.package.name, one.package.version.as_deref())),
        fixed_in: some(Some(&one.versions.patched.join(", "))),
        state: None,
    }));
    Ok(("cargo-audit".to_owned(), all?))
}

/// The score of a vector of CVSS 3 or 4, by the crate with which cargo-audit reads its advisories. No score of another
/// version is on the same scale.
pub(super) fn base_score(vector: &str) -> Option<f64> {
    /// Those of CVSS 3; CVSS 4 has more, and the crate asks for all of them itself.
    const BASE_METRICS: usize = 8;

    let vector: Cvss = vector.parse().ok()?;
    // The crate takes a metric that is missing for one that does no harm.
    (vector.metrics().count() >= BASE_METRICS).then(|| vector.score())
}

fn of_score(score: Option<f64>) -> Severity {
    score.map_or(Severity::Unknown, Severity::of_score)
}

fn severity(word: Option<&str>) -> Severity {
    word.map_or(Severity::Unknown, Severity::of)
}
