//! Runs of a switch script or a hook that outlive the agent.
//!
//! A job is `slipway-agent supervise`, started apart from the agent (in a transient unit or a separate session). It leaves
//! four files, from which later processes learn its state. It writes a *claim* with its pid before anything runs. It notes
//! the script's process (*child*) before that process runs the script. A *log* and an *exit* record follow. Only one process
//! can write the claim. An agent that finds none writes it itself, and then nothing can ever run under that name.

mod files;
mod gate;
mod log;
mod printed;
mod supervise;

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use slipway_domain::agent::HookPoint;
use slipway_domain::{AttemptId, StorePath, TraceParent};
use slipway_process::RunOutcome;

use crate::door::Runnable;
pub use files::{JobFiles, JobState};
pub use gate::{gate_command, wait_at_gate};
pub use printed::{FIRST_BYTES, LAST_BYTES, PIECE_BYTES, Printed, PrintedPiece};
pub use supervise::{SuperviseError, SupervisedJob, supervise};

/// Of an attempt's id.
const UUID_CHARS: usize = 36;

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// `switch-to-configuration test` of the new closure.
    Activate,
    /// `switch-to-configuration boot` of the new closure.
    Commit,
    /// `switch-to-configuration test` of the prior.
    Revert,
    /// `switch-to-configuration boot` of the prior.
    RevertBoot,
    /// A hook of the new closure before the switch to it.
    BeforeActivate,
    /// A hook of the new closure after its commit.
    AfterCommit,
    /// A hook of the prior before the switch back to it.
    BeforeRevert,
    /// A hook of the prior once the host has settled on it again.
    AfterRevert,
    /// Makes the boot loader boot the new closure once.
    BootOnce,
    /// Takes back what [`JobKind::BootOnce`] did.
    BootClear,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Activate,
        Self::Commit,
        Self::Revert,
        Self::RevertBoot,
        Self::BeforeActivate,
        Self::AfterCommit,
        Self::BeforeRevert,
        Self::AfterRevert,
        Self::BootOnce,
        Self::BootClear,
    ];

    /// The name in file and unit names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Commit => "commit",
            Self::Revert => "revert",
            Self::RevertBoot => "revert-boot",
            Self::BeforeActivate => "before-activate",
            Self::AfterCommit => "after-commit",
            Self::BeforeRevert => "before-revert",
            Self::AfterRevert => "after-revert",
            Self::BootOnce => "boot-once",
            Self::BootClear => "boot-clear",
        }
    }

    /// The argument of the switch script, the list of the hook, or the agent's own command.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Activate | Self::Revert => "test",
            Self::Commit | Self::RevertBoot => "boot",
            Self::BeforeActivate | Self::BeforeRevert => HookPoint::BeforeActivate.as_str(),
            Self::AfterCommit | Self::AfterRevert => HookPoint::AfterCommit.as_str(),
            Self::BootOnce | Self::BootClear => self.as_str(),
        }
    }
}

/// A job's name: its kind, the attempt and the number of the try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobId {
    /// What for.
    pub kind: JobKind,
    /// For which attempt.
    pub attempt: AttemptId,
    /// Counts tries, from 1.
    pub serial: u32,
}

impl JobId {
    /// The first try.
    #[must_use]
    pub const fn first(kind: JobKind, attempt: AttemptId) -> Self {
        Self {
            kind,
            attempt,
            serial: 1,
        }
    }

    /// The try after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self {
            serial: self.serial + 1,
            ..self
        }
    }
}

impl JobId {
    /// The name of a job's files, read.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (rest, serial) = name.rsplit_once('-')?;
        let at = rest.len().checked_sub(UUID_CHARS)?;
        let attempt = rest.get(at..)?.parse().ok()?;
        let kind = rest.get(..at)?.strip_suffix('-')?;
        Some(Self {
            kind: JobKind::ALL.into_iter().find(|known| known.as_str() == kind)?,
            attempt,
            serial: serial.parse().ok()?,
        })
    }

    /// The name within its attempt.
    #[must_use]
    pub fn label(self) -> String {
        format!("{}-{}", self.kind.as_str(), self.serial)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.kind.as_str(), self.attempt, self.serial)
    }
}

