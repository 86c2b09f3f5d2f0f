//! One host's agent: asks the control plane what to do, and has the executor of `slipway-host` do it.
//!
//! Two parts work side by side. The [`sync`] loop posts what the host looks like and takes the answer; the executor acts.
//! They share two values and nothing else: the newest instruction, and the newest view. Losing the control plane stops
//! the one and not the other.

pub mod backoff;
pub mod cli;
mod local;
mod plane;
mod revert;
mod run;
mod status;
mod supervise;
pub mod sync;
