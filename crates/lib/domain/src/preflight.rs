//! What stands in the way of a rollout, found before anything is touched.
//!
//! Every check is a pure function from facts to a [`Judgement`]. What is not known is never passed: it is
//! [`Outcome::Unknown`]. The control plane runs them all for `slipway preflight`. A rollout runs those of them that a host's
//! facts and the release decide, before its first activation, and stops if one blocks.

mod host;
mod machine;
mod plane;
mod subject;
mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use subject::{EnvironmentSubject, HostSubject, MANY_APPROVERS, PlaneSubject, ReleaseSubject, Subject};
pub use table::{CHECKS, CheckInfo, Scope, is_check};

use crate::HostName;
use table::Judge;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Outcome {
    /// No rollout begins before this is mended, or the check is skipped by name.
    Blocking,
    /// It could not be found out.
    Unknown,
    /// A rollout may go wrong.
    Warning,
    /// All is well.
    Passed,
}

impl Outcome {
    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Passed => "passed",
        }
    }
}

/// What one check says of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    outcome: Outcome,
    message: String,
    cure: Option<String>,
}

impl Judgement {
    fn passed(message: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Passed,
            message: message.into(),
            cure: None,
        }
    }

    fn warning(message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Warning,
            message: message.into(),
            cure: Some(cure.into()),
        }
    }

    fn blocking(message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Blocking,
            ..Self::warning(message, cure)
        }
    }

    fn unknown(message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Unknown,
            ..Self::warning(message, cure)
        }
    }
}

/// What a check found, of one subject or of several hosts alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// The check's name.
    pub check: String,
    /// How it came out.
    pub outcome: Outcome,
    /// The hosts it is about; none for a check of the release, the environment or the control plane. Of those that passed
    /// only the number is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostName>,
    /// How many hosts it is about.
    #[serde(default)]
    pub host_count: u64,
    /// What was found, for people.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

impl Finding {
    /// What it says, with the hosts and the cure, in one line.
    #[must_use]
    pub fn in_words(&self) -> String {
        let hosts = match self.hosts.as_slice() {
            [] => String::new(),
            [one] => format!("{one}: "),
            [first, rest @ ..] => format!("{first} and {} more: ", rest.len()),
        };
        self.with_hosts(&hosts)
    }

    /// What it says of one of its hosts, in one line.
    #[must_use]
    pub fn of_one(&self) -> String {
        self.with_hosts("")
    }

    fn with_hosts(&self, hosts: &str) -> String {
        let cure = self.cure.as_ref().map(|cure| format!("; {cure}"));
        format!(
            "{}: {hosts}{}{}",
            self.check,
            self.message,
            cure.unwrap_or_default()
        )
    }
}

/// Runs every check. What blocks comes first; hosts with the same finding are put together.
#[must_use]
pub fn judge(subject: &Subject) -> Vec<Finding> {
    run(subject, |_| true)
}

/// What keeps a rollout from its first activation: the blocking findings of the release and of these hosts.
///
/// A fact that nobody knows does not stop a rollout: agents of earlier releases send none.
#[must_use]
pub fn obstacles(subject: &Subject, skipped: &[String]) -> Vec<Finding> {
    let is_skipped = |name| skipped.iter().any(|skipped| skipped == name);
    let mut found = run(subject, |check| check.in_rollouts && !is_skipped(check.name));
    found.retain(|finding| finding.outcome == Outcome::Blocking);
    found
}

/// Runs those checks.
fn run(subject: &Subject, wanted: impl Fn(&CheckInfo) -> bool) -> Vec<Finding> {
    let mut findings = Findings::default();
    for (place, check) in CHECKS.iter().enumerate().filter(|(_, check)| wanted(check)) {
        match check.judge {
            Judge::Once(judge) => findings.add(place, None, judge(subject)),
            Judge::EachHost(judge) => {
                for host in &subject.hosts {
                    findings.add(place, Some(&host.name), judge(subject, host));
                }
            }
            Judge::SomeHosts(judge) => {
                for host in &subject.hosts {
                    if let Some(judgement) = judge(subject, host) {
                        findings.add(place, Some(&host.name), judgement);
                    }
                }
            }
        }
    }
    findings.sorted()
}

#[derive(Default)]
struct Findings {
    /// By outcome, the check's place in the table, message and cure.
    found: BTreeMap<(Outcome, usize, String, Option<String>), Vec<HostName>>,
    passed: BTreeMap<usize, (String, u64)>,
}

impl Findings {
    fn add(&mut self, place: usize, host: Option<&HostName>, judgement: Judgement) {
        if judgement.outcome == Outcome::Passed {
            let (_, hosts) = self.passed.entry(place).or_insert((judgement.message, 0));
            *hosts += u64::from(host.is_some());
            return;
        }
        let key = (judgement.outcome, place, judgement.message, judgement.cure);
        self.found.entry(key).or_default().extend(host.cloned());
    }

    fn sorted(self) -> Vec<Finding> {
        let bad = self
            .found
            .into_iter()
            .map(|((outcome, place, message, cure), hosts)| Finding {
                check: CHECKS[place].name.to_owned(),
                outcome,
                host_count: hosts.len() as u64,
                hosts,
                message,
                cure,
            });
        let passed = self
            .passed
            .into_iter()
            .map(|(place, (message, host_count))| Finding {
                check: CHECKS[place].name.to_owned(),
                outcome: Outcome::Passed,
                hosts: Vec::new(),
                host_count,
                message,
                cure: None,
            });
        bad.chain(passed).collect()
    }
}

#[cfg(test)]
mod tests;
