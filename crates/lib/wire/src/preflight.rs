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
        let says = |finding: &Finding| {
            let Finding {
                outcome,
                hosts,
                host_count,
                message,
                cure,
                ..
            } = finding.clone();
            (outcome, hosts, host_count, message, cure)
        };
        let mut told: Vec<Told<'_>> = Vec::new();
        for finding in &self.findings {
            if finding.outcome == Outcome::Passed {
                continue;
            }
            match told.iter_mut().find(|one| says(one.finding) == says(finding)) {
                Some(one) => one.checks.push(&finding.check),
                None => told.push(Told {
                    finding,
                    checks: vec![&finding.check],
                }),
            }
        }
        told.sort_by_key(|one| match one.finding.outcome {
            Outcome::Blocking => 0,
            Outcome::Warning => 1,
            Outcome::Unknown => 2,
            Outcome::Passed => 3,
        });
        told
    }
}

/// What one check or several say.
#[derive(Debug)]
pub struct Told<'a> {
    /// The first of them.
    pub finding: &'a Finding,
    /// The names of all.
    pub checks: Vec<&'a str>,
}
