//! One attempt on a host: its journal, the executor that works through its phases, the verdict over its checks and the
//! dead-man.
//!
//! The agent runs the executor, and so do the dead-man and a person's `slipway-agent revert`. Each is a process of its
//! own, and the journal's lock makes them take turns. The crate decides what is done to a machine and when. It never
//! touches the machine itself: all of that is behind [`slipway_host::HostOperations`]. It knows nothing of HTTP or of
//! the control plane, whose instructions it is handed.
//!
//! The whole path of an attempt is in `executor/phases.rs`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`executor`] | the state machine, a file for each phase |
//! | [`journal`] | what was begun, written down before it is begun |
//! | [`deadman`] | the watchdog that puts the prior back when nobody else does |

pub mod deadman;
pub mod executor;
pub mod journal;

pub use executor::{Executor, ExecutorView, RevertOutcome};
pub use journal::{Journal, JournalPhase, JournalStore};