/// A job to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The closure whose switch script or hook runs. For boot entries: the one that stays the boot default.
    pub closure: Runnable,
    /// The longest run; then the script and its process group are killed.
    pub timeout: Duration,
    /// Where spans of the script's own programs hang, in their environment as `TRACEPARENT`.
    pub traceparent: Option<TraceParent>,
    /// What runs in place of the switch script.
    pub hook: Option<HookRun>,
    /// What is booted once, for [`JobKind::BootOnce`].
    pub once: Option<BootOnce>,
}

/// A closure that is to be booted once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootOnce {
    /// The closure.
    pub closure: StorePath,
    /// What the dead-man of that boot puts back.
    pub prior: Runnable,
    /// When it does, in seconds after the boot.
    pub deadman_seconds: u32,
}

/// A run of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRun {
    /// Its name.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What ran, or runs, on the host when the closure of the hook takes its place.
    pub prior: Option<StorePath>,
}

impl Job {
    /// The program and its arguments.
    pub(crate) fn command(&self, agent_exe: &Path) -> Vec<String> {
        let action = self.id.kind.action().to_owned();
        match (&self.hook, self.id.kind) {
            (Some(hook), _) => hook.command.clone(),
            (None, JobKind::BootOnce | JobKind::BootClear) => {
                let mut line = vec![
                    agent_exe.display().to_string(),
                    action,
                    self.id.attempt.to_string(),
                ];
                let mut option = |name: &str, value: String| line.extend([format!("--{name}"), value]);
                option("default", self.closure.path().to_string());
                if let Some(once) = &self.once {
                    option("closure", once.closure.to_string());
                    option("prior", once.prior.path().to_string());
                    option("deadman-seconds", once.deadman_seconds.to_string());
                }
                line
            }
            (None, _) => vec![self.closure.switch_script().display().to_string(), action],
        }
    }

    /// What the program sees of the attempt: nothing secret, since anybody may read a unit's properties.
    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = Vec::new();
        if let Some(place) = &self.traceparent {
            env.push(("TRACEPARENT", place.as_str().to_owned()));
        }
        if let Some(hook) = &self.hook {
            env.push(("SLIPWAY_HOOK", hook.name.clone()));
            env.push(("SLIPWAY_ATTEMPT", self.id.attempt.to_string()));
            env.push(("SLIPWAY_CLOSURE", self.closure.path().to_string()));
            env.extend(
                hook.prior
                    .iter()
                    .map(|prior| ("SLIPWAY_PRIOR", prior.to_string())),
            );
        }
        env
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobExit {
    /// In which way.
    pub end: JobEnd,
    /// The last lines of its output.
    pub tail: String,
}

/// In which way a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEnd {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It ran for too long and was killed.
    TimedOut {
        /// The bound.
        seconds: u64,
    },
    /// It could not be started.
    NotStarted(String),
}

impl JobEnd {
    /// How a run within the bound ended.
    #[must_use]
    pub fn of(outcome: RunOutcome, bound: Duration) -> Self {
        match outcome {
            RunOutcome::Exited(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Self::Exited(code),
                (None, Some(signal)) => Self::Killed(signal),
                (None, None) => Self::NotStarted(status.to_string()),
            },
            RunOutcome::Failed(error) => Self::NotStarted(error.to_string()),
            RunOutcome::TimedOut => Self::TimedOut {
                seconds: bound.as_secs(),
            },
        }
    }
}

impl JobExit {
    /// Whether the script did what it was asked.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.end, JobEnd::Exited(0))
    }

    /// Whether the script did what it was asked, and found units failed when it had: NixOS' scripts then end with 4. It
    /// counts all that are failed, whenever and why ever they did.
    #[must_use]
    pub const fn is_with_failed_units(&self) -> bool {
        matches!(self.end, JobEnd::Exited(4))
    }
}

impl fmt::Display for JobExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            JobEnd::Exited(code) => write!(f, "exited with status {code}")?,
            JobEnd::Killed(signal) => write!(f, "was killed by signal {signal}")?,
            JobEnd::TimedOut { seconds } => write!(f, "did not end within {seconds} s and was killed")?,
            JobEnd::NotStarted(why) => write!(f, "could not be started: {why}")?,
        }
        let tail = crate::text::last_lines(&self.tail, 5);
        if tail.is_empty() {
            Ok(())
        } else {
            write!(f, ": {tail}")
        }
    }
}
