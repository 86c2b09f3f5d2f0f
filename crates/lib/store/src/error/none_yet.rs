//! What `latest` and `previous` mean while there is nothing that they could.

use slipway_domain::EnvironmentName;
use slipway_wire::release::ReleaseLabel;

/// There is none yet. The words say so without the word that was given: often nobody typed it.
#[derive(Debug, thiserror::Error)]
pub enum NoneYet {
    /// No release at all.
    #[error("no release was registered yet; register one: slipway release create")]
    Release,
    /// None that could be rolled out in this environment.
    #[error(
        "no release could be rolled out in `{0}` yet: it takes a closure for a host of `{0}`; register one: slipway \
         release create"
    )]
    ReleaseFor(EnvironmentName),
    /// None that the environment ran before.
    #[error(
        "{}; see `slipway rollout list --env {environment}`",
        match present {
            Some(present) => format!("`{environment}` ran no other release before {present}"),
            None => format!("`{environment}` ran no other release before"),
        }
    )]
    ReleaseBefore {
        /// The environment.
        environment: EnvironmentName,
        /// What it runs.
        present: Option<ReleaseLabel>,
    },
    /// No rollout at all.
    #[error("there was no rollout yet; start one: slipway rollout start ENV RELEASE")]
    Rollout,
    /// None of this environment.
    #[error("`{0}` had no rollout yet; start one: slipway rollout start {0} RELEASE")]
    RolloutOf(EnvironmentName),
    /// Only one.
    #[error("there was no rollout before the newest; `slipway rollout list` shows it")]
    RolloutBefore,
}
