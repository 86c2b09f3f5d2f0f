//! What was expected and what was seen.

use std::fmt::Write as _;

use serde::Serialize;

use super::timeline::short;

/// One expectation and what became of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct DemoOutcome {
    /// The point of the main job it belongs to, 1 to 6.
    pub(super) point: u8,
    /// What should be.
    pub(super) expected: String,
    /// What was.
    pub(super) seen: String,
    /// Whether that is as it should be.
    pub(super) ok: bool,
}

/// The outcomes so far.
#[derive(Debug, Default)]
pub(super) struct DemoOutcomes {
    list: Vec<DemoOutcome>,
}

impl DemoOutcomes {
    /// Notes what was seen.
    pub(super) fn check(
        &mut self,
        point: u8,
        expected: impl Into<String>,
        ok: bool,
        seen: impl Into<String>,
    ) {
        self.list.push(DemoOutcome {
            point,
            expected: expected.into(),
            seen: seen.into(),
            ok,
        });
    }

    /// All of them, by point.
    #[must_use]
    pub(super) fn sorted(mut self) -> Vec<DemoOutcome> {
        self.list.sort_by_key(|outcome| outcome.point);
        self.list
    }
}

/// How the demo went.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Whether every outcome is as it should be.
    pub(super) ok: bool,
    /// How long it took.
    pub(super) seconds: f64,
    /// How many hosts took part.
    pub(super) hosts: usize,
    /// Requests of the constant client.
    pub(super) requests: u64,
    /// Those of them that failed.
    pub(super) failed_requests: u64,
    /// The slowest of them, in milliseconds.
    pub(super) slowest_ms: u64,
    /// Each expectation.
    pub(super) outcomes: Vec<DemoOutcome>,
}

impl Summary {
    /// A table for people.
    #[must_use]
    pub(super) fn table(&self) -> String {
        let width = self
            .outcomes
            .iter()
            .map(|outcome| outcome.expected.chars().count())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for DemoOutcome {
            point,
            expected,
            seen,
            ok,
        } in &self.outcomes
        {
            // What went well is told in short, what did not in full.
            let seen = short(seen, if *ok { 60 } else { 2000 });
            let mark = if *ok { "ok    " } else { "NOT OK" };
            let _ = writeln!(text, "{point}  {mark}  {expected:<width$}  {seen}");
        }
        let good = self.outcomes.iter().filter(|outcome| outcome.ok).count();
        let all = self.outcomes.len();
        let _ = write!(
            text,
            "\n{good} of {all} outcomes as they should be, in {:.1} s",
            self.seconds
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_what_is_not_as_it_should_be() {
        let mut outcomes = DemoOutcomes::default();
        outcomes.check(4, "no request fails", false, "2 of 900 failed");
        outcomes.check(1, "three replicas", true, "3");
        let outcomes = outcomes.sorted();
        let summary = Summary {
            ok: false,
            seconds: 12.34,
            hosts: 6,
            requests: 900,
            failed_requests: 2,
            slowest_ms: 31,
            outcomes,
        };
        let table = summary.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "1  ok      three replicas    3");
        assert_eq!(lines[1], "4  NOT OK  no request fails  2 of 900 failed");
        assert_eq!(lines[3], "1 of 2 outcomes as they should be, in 12.3 s");
    }
}
