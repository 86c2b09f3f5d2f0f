//! All results, for people and programs.

use std::fmt::Write as _;

use serde::Serialize;
use slipway_text::number::listed;
use slipway_verify::{CheckResult, CheckState};

use crate::Exit;
use crate::output::Output;
use crate::table::{Cell, Table, Tone};

/// Checks that a row names.
const NAMED: usize = 4;

/// All results, as `--json` shows them.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct VerifyReport {
    version: u32,
    state: CheckState,
    exit_code: u8,
    checks: Vec<CheckResult>,
}

impl VerifyReport {
    pub(in crate::commands) fn new(checks: Vec<CheckResult>) -> Self {
        let worst = checks.iter().map(|result| result.state).max();
        // Without any check, nothing is proved.
        let state = worst.unwrap_or(CheckState::NotChecked);
        Self {
            version: 1,
            state,
            exit_code: exit(state).code(),
            checks,
        }
    }

    pub(in crate::commands) const fn exit(&self) -> Exit {
        exit(self.state)
    }

    /// The results with their checks' names. Neighbours that were not checked for one reason are one row.
    fn rows(&self) -> Vec<(&CheckResult, Vec<&str>)> {
        let mut rows: Vec<(&CheckResult, Vec<&str>)> = Vec::new();
        for result in &self.checks {
            match rows.last_mut() {
                Some((first, checks))
                    if result.state == CheckState::NotChecked
                        && (first.state, &first.of, &first.seen, &first.cure)
                            == (result.state, &result.of, &result.seen, &result.cure) =>
                {
                    checks.push(&result.check);
                }
                _ => rows.push((result, vec![&result.check])),
            }
        }
        rows
    }

    /// The report for people.
    pub(in crate::commands) fn text(&self, output: Output) -> String {
        let mut table = Table::new(&["STATE", "CHECK", "OF", "SEEN"]);
        for (result, checks) in self.rows() {
            table.row([
                state(result.state),
                listed(&checks, NAMED).into(),
                result.of.as_str().into(),
                result.seen.as_str().into(),
            ]);
            if let Some(cure) = &result.cure {
                table.below(format!("             cure: {cure}"));
            }
        }
        let mut text = table.render(output.colour, "");
        let count = |state| self.checks.iter().filter(|result| result.state == state).count();
        let _ = writeln!(
            text,
            "{} ok, {} warned of, {} failed, {} not checked",
            count(CheckState::Ok),
            count(CheckState::Warn),
            count(CheckState::Fail),
            count(CheckState::NotChecked)
        );
        text
    }
}

const fn exit(state: CheckState) -> Exit {
    match state {
        CheckState::Ok | CheckState::Warn => Exit::Success,
        CheckState::NotChecked => Exit::NotVerified,
        CheckState::Fail => Exit::VerifyFailed,
    }
}

fn state(state: CheckState) -> Cell {
    match state {
        CheckState::Ok => Cell::new("ok", Tone::Good),
        CheckState::Warn => Cell::new("warn", Tone::Busy),
        CheckState::NotChecked => Cell::new("not checked", Tone::Busy),
        CheckState::Fail => Cell::new("fail", Tone::Bad),
    }
}

#[cfg(test)]
mod tests {
    use slipway_verify::PendingCheck;

    use super::*;

    #[test]
    fn the_worst_result_decides() {
        let check = || PendingCheck::new("c", "x");
        let (ok, warn) = (|| check().ok(""), || check().warn("", ""));
        let (unknown, fail) = (|| check().not_checked("", ""), || check().fail("", ""));
        for (results, code) in [
            (vec![ok(), warn()], 0),
            (vec![ok(), unknown(), warn()], 31),
            (vec![unknown(), fail(), ok()], 30),
            (vec![], 31),
        ] {
            let report = VerifyReport::new(results);
            assert_eq!((report.exit().code(), report.exit_code), (code, code));
        }
    }
}
