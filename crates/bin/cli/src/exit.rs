//! Exit codes. Scripts rely on them: a code never changes its meaning.

use std::process::ExitCode;

use slipway_domain::RolloutState;

macro_rules! exits {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal),+ $(,)?) => {
        /// How the process ends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Exit { $($(#[doc = $doc])+ $name = $code),+ }

        impl Exit {
            /// Every code with its meaning, for the reference page.
            pub const ALL: &[(Self, &str)] = &[$((Self::$name, concat!($($doc),+))),+];
        }
    };
}

impl Exit {
    /// Whether a rollout that was watched ended so.
    #[must_use]
    pub const fn is_an_end(self) -> bool {
        matches!(
            self,
            Self::Success | Self::Reverted | Self::Failed | Self::Aborted
        )
    }
}

exits! {
    /// Done; for `rollout watch`, the rollout succeeded.
    Success = 0,
    /// Something unexpected: an internal error of the API, an answer that is none of Slipway's, a local file, a build.
    Internal = 1,
    /// The command line, a setting or an input file is wrong. Nothing was changed.
    Usage = 2,
    /// Not logged in, or the token may not do this.
    Denied = 3,
    /// No such thing.
    NotFound = 4,
    /// The API refused: the request is not valid, or in conflict with what is.
    Refused = 5,
    /// The API cannot be reached or cannot serve now. Trying again later may help.
    Unavailable = 6,
    /// `rollout watch`: the rollout ended `reverted`.
    Reverted = 10,
    /// `rollout watch`: the rollout ended `failed`.
    Failed = 11,
    /// `rollout watch`: the rollout ended `aborted`.
    Aborted = 12,
    /// `rollout watch --until-paused`: the rollout waits for a person, paused or for its approval.
    WaitsForPerson = 13,
    /// `rollout watch --timeout`: the rollout is still under way.
    TimeUp = 14,
    /// `audit verify`, `audit head`, `audit anchor`: the chain of events is not whole, or not as it was noted down.
    AuditBroken = 20,
    /// `verify`, `release verify`, `destination test`: something failed. `preflight`: something blocks.
    VerifyFailed = 30,
    /// `verify`, `preflight --strict`: nothing failed, but something could not be checked.
    NotVerified = 31,
    /// Stopped because the terminal went away (SIGHUP). A rollout that was watched goes on.
    HungUp = 129,
    /// Stopped by Ctrl-C. A rollout that was watched goes on.
    Interrupted = 130,
    /// The reader of the output went away.
    PipeClosed = 141,
    /// Stopped by SIGTERM. A rollout that was watched goes on.
    Terminated = 143,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What a watched rollout's end is.
    #[must_use]
    pub const fn of(state: RolloutState) -> Self {
        match state {
            RolloutState::Reverted => Self::Reverted,
            RolloutState::Failed => Self::Failed,
            RolloutState::Aborted => Self::Aborted,
            RolloutState::PendingApproval | RolloutState::Paused => Self::WaitsForPerson,
            RolloutState::Staging | RolloutState::Rolling | RolloutState::Reverting => Self::TimeUp,
            RolloutState::Succeeded => Self::Success,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
