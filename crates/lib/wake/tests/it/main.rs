//! Wake-ups through a real Redis: every test starts servers of its own, `redis-server` from the path.

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

#[cfg(target_os = "linux")]
mod cluster;
mod counting;
mod delivery;
#[cfg(target_os = "linux")]
mod failover;
mod outage;
mod places;
mod server;
#[cfg(target_os = "linux")]
mod tls;
