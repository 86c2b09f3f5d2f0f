//! Environments and their hosts.

mod drift;
mod environments;
mod freezes;
mod hosts;
mod live;
mod membership;
mod rest;
mod standings;
mod watched;

pub use freezes::NewFreeze;
pub(crate) use hosts::offline_after;
pub use standings::HostsOf;
pub use watched::{Waiting, WaitingRollout, WatchedFleet, WatchedHost};
