//! Environments and their hosts.

mod drift;
mod environments;
mod hosts;
mod membership;

pub(crate) use hosts::offline_after;
