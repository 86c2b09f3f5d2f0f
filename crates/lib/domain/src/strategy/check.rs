//! The check of a strategy against its fleet. It reports all problems at once.

mod order;

use std::collections::BTreeSet;
use std::fmt;

use super::{Canary, Share, Strategy};
use crate::plan::Fleet;
use crate::{HostName, preflight};

pub use order::MAX_GROUPS;

/// The longest wait a strategy may ask for, in seconds: 30 days.
pub const MAX_SECONDS: u32 = 30 * 24 * 3600;
/// More tries than this would hide a broken host.
pub const MAX_RETRIES: u32 = 10;

/// One thing that is wrong with a strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrategyProblem {
    /// The field, such as `verify.passes` or `order[1].batch`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub detail: String,
}

/// Everything that is wrong with a strategy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct StrategyProblems(pub Vec<StrategyProblem>);

impl fmt::Display for StrategyProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the strategy cannot be used: ")?;
        for (i, problem) in self.0.iter().enumerate() {
            write!(
                f,
                "{}{}: {}",
                if i == 0 { "" } else { "; " },
                problem.field,
                problem.detail
            )?;
        }
        Ok(())
    }
}

impl Strategy {
    /// Checks what can be said of the strategy without a fleet.
    pub fn check_alone(&self) -> Result<(), StrategyProblems> {
        self.find_problems(None)
    }

    /// Checks the strategy against the environment that it is to be used on.
    pub fn check(&self, fleet: &Fleet) -> Result<(), StrategyProblems> {
        self.find_problems(Some(fleet))
    }

    fn find_problems(&self, fleet: Option<&Fleet>) -> Result<(), StrategyProblems> {
        let mut found = StrategyProblems(Vec::new());
        self.check_order(&mut found);
        self.check_canary(fleet, &mut found);
        for (field, share) in [("batch", self.batch), ("max_unavailable", self.max_unavailable)] {
            found.check_share(field, share);
        }
        if let Some(fleet) = fleet {
            self.check_groups(fleet, &mut found);
            self.check_clusters(fleet, &mut found);
        }
        self.check_ranges(&mut found);
        self.check_times(&mut found);
        if found.0.is_empty() { Ok(()) } else { Err(found) }
    }

    fn check_canary(&self, fleet: Option<&Fleet>, found: &mut StrategyProblems) {
        if let Canary::Hosts(names) = &self.canary {
            found.check_unique("canary", names);
        }
        let Some(fleet) = fleet else {
            return;
        };
        match &self.canary {
            Canary::Number(n) => {
                let hosts = fleet.values().filter(|host| host.takes_part).count();
                if *n as usize > hosts {
                    found.add(
                        "canary",
                        format!("{n} is more than the {hosts} hosts of the rollout; use 0 to {hosts}"),
                    );
                }
            }
            Canary::Hosts(names) => {
                let unknown: Vec<_> = names.iter().filter(|name| !takes_part(name, fleet)).collect();
                if !unknown.is_empty() {
                    let unknown = join(&unknown);
                    found.add(
                        "canary",
                        format!("not hosts of the rollout: {unknown}; name hosts of the release"),
                    );
                }
            }
        }
    }

    fn check_ranges(&self, found: &mut StrategyProblems) {
        let limits = &self.limits;
        for (field, seconds) in [
            ("verify.interval_seconds", self.verify.interval_seconds),
            ("verify.timeout_seconds", self.verify.timeout_seconds),
            ("limits.stage_seconds", limits.stage_seconds),
            ("limits.activate_seconds", limits.activate_seconds),
            ("limits.deadman_seconds", limits.deadman_seconds),
            ("limits.revert_seconds", limits.revert_seconds),
            ("limits.offline_seconds", limits.offline_seconds),
            ("limits.person_seconds", limits.person_seconds),
            ("limits.reboot_seconds", limits.reboot_seconds),
        ] {
            if !(1..=MAX_SECONDS).contains(&seconds) {
                found.add(
                    field,
                    format!("{seconds} is out of range; use 1 to {MAX_SECONDS}"),
                );
            }
        }
        if self.bake_seconds > MAX_SECONDS {
            found.add(
                "bake_seconds",
                format!("{} is out of range; use 0 to {MAX_SECONDS}", self.bake_seconds),
            );
        }
        if self.verify.passes == 0 {
            found.add(
                "verify.passes",
                "0 would take any closure for healthy; use 1 or more".to_owned(),
            );
        }
        if self.skip_checks.len() > preflight::CHECKS.len() {
            found.add(
                "skip_checks",
                format!(
                    "it names {} checks, and there are {}; name each once",
                    self.skip_checks.len(),
                    preflight::CHECKS.len()
                ),
            );
        }
        for name in self.skip_checks.iter().filter(|name| !preflight::is_check(name)) {
            let shown: String = name.chars().take(50).collect();
            found.add(
                "skip_checks",
                format!("there is no check `{shown}`; see their names: slipway preflight"),
            );
        }
        if self.retries > MAX_RETRIES {
            found.add(
                "retries",
                format!("{} is out of range; use 0 to {MAX_RETRIES}", self.retries),
            );
        }
    }

