//! `systemd`: whether a unit is active.

use super::Finding;
use crate::config::HostConfig;
use crate::text::last_lines;

/// A systemd that cannot be asked is evidence of nothing; a unit that is not there is evidence.
pub(super) async fn look(config: &HostConfig, unit: &str) -> Finding {
    let asked = config
        .command("systemctl")
        .args([
            "--no-pager",
            "show",
            "--property=LoadState,ActiveState,SubState,Result",
            "--",
            unit,
        ])
        .output()
        .await;
    let output = match asked {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            let said = last_lines(&String::from_utf8_lossy(&output.stderr), 2);
            return Finding::unknown(format!("systemctl cannot be asked: {said}"));
        }
        Err(error) => return Finding::unknown(format!("cannot run systemctl: {error}")),
    };
    judge(unit, &String::from_utf8_lossy(&output.stdout))
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
