//! The executor on a machine in memory, with time moved by the test.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod attempts;
mod hooks;
mod hooks_cut;
mod odd;
mod plans;
mod properties;
mod reboots;
mod recovery;
mod rig;
mod signed;
