//! The agent's memory: each action is recorded here before it begins.
//!
//! One file, replaced as a whole. Fields are only ever added, so that the agent of the prior closure can read what the
//! agent of the new one wrote. An unreadable file is kept under another name; it is never overwritten or ignored.

mod hooks;
mod reboot;
mod record;
mod store;

pub use hooks::{HooksDue, HooksProgress};
pub use reboot::RebootProgress;
pub use record::{Attempt, Journal, JournalEntry, JournalPhase, PastAttempt};
pub use store::{JournalError, JournalStore, LoadedJournal};
