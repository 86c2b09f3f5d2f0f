//! The API over its real router and real Postgres, and the program as a process.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, also in a helper"
)]

mod access;
mod attachments;
mod commands;
mod console;
mod destinations;
mod document;
mod events;
mod fleet;
mod hands;
mod http;
mod instructions;
mod limits;
mod oidc;
mod once;
mod order;
mod output;
mod pages;
mod plans;
mod preflight;
mod process;
mod references;
mod releases;
mod rollouts;
mod signed;
mod support;
mod sync;
mod times;
mod waking;
