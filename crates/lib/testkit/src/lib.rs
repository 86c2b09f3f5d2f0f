//! Databases, fleets and agents for tests. Crates use it only as a dev-dependency. It must never be part of a
//! program.
//!
//! Everything here panics if something is not as a test expects, so that the test fails.

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

mod agent;
mod collector;
mod cpu;
mod database;
mod fleet;
mod instructions;
mod net;
pub mod oidc;
mod redis;
mod wait;

pub use agent::ScriptedAgent;
pub use collector::{Collector, ReceivedSpan};
pub use cpu::thread_cpu_time;
pub use database::{begin, database_password, database_url, empty, measure_in};
pub use fleet::{Fleet, FleetBuilder, closure};
pub use instructions::{assert_costs_as_before, measured, measured_async, thousands_of_instructions};
pub use net::free_port;
pub use redis::TestRedis;
pub use wait::wait_until;

use slipway_store::{AuditKey, Store};
use sqlx::PgPool;

/// A key that seals events in tests.
#[must_use]
pub fn audit_key() -> AuditKey {
    AuditKey::from_bytes(&[7; 32])
}

/// A store on a test's own database.
#[must_use]
pub fn store(pool: &PgPool) -> Store {
    Store::from_pool(pool.clone())
}
