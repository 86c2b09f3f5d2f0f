//! The checks of `slipway verify`. Each returns lines; none ends the command.
//!
//! | module | what it looks at |
//! |---|---|
//! | [`stack`] | which stacks this host has: `/etc/slipway/stacks/<name>.json` |
//! | [`endpoints`] | health with each dependency, live, ready, metrics closed |
//! | [`tls`] | the certificate and the versions of TLS |
//! | [`local`] | sockets, metrics listeners and units of this host |
//! | [`backup`] | the age of backups and drills |
//! | [`fleet`] | what every host runs against what it should |

pub mod backup;
pub mod endpoints;
pub mod fleet;
pub mod local;
pub mod stack;
pub mod tls;

use std::fmt::Write as _;

use serde::Serialize;
use slipway_client::ClientError;

use crate::output::Output;
use crate::table::{Cell, Table, Tone};
use crate::text::clean;
use crate::{Exit, Failure};

/// How a check came out. The order is that of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, and somebody should see to it.
    Warn,
    /// It could not be found out.
    NotChecked,
    /// Not as it should be.
    Fail,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::NotChecked => "not checked",
            Self::Fail => "fail",
        }
    }

    const fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Warn | Self::NotChecked => Tone::Busy,
            Self::Fail => Tone::Bad,
        }
    }
}

/// What one check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The check: a stable name.
    pub check: String,
    /// What was looked at: a stack, an address or a host.
    pub of: String,
    /// How it came out.
    pub state: State,
    /// What was seen.
    pub seen: String,
    /// What to do about it.
    pub cure: Option<String>,
}

/// A check on something, about to come out.
#[derive(Debug, Clone)]
pub struct Check(String, String);

impl Check {
    /// Names the check and what it looks at.
    pub fn new(check: impl Into<String>, of: impl Into<String>) -> Self {
        Self(check.into(), of.into())
    }

    fn line(self, state: State, seen: impl Into<String>, cure: Option<String>) -> Line {
        Line {
            check: self.0,
            of: self.1,
            state,
            seen: seen.into(),
            cure,
        }
    }

    /// All is well.
    pub fn ok(self, seen: impl Into<String>) -> Line {
        self.line(State::Ok, seen, None)
    }

    /// Well enough.
    pub fn warn(self, seen: impl Into<String>, cure: impl Into<String>) -> Line {
        self.line(State::Warn, seen, Some(cure.into()))
    }

    /// Not well.
    pub fn fail(self, seen: impl Into<String>, cure: impl Into<String>) -> Line {
        self.line(State::Fail, seen, Some(cure.into()))
    }

    /// Unknown.
    pub fn not_checked(self, why: impl Into<String>, cure: impl Into<String>) -> Line {
        self.line(State::NotChecked, why, Some(cure.into()))
    }

    /// Not well, as the client's error says.
    #[must_use]
    pub fn failed_by(self, error: &ClientError) -> Line {
        let cure = error.help().unwrap_or("look at the API's log");
        self.fail(error.summary(), cure)
    }

    /// Unknown, as the failure says.
    #[must_use]
    pub fn unknown_by(self, failure: &Failure) -> Line {
        let cure = failure
            .cure()
            .unwrap_or("the lines above say what is wrong with the API");
        self.not_checked(failure.detail(), cure)
    }
}

/// All lines, as `--json` shows them.
#[derive(Debug, Serialize)]
pub struct Report {
    version: u32,
    state: State,
    exit_code: u8,
    checks: Vec<Line>,
}

impl Report {
    /// Sums the lines up.
    #[must_use]
    pub fn new(checks: Vec<Line>) -> Self {
        let worst = checks.iter().map(|line| line.state).max();
        // Without any check, nothing is proved.
        let state = worst.unwrap_or(State::NotChecked);
        Self {
            version: 1,
            state,
            exit_code: Self::exit_of(state).code(),
            checks,
        }
    }

    /// How the process ends.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        Self::exit_of(self.state)
    }

    const fn exit_of(state: State) -> Exit {
        match state {
            State::Ok | State::Warn => Exit::Success,
            State::NotChecked => Exit::NotVerified,
            State::Fail => Exit::VerifyFailed,
        }
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self, output: Output) -> String {
        let mut table = Table::new(&["STATE", "CHECK", "OF", "SEEN"]);
        for line in &self.checks {
            table.row([
                Cell::new(line.state.word(), line.state.tone()),
                line.check.as_str().into(),
                line.of.as_str().into(),
                line.seen.as_str().into(),
            ]);
        }
        let table = table.render(output.colour, "");
        let mut text = String::new();
        for (row, line) in table
            .lines()
            .zip(std::iter::once(None).chain(self.checks.iter().map(Some)))
        {
            text.push_str(row);
            text.push('\n');
            if let Some(cure) = line.and_then(|line| line.cure.as_deref()) {
                let _ = writeln!(text, "             cure: {}", clean(cure));
            }
        }
        let count = |state| self.checks.iter().filter(|line| line.state == state).count();
        let _ = writeln!(
            text,
            "{} ok, {} warned of, {} failed, {} not checked",
            count(State::Ok),
            count(State::Warn),
            count(State::Fail),
            count(State::NotChecked)
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_line_decides() {
        let line = |state| Check::new("c", "x").line(state, "", None);
        for (states, code) in [
            (&[State::Ok, State::Warn][..], 0),
            (&[State::Ok, State::NotChecked, State::Warn], 31),
            (&[State::NotChecked, State::Fail, State::Ok], 30),
            (&[], 31),
        ] {
            let report = Report::new(states.iter().map(|state| line(*state)).collect());
            assert_eq!((report.exit().code(), report.exit_code), (code, code));
        }
    }
}
