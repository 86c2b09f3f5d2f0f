//! What an agent does to a machine. The agent uses this crate, and tests use it with a fake machine. It must
//! never run a closure that has not passed [`door`], and never act before the journal says so.
//!
//! [`Host`] is the machine in small steps; [`Machine`] is the real one (Nix with systemd, or with plain processes). Only
//! [`Executor`] takes those steps. It carries out instructions and writes the [`journal`] before it acts. After a crash
//! it finishes what the journal says.
//!
//! | module | what it holds |
//! |---|---|
//! | [`executor`] | stage, activate, verify, commit, revert, and recovery |
//! | [`door`] | what may be run at all |
//! | [`journal`] | the agent's memory on disk, its lock and its reserve of room |
//! | [`job`] | runs of a switch script that outlive the agent |
//! | [`deadman`] | the watchdog that puts the prior back when nobody else does |
//! | [`checks`] | what a closure says of its own health |
//! | [`nix`] | fetching, profiles, garbage collector roots |
//! | [`runner`] | systemd units or processes in sessions of their own |
//! | [`clock`], [`config`] | time, and where things are |

pub mod boot_id;
mod bound;
pub mod checks;
pub mod clock;
pub mod config;
pub mod deadman;
pub mod door;
pub mod executor;
pub mod host;
pub mod job;
pub mod journal;
pub mod machine;
pub mod nix;
pub mod runner;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

mod failpoint;
#[cfg(test)]
mod fixtures;
mod seal;
mod text;

pub use clock::{Clock, SystemClock};
pub use config::{HostConfig, RunnerKind};
pub use door::Runnable;
pub use executor::{Executor, Fired, View};
pub use host::{Host, Seen};
pub use journal::{Journal, JournalPhase, JournalStore};
pub use machine::Machine;
