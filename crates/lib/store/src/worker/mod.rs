//! What the worker does: it holds a fenced lease on a rollout, loads a snapshot, and applies changes.
//!
//! A lease has an epoch, which grows whenever the lease changes hands. Every write names the epoch it was decided
//! under, so a worker that was away for longer than its lease writes nothing any more.

mod apply;
mod lease;
mod load;
mod presence;

pub use apply::Applied;
pub use lease::Lease;
pub(crate) use load::load_left_out;
