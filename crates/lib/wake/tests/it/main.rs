//! Wake-ups through a real Redis: every test starts servers of its own, `redis-server` from the path.

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

mod counting;
mod delivery;
mod outage;
mod places;
mod server;
