//! Environments and their hosts.

mod drift;
mod environments;
mod hosts;
mod membership;
mod watched;

pub(crate) use hosts::offline_after;
pub use watched::{Waiting, WaitingRollout, WatchedFleet, WatchedHost};
