//! `systemd`: whether a unit is active, and which have failed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::CheckFinding;
use crate::config::HostConfig;
use crate::runner::is_of_an_attempt;
use crate::text::problem_of;
use serde::Deserialize;

/// If systemd cannot be asked, that proves nothing; a missing unit counts against the closure.
pub(super) async fn check(config: &HostConfig, unit: &str, bound: Duration) -> CheckFinding {
    let mut command = config.command("systemctl");
    command.args([
        "--no-pager",
        "show",
        "--property=LoadState,ActiveState,SubState,Result",
        "--",
        unit,
    ]);
    let answer = slipway_process::capture(command, bound).await;
    match problem_of("systemctl", &answer.outcome, &answer.stderr, bound) {
        None => judge(unit, &String::from_utf8_lossy(&answer.stdout)),
        Some(problem) => CheckFinding::unknown(format!("systemctl cannot be asked: {problem}")),
    }
}

/// How long systemd may take to list its units.
const LIST_WITHIN: Duration = Duration::from_secs(30);

/// What a switch script counts as failed: units that failed, and services that systemd starts again and again. Without
/// those of attempts: the job that ran the script has failed as it did, until systemd forgets it.
pub(crate) async fn failed_units(config: &HostConfig) -> Option<BTreeSet<String>> {
    let mut command = config.command("systemctl");
    command.args([
        "list-units",
        "--all",
        "--output=json",
        "--state=failed,auto-restart",
    ]);
    let answer = slipway_process::capture(command, LIST_WITHIN).await;
    if let Some(problem) = problem_of("systemctl", &answer.outcome, &answer.stderr, LIST_WITHIN) {
        tracing::debug!(problem, "systemd does not say which units failed");
        return None;
    }
    let listed = parse_units(&answer.stdout);
    if let Err(error) = &listed {
        tracing::debug!(%error, "systemd's list of units is not understood");
    }
    listed.ok()
}

/// One of `systemctl list-units --output=json`.
#[derive(Deserialize)]
struct ListedUnit {
    unit: String,
}

fn parse_units(listed: &[u8]) -> serde_json::Result<BTreeSet<String>> {
    let units: Vec<ListedUnit> = serde_json::from_slice(listed)?;
    let names = units.into_iter().map(|listed| listed.unit);
    Ok(names.filter(|unit| !is_of_an_attempt(unit)).collect())
}

fn judge(unit: &str, shown: &str) -> CheckFinding {
    let value = |name: &str| {
        shown
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
    };
    match (value("LoadState"), value("ActiveState")) {
        ("", _) | (_, "") => CheckFinding::unknown(format!("systemctl says nothing about {unit}")),
        ("not-found", _) => CheckFinding::fail(format!("{unit} does not exist")),
        (_, "active") => CheckFinding::pass(),
        (_, state) => CheckFinding::fail(format!(
            "{unit} is {state} ({}, result {})",
            value("SubState"),
            value("Result")
        )),
    }
}

#[cfg(test)]
mod tests {
    use slipway_domain::agent::Verdict;

    use super::*;

    #[test]
    fn states_are_judged() {
        for (shown, verdict) in [
            (
                "LoadState=loaded\nActiveState=active\nSubState=running\n",
                Verdict::Pass,
            ),
            (
                "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\n",
                Verdict::Fail,
            ),
            (
                "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\n",
                Verdict::Fail,
            ),
            ("LoadState=not-found\nActiveState=inactive\n", Verdict::Fail),
            ("", Verdict::Unknown),
        ] {
            assert_eq!(judge("a.service", shown).verdict, verdict, "{shown}");
        }
        let said = judge(
            "a.service",
            "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\n",
        );
        assert_eq!(said.detail, "a.service is failed (failed, result exit-code)");
    }

    #[test]
    fn failed_units_are_listed_without_those_of_attempts() {
        // As systemd 257 prints it.
        let listed = br#"[{"unit":"a b.service","load":"loaded","active":"failed","sub":"failed","description":"x"},
            {"unit":"slipway-revert-5a0c9c3e-8f1d-4f57-9a43-7d9f7d3f2b11-1.service","load":"loaded","active":"failed",
             "sub":"failed","description":"y"}]"#;
        let units = parse_units(listed).unwrap();
        assert_eq!(units.into_iter().collect::<Vec<_>>(), ["a b.service"]);
        assert!(parse_units(b"[]").unwrap().is_empty());
        assert!(parse_units(b"a.service loaded failed failed x").is_err());
    }
}
