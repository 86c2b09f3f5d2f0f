//! How a rollout treats its hosts.
//!
//! Every field has a default, so `{}` is a valid strategy. Durations are whole seconds. Unknown fields are ignored
//! here, for these types are stored and received; [`strict`] reads what people send.

mod check;
mod group;
mod order;
mod reboot;
mod share;
pub mod strict;

pub use check::{MAX_GROUPS, MAX_RETRIES, MAX_SECONDS, StrategyProblem, StrategyProblems};
pub use group::Group;
pub use reboot::Reboot;
pub use share::{Canary, Share};

use serde::{Deserialize, Serialize};

/// A rollout's strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Strategy {
    /// Groups of hosts that go one after the other: a group begins when the one before is through. Hosts that no entry
    /// names come last, as a group of their own. Without entries, all hosts are one group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Group>,
    /// Hosts of each group that go first, alone: a number of hosts, or their names. 0 is no canary.
    pub canary: Canary,
    /// Hosts a wave after the canary: a number, or a share of the group such as `"25%"`.
    pub batch: Share,
    /// Hosts of the environment that may be out at once because of rollouts: a number, or a share.
    pub max_unavailable: Share,
    /// How long a host's checks must go on passing before the host counts as verified.
    pub bake_seconds: u32,
    /// How the checks that a closure carries are run.
    pub verify: Verify,
    /// What to do when a host fails.
    pub on_failure: OnFailure,
    /// What to do about a host that is offline when its turn comes.
    pub offline: Offline,
    /// How often a failed host is tried again, each time with a new attempt id.
    pub retries: u32,
    /// The bounds of every wait.
    pub limits: Limits,
    /// Checks of the preflight that do not stop the rollout, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip_checks: Vec<String>,
    /// Whether hosts reboot into the release.
    #[serde(skip_serializing_if = "Reboot::is_never")]
    pub reboot: Reboot,
    /// With `reboot: never`: whether a release may become the boot default of a host that must still reboot into it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_pending_reboot: bool,
}

/// How the checks that a closure carries are run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verify {
    /// Passes of all checks in a row that make the host healthy.
    pub passes: u32,
    /// Time between two rounds of checks.
    pub interval_seconds: u32,
    /// Time from the end of the activation by which the passes must be there.
    pub timeout_seconds: u32,
}

/// What to do when a host fails. The host itself always goes back to its prior first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OnFailure {
    /// Only that host goes back; the others go on, unless it was a canary. The rollout ends `failed`.
    RevertHost,
    /// Every host that the rollout touched goes back to its own prior. The rollout ends `reverted`.
    RevertRollout,
    /// Nothing new begins until somebody resumes (the failed hosts are tried again) or aborts.
    Pause,
}

/// What to do about a host that is offline when its turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Offline {
    /// Leave it out; it stays on what it runs.
    Skip,
    /// Wait for it, at most `limits.offline_seconds`; then it counts as failed.
    Wait,
    /// It counts as failed at once.
    Fail,
}

/// The bounds of every wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limits {
    /// Fetching a closure.
    pub stage_seconds: u32,
    /// One run of `switch-to-configuration`.
    pub activate_seconds: u32,
    /// From the beginning of an activation to its commit. Then the host's dead-man puts the prior back, whoever
    /// is or is not there to say so.
    pub deadman_seconds: u32,
    /// Putting the prior back; then the step is `stuck` and needs a person.
    pub revert_seconds: u32,
    /// Waiting for an offline host.
    pub offline_seconds: u32,
    /// Waiting for a person: an approval, or a decision on a paused rollout. Then the rollout is aborted.
    pub person_seconds: u32,
    /// Going down and coming up again, where the strategy reboots hosts. The dead-man waits so much longer.
    #[serde(skip_serializing_if = "is_usual_reboot")]
    pub reboot_seconds: u32,
}

/// The last release refuses a field that it does not know, so what is usual is left out.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands fields over like this"
)]
fn is_usual_reboot(seconds: &u32) -> bool {
    *seconds == Limits::default().reboot_seconds
}

impl Default for Strategy {
    fn default() -> Self {
        Self {
            order: Vec::new(),
            canary: Canary::Number(1),
            batch: Share::Percent(25),
            max_unavailable: Share::Percent(25),
            bake_seconds: 30,
            verify: Verify::default(),
            on_failure: OnFailure::RevertRollout,
            offline: Offline::Skip,
            retries: 0,
            limits: Limits::default(),
            skip_checks: Vec::new(),
            reboot: Reboot::Never,
            allow_pending_reboot: false,
        }
    }
}

impl Default for Verify {
    fn default() -> Self {
        Self {
            passes: 3,
            interval_seconds: 2,
            timeout_seconds: 60,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stage_seconds: 1800,
            activate_seconds: 300,
            deadman_seconds: 1800,
            // A closure with a stack says how long its switch may take, migrations included. With the modules' defaults
            // that is 1280 s, and the agent takes it for either way.
            revert_seconds: 1500,
            offline_seconds: 3600,
            person_seconds: 7 * 24 * 3600,
            // A server with much memory tests it for minutes.
            reboot_seconds: 600,
        }
    }
}

impl Strategy {
    /// How many hosts of a fleet of `hosts` may be out at once; at least one.
    #[must_use]
    pub fn max_out(&self, hosts: usize) -> usize {
        self.max_unavailable.of(hosts)
    }
}
