//! The result of a check.

use serde::Serialize;
use slipway_client::{ClientError, UnreachableCause};

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
    /// What kept the check from its work, if that keeps others from theirs too.
    #[serde(skip)]
    pub(crate) obstacle: Option<Box<Obstacle>>,
}

/// What kept a check from an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    address: String,
    cause: UnreachableCause,
    /// Whether every request to the address meets it.
    is_general: bool,
}

impl Obstacle {
    /// There is no way to a connection.
    pub(crate) fn to_connecting(address: &str, cause: UnreachableCause) -> Self {
        Self {
            address: address.trim_end_matches('/').to_owned(),
            cause,
            is_general: true,
        }
    }

    fn to_request(error: &ClientError) -> Option<Self> {
        let ClientError::Unreachable { url, cause, .. } = error else {
            return None;
        };
        // An answer that is late or cut may be so for one path alone.
        let is_of_one_answer = matches!(
            cause,
            UnreachableCause::TimedOut
                | UnreachableCause::Closed
                | UnreachableCause::Proxy(_)
                | UnreachableCause::Other
        );
        Some(Self {
            is_general: !is_of_one_answer,
            ..Self::to_connecting(url, *cause)
        })
    }
}

/// Tells a general obstacle once: by the first check that met it. The others were skipped because of it.
pub(crate) fn tell_obstacles_once(results: &mut [CheckResult]) {
    let mut told: Vec<(Obstacle, String)> = Vec::new();
    for result in results {
        let Some(obstacle) = result.obstacle.take() else {
            continue;
        };
        let is_same = |known: &Obstacle| known.address == obstacle.address && known.cause == obstacle.cause;
        if let Some((_, first)) = told.iter().find(|(known, _)| is_same(known)) {
            result.state = CheckState::NotChecked;
            result.seen = format!("skipped because {}", obstacle.cause);
            result.cure = Some(format!("see `{first}` above"));
        } else if obstacle.is_general {
            told.push((*obstacle, result.check.clone()));
        }
    }
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
            obstacle: None,
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
        self.fail(error.summary(), cure).met(Obstacle::to_request(error))
    }

    /// Unknown, as the client's error says.
    pub(crate) fn not_checked_by(self, error: &ClientError, advice: &Advice) -> CheckResult {
        let cure = advice.on(error);
        let cure = cure.as_deref();
        let cure = cure.unwrap_or("the lines above say what is wrong with the API");
        self.not_checked(error.summary(), cure)
            .met(Obstacle::to_request(error))
    }
}

impl CheckResult {
    pub(crate) fn met(mut self, obstacle: Option<Obstacle>) -> Self {
        self.obstacle = obstacle.map(Box::new);
        self
    }
}
