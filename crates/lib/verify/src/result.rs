//! The result of a check.

use serde::Serialize;
use slipway_client::ClientError;

use crate::Advice;

/// How a check ended. The order is that of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// It works, and somebody should see to it.
    Warn,
    /// It could not be found out.
    NotChecked,
    /// Not as it should be.
    Fail,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// The check: a stable name.
    pub check: String,
    /// What was checked: a stack, an address or a host.
    pub of: String,
    /// How it ended.
    pub state: CheckState,
    /// What the check saw.
    pub seen: String,
    /// What to do about it.
    pub cure: Option<String>,
}

/// A check that has no result yet.
#[derive(Debug, Clone)]
pub struct PendingCheck {
    check: String,
    of: String,
}

impl PendingCheck {
    /// Names the check and what it is about.
    pub fn new(check: impl Into<String>, of: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            of: of.into(),
        }
    }

    fn end(self, state: CheckState, seen: impl Into<String>, cure: Option<String>) -> CheckResult {
        CheckResult {
            check: self.check,
            of: self.of,
            state,
            seen: seen.into(),
            cure,
        }
    }

    /// All is well.
    pub fn ok(self, seen: impl Into<String>) -> CheckResult {
        self.end(CheckState::Ok, seen, None)
    }

    /// Well enough.
    pub fn warn(self, seen: impl Into<String>, cure: impl Into<String>) -> CheckResult {
        self.end(CheckState::Warn, seen, Some(cure.into()))
    }

    /// Not well.
    pub fn fail(self, seen: impl Into<String>, cure: impl Into<String>) -> CheckResult {
        self.end(CheckState::Fail, seen, Some(cure.into()))
    }

    /// Unknown.
    pub fn not_checked(self, why: impl Into<String>, cure: impl Into<String>) -> CheckResult {
        self.end(CheckState::NotChecked, why, Some(cure.into()))
    }

    /// Not well, as the client's error says.
    pub(crate) fn fail_by(self, error: &ClientError) -> CheckResult {
        let cure = error.help().unwrap_or("look at the API's log");
        self.fail(error.summary(), cure)
    }

    /// Unknown, as the client's error says.
    pub(crate) fn not_checked_by(self, error: &ClientError, advice: Advice) -> CheckResult {
        let cure = advice(error);
        let cure = cure.as_deref();
        self.not_checked(
            error.summary(),
            cure.unwrap_or("the lines above say what is wrong with the API"),
        )
    }
}
