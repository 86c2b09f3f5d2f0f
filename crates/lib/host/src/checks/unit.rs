//! `systemd`: whether a unit is active, and which have failed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Finding;
use crate::config::HostConfig;
use crate::program::{self, Answer, Ran};
use crate::runner::is_of_an_attempt;
use crate::text::last_lines;

/// If systemd cannot be asked, that proves nothing; a missing unit counts against the closure.
pub(super) async fn look(config: &HostConfig, unit: &str, bound: Duration) -> Finding {
    let mut command = config.command("systemctl");
    command.args([
        "--no-pager",
        "show",
        "--property=LoadState,ActiveState,SubState,Result",
        "--",
        unit,
    ]);
    let Answer {
        ran,
        said,
        complaints,
    } = program::ask(command, bound).await;
    match ran {
        Ran::Ended(status) if status.success() => {}
        Ran::Ended(_) => {
            let said = last_lines(&complaints, 2);
            return Finding::unknown(format!("systemctl cannot be asked: {said}"));
        }
        Ran::NotStarted(error) => return Finding::unknown(format!("cannot run systemctl: {error}")),
        Ran::TimedOut => {
            return Finding::unknown(format!("systemctl: no answer within {} s", bound.as_secs()));
        }
    }
    judge(unit, &String::from_utf8_lossy(&said))
}

/// How long systemd may take to list its units.
const LIST_WITHIN: Duration = Duration::from_secs(30);

/// What a switch script counts as failed: units that failed, and services that systemd starts again and again. Without
/// those of attempts: the job that ran the script has failed as it did, until systemd forgets it.
pub(crate) async fn failed_units(config: &HostConfig) -> Option<BTreeSet<String>> {
    let mut command = config.command("systemctl");
    command.args([
        "--no-pager",
        "list-units",
        "--all",
        "--plain",
        "--no-legend",
        "--state=failed,auto-restart",
    ]);
    let Answer {
        ran,
        said,
        complaints,
    } = program::ask(command, LIST_WITHIN).await;
    if !ran.is_success() {
        tracing::debug!(said = %last_lines(&complaints, 2), "systemd does not say which units failed");
        return None;
    }
    let said = String::from_utf8_lossy(&said);
    let units = said.lines().filter_map(first_word);
    Some(units.filter(|unit| !is_of_an_attempt(unit)).collect())
}

fn first_word(line: &str) -> Option<String> {
    line.split_whitespace().next().map(ToOwned::to_owned)
}

fn judge(unit: &str, shown: &str) -> Finding {
    let value = |name: &str| {
        shown
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
    };
    match (value("LoadState"), value("ActiveState")) {
        ("", _) | (_, "") => Finding::unknown(format!("systemctl says nothing about {unit}")),
        ("not-found", _) => Finding::fail(format!("{unit} does not exist")),
        (_, "active") => Finding::pass(),
        (_, state) => Finding::fail(format!(
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
}
