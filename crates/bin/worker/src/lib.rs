//! The worker's loop, apart from the process around it, so that tests can run several against one database.

mod driver;
mod gauges;
mod tasks;

pub use driver::{Driver, LEASE_SECONDS};
pub use gauges::describe as describe_metrics;
