//! Rollouts for the api, which creates them, reads them and adds commands. Only the worker changes their
//! states.

mod commands;
mod create;
mod read;

pub use commands::NewCommand;
pub use create::NewRollout;
pub use read::RolloutsOf;
