//! Rollouts as the api sees them: made, read, and asked for something. Only the worker changes their states.

mod commands;
mod create;
mod read;

pub use commands::CommandInfo;
pub use create::NewRollout;
pub use read::{RolloutDetail, RolloutSummary, StepInfo};
