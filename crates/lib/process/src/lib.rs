//! Other programs and processes: run one within bounds, know one again by more than its number, take turns by a lock.
//!
//! The agent runs Nix, systemd's tools and checks with it. `slipway-backup` runs the programs of Postgres, pgBackRest and
//! restic, and `slipway-dev` everything that a run on one machine starts. The crate knows nothing of releases, stacks or
//! databases. It must never start a shell, or signal a process whose number somebody else may have by now.
//!
//! | module | what it holds |
//! |---|---|
//! | [`run`](mod@run) | a program from its start to its end: bounded time, bounded output, its last words |
//! | [`running`] | a program that leads a process group and takes the group with it |
//! | [`id`] | processes and groups by number, start and boot |
//! | [`lock`] | locks on files, which the kernel takes back from the dead |
//! | [`output`] | what is kept of a program's output |

pub mod id;
pub mod lock;
pub mod output;
pub mod run;
pub mod running;

mod find;

pub use find::{find, find_in};
pub use id::{ProcessId, boot_id};
pub use lock::{FileLock, LockError};
pub use output::OutputTail;
pub use run::{ProgramOutput, capture, run};
pub use running::{RunLimits, RunOutcome, RunningProgram};
