//! The store against a real Postgres, whose superuser URL is in `DATABASE_URL`. One binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

mod access;
mod agent;
mod apply;
mod audit;
mod decided;
mod drift;
mod fleet;
mod gate;
mod kept;
mod lease;
mod left;
mod lives;
mod lookup;
mod membership;
mod messages;
mod outputs;
mod pgbouncer;
mod pool;
mod preflight;
mod references;
mod related;
mod releases;
mod resilience;
mod roles;
mod rollouts;
mod schema;
mod sessions;
mod sign_in;
mod snapshot;
mod standings;
mod stories;
mod support;
mod swapped;
mod times;
mod tls;
mod walk;
mod watched;
mod whole;
