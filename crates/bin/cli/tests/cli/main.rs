//! The binary as a person or a script meets it, against a scripted API on a real port.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod common;

mod anchor;
mod approvals;
mod arguments;
mod attachments;
mod audit;
mod commands;
mod destinations;
mod diff;
mod exits;
mod flake;
mod hosts;
mod limits;
mod login;
mod open;
mod pages;
mod preflight;
mod printed;
mod reference;
mod signed;
mod times;
mod trace;
mod verify;
mod watch;
