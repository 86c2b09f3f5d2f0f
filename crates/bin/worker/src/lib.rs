//! The worker: it drives rollouts. The program `slipway-worker` uses this crate, and tests run several
//! workers against one database. It must never write without a lease, and never decide by itself:
//! `slipway_domain::decide` does.

mod contact;
mod driver;
mod families;
mod gauges;
mod tasks;
mod trace;
mod watch;

pub use driver::{Driver, LEASE_SECONDS};
pub use gauges::describe as describe_metrics;
pub use watch::Watched;
