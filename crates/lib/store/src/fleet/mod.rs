//! Environments and their hosts.

mod drift;
mod environments;
mod hosts;
mod membership;

pub use environments::{Environment, EnvironmentChange, NewEnvironment, Permits};
pub(crate) use hosts::offline_after;
pub use hosts::{Host, HostStep, NewHost};