    /// Waits that lie in one another must fit.
    fn check_times(&self, found: &mut StrategyProblems) {
        let (verify, limits) = (&self.verify, &self.limits);
        let passes = u64::from(verify.passes.saturating_sub(1)) * u64::from(verify.interval_seconds);
        if passes > u64::from(verify.timeout_seconds) {
            let detail = format!(
                "{} passes every {} s take {passes} s, more than the {} s allowed; raise it or ask for fewer passes",
                verify.passes, verify.interval_seconds, verify.timeout_seconds
            );
            found.add("verify.timeout_seconds", detail);
        }
        let reboot = self.reboot_bound();
        let needed = u64::from(limits.activate_seconds)
            + u64::from(reboot)
            + u64::from(verify.timeout_seconds)
            + u64::from(self.bake_seconds);
        if u64::from(limits.deadman_seconds) <= needed {
            let parts = if reboot == 0 {
                "activation, checks"
            } else {
                "activation, reboot, checks"
            };
            let detail = format!(
                "{} s is not after {parts} and bake time, which may take {needed} s; use more than {needed}",
                limits.deadman_seconds
            );
            found.add("limits.deadman_seconds", detail);
        }
        if self.allow_pending_reboot && !self.reboot.is_never() {
            let detail =
                "a strategy that reboots hosts leaves no reboot pending; use false, or reboot: never";
            found.add("allow_pending_reboot", detail.to_owned());
        }
    }
}

impl StrategyProblems {
    fn add(&mut self, field: impl Into<String>, detail: String) {
        let field = field.into();
        self.0.push(StrategyProblem { field, detail });
    }

    fn check_share(&mut self, field: impl Into<String>, share: Share) {
        match share {
            Share::Number(0) | Share::Percent(0) => {
                self.add(field, format!("{share} would never get anywhere; use 1 or more"));
            }
            Share::Percent(p) if p > 100 => {
                self.add(field, format!("{share} is over 100%; use 1% to 100%"));
            }
            _ => {}
        }
    }

    fn check_unique(&mut self, field: impl Into<String>, names: &[HostName]) {
        if names.iter().collect::<BTreeSet<_>>().len() != names.len() {
            self.add(field, "a host is named twice; name each once".to_owned());
        }
    }
}

/// Whether the release has a closure for the host.
fn takes_part(name: &HostName, fleet: &Fleet) -> bool {
    fleet.get(name).is_some_and(|host| host.takes_part)
}

fn join(names: &[&HostName]) -> String {
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::FleetHost;

    fn fleet(n: usize) -> Fleet {
        let host = FleetHost {
            takes_part: true,
            ..FleetHost::default()
        };
        let hosts = (0..n).map(|i| (format!("web-{i}").parse().unwrap(), host.clone()));
        hosts.collect()
    }

    fn problems(json: &str) -> String {
        let strategy: Strategy = serde_json::from_str(json).unwrap();
        strategy.check(&fleet(3)).unwrap_err().to_string()
    }

    #[test]
    fn the_default_is_good_for_any_fleet() {
        for n in 1..50 {
            Strategy::default().check(&fleet(n)).unwrap();
        }
    }

    #[test]
    fn each_problem_names_its_field_and_cure() {
        for (json, field, cure) in [
            (r#"{"canary":4}"#, "canary", "use 0 to 3"),
            (
                r#"{"canary":["db-1"]}"#,
                "canary",
                "not hosts of the rollout: db-1",
            ),
            (r#"{"canary":["web-1","web-1"]}"#, "canary", "named twice"),
            (r#"{"batch":0}"#, "batch", "use 1 or more"),
            (r#"{"batch":"101%"}"#, "batch", "use 1% to 100%"),
            (r#"{"max_unavailable":"0%"}"#, "max_unavailable", "use 1 or more"),
            (r#"{"verify":{"passes":0}}"#, "verify.passes", "use 1 or more"),
            (
                r#"{"verify":{"passes":90}}"#,
                "verify.timeout_seconds",
                "take 178 s",
            ),
            (
                r#"{"limits":{"deadman_seconds":300}}"#,
                "limits.deadman_seconds",
                "more than 390",
            ),
            (
                r#"{"limits":{"stage_seconds":0}}"#,
                "limits.stage_seconds",
                "use 1 to 2592000",
            ),
            (r#"{"retries":11}"#, "retries", "use 0 to 10"),
            (
                r#"{"reboot":"always","limits":{"deadman_seconds":990}}"#,
                "limits.deadman_seconds",
                "reboot, checks and bake time, which may take 990 s",
            ),
            (
                r#"{"reboot":"when_needed","allow_pending_reboot":true}"#,
                "allow_pending_reboot",
                "use false",
            ),
            (
                r#"{"limits":{"reboot_seconds":0}}"#,
                "limits.reboot_seconds",
                "use 1 to 2592000",
            ),
        ] {
            let found = problems(json);
            assert!(
                found.contains(&format!("{field}: ")) && found.contains(cure),
                "{json}: {found}"
            );
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let found = problems(r#"{"canary":9,"batch":0,"retries":99}"#);
        assert_eq!(found.matches("; use").count(), 3, "{found}");
    }

    #[test]
    fn what_is_no_strategy_is_refused_by_name() {
        for (json, said) in [
            (r#"{"batch":-1}"#, "a number of hosts such as 2"),
            (r#"{"batch":"half"}"#, "a percentage such as"),
            (r#"{"canary":"web-1"}"#, "a list of host names"),
            (r#"{"on_failure":"shrug"}"#, "revert_rollout"),
        ] {
            let error = serde_json::from_str::<Strategy>(json).unwrap_err().to_string();
            assert!(error.contains(said), "{json}: {error}");
        }
    }

    #[test]
    fn a_share_is_never_less_than_one_host() {
        assert_eq!(Share::Percent(25).of(3), 1);
        assert_eq!(Share::Percent(25).of(9), 2);
        assert_eq!(Share::Percent(100).of(9), 9);
        assert_eq!(Share::Number(4).of(2), 4);
    }
}
