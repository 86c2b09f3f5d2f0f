//! The outbox against a real Postgres and real receivers. One binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

mod attacks;
mod mail;
mod receiver;
mod sending;
mod support;
mod verify;
