//! What the NixOS modules generate, given to the programs of the distribution that read such files.
//!
//! tests/eval says that the copies in tests/eval/snapshots are what the modules render; this needs no Nix.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

#[path = "../common/mod.rs"]
mod common;
mod door;
mod doors;
mod edge;
mod edge_hosts;
mod host;
mod logs_door;
mod nginx;
mod postgres;
mod proxying;
mod redis;
mod routed;
mod routes;
mod systemd;
