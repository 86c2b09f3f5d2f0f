//! The agent's memory: what was begun on this machine, written down before it is begun.
//!
//! One file, replaced as a whole. Fields are only ever added, so that the agent of the prior closure can read what the
//! agent of the new one wrote. A file that cannot be read is kept beside, never overwritten and never passed over.

mod lock;
mod record;
mod store;

pub use lock::{LockError, StateLock};
pub use record::{Attempt, Journal, JournalPhase, Known, Past};
pub use store::{JournalError, JournalStore, Loaded};
