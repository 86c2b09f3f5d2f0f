//! What stands in the way of rolling a release out.

use serde::{Deserialize, Serialize};
use slipway_domain::preflight::{Finding, Outcome};
use slipway_domain::{EnvironmentName, HostName, ReleaseId, ReleaseRef, Timestamp};

use crate::release::ReleaseLabel;

/// `GET /environments/{name}/preflight`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct PreflightQuery {
    /// The release's id, number, name or the beginning of its id; or `latest` or `previous` of the environment.
    #[cfg_attr(feature = "openapi", param(value_type = String, example = "12"))]
    pub release: ReleaseRef,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreflightReport {
    /// The environment.
    pub environment: EnvironmentName,
    /// The release.
    pub release: ReleaseId,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// How many hosts the release has in the environment.
    pub hosts: u64,
    /// Hosts whose agents were asked, and did not answer in time. At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<HostName>,
    /// Whether something blocks.
    pub blocked: bool,
    /// One for each check, or more where it came out in several ways. What blocks comes first.
    pub findings: Vec<Finding>,
    /// The release as people say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_label: Option<ReleaseLabel>,
}

impl PreflightReport {
    /// How many findings came out this way.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        let findings = self.findings.iter();
        findings.filter(|finding| finding.outcome == outcome).count()
    }

    /// What is not as wished, the worst first. Checks that say the same of the same hosts are one.
    #[must_use]
    pub fn told(&self) -> Vec<Told<'_>> {
        let amiss = self.findings.iter();
        let amiss = amiss.filter(|finding| finding.outcome != Outcome::Passed);
        let mut told: Vec<Told<'_>> = Vec::new();
        for finding in amiss {
            match told.iter_mut().find(|one| said(one.finding) == said(finding)) {
                Some(one) => one.checks.push(&finding.check),
                None => told.push(Told::one(finding)),
            }
        }
        // What nobody can tell comes behind what is known to be wrong.
        told.sort_by_key(|one| (one.finding.outcome == Outcome::Unknown, one.finding.outcome));
        told
    }

    /// What is as wished, each check by itself.
    #[must_use]
    pub fn passed(&self) -> Vec<Told<'_>> {
        let findings = self.findings.iter();
        let passed = findings.filter(|finding| finding.outcome == Outcome::Passed);
        passed.map(Told::one).collect()
    }
}

/// What a finding says, and of which hosts, whatever its check is called.
fn said(finding: &Finding) -> impl PartialEq + '_ {
    let Finding {
        check: _,
        outcome,
        hosts,
        host_count,
        message,
        cure,
    } = finding;
    (outcome, hosts, host_count, message, cure)
}

/// What one check or several say.
#[derive(Debug)]
pub struct Told<'a> {
    /// The first of them.
    pub finding: &'a Finding,
    /// The names of all.
    pub checks: Vec<&'a str>,
}

impl<'a> Told<'a> {
    fn one(finding: &'a Finding) -> Self {
        Self {
            finding,
            checks: vec![&finding.check],
        }
    }
}
