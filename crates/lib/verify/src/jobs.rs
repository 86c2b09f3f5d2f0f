//! The scheduled jobs of a stack, as its host records their runs.

use std::path::Path;

use crate::{CheckResult, PendingCheck};

/// The last runs of these jobs, from the file that node-exporter reads as well.
pub(crate) fn check(stack: &str, names: &[String], file: &Path) -> Vec<CheckResult> {
    let text = std::fs::read_to_string(file);
    let each = names.iter().map(|job| {
        let check = PendingCheck::new(format!("job {job}"), stack);
        match &text {
            Ok(text) => result(check, stack, job, text),
            Err(error) => check.not_checked(
                format!("{}: {error}", file.display()),
                format!("systemctl status {stack}-jobs"),
            ),
        }
    });
    each.collect()
}

fn result(check: PendingCheck, stack: &str, job: &str, text: &str) -> CheckResult {
    let value = |metric: &str| {
        let start = format!("slipway_job_{metric}{{stack=\"{stack}\",job=\"{job}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&start))
    };
    let cure = format!("journalctl -u {stack}-{job}");
    match (
        value("late"),
        value("failed"),
        value("last_success_timestamp_seconds"),
    ) {
        (Some("1"), _, _) => check.fail("late: no run has succeeded for too long", cure),
        (_, Some("1"), _) => check.fail("its last run failed", cure),
        (Some("0"), Some("0"), Some("0")) => check.ok("not run yet"),
        (Some("0"), Some("0"), Some(_)) => check.ok("its last run succeeded"),
        _ => check.not_checked(
            "the host has no record of it",
            format!("systemctl status {stack}-jobs"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CheckState;

    #[test]
    fn a_job_is_as_its_records_say() {
        let text = |late, failed, last: &str| {
            format!(
                "# TYPE slipway_job_late gauge\n\
                 slipway_job_late{{stack=\"shop\",job=\"report\"}} {late}\n\
                 slipway_job_late{{stack=\"shop\",job=\"report-2\"}} 1\n\
                 slipway_job_failed{{stack=\"shop\",job=\"report\"}} {failed}\n\
                 slipway_job_last_success_timestamp_seconds{{stack=\"shop\",job=\"report\"}} {last}\n"
            )
        };
        for (text, state, seen) in [
            (text(0, 0, "1795945020"), CheckState::Ok, "its last run succeeded"),
            (text(0, 0, "0"), CheckState::Ok, "not run yet"),
            (text(0, 1, "1795945020"), CheckState::Fail, "its last run failed"),
            (text(1, 1, "1795945020"), CheckState::Fail, "late"),
            (text(1, 0, "1795945020"), CheckState::Fail, "late"),
            (String::new(), CheckState::NotChecked, "no record"),
        ] {
            let found = result(PendingCheck::new("job report", "shop"), "shop", "report", &text);
            assert_eq!(found.state, state, "{found:?}");
            assert!(found.seen.contains(seen), "{found:?}");
        }
    }
}
