//! Backs up a stack's database, proves that it restores, and restores it.
//!
//! The work is done by `pg_dump`, pgBackRest and restic; this crate decides when and how they run, bounds them in time,
//! records how they ended and says what to do when they fail. docs/backup-and-restore.md describes it for people.

pub mod cli;

mod clock;
mod config;
mod content;
mod database;
mod drill;
mod dump;
mod dumps;
mod exporter;
mod failure;
mod files;
#[cfg(test)]
mod fixtures;
mod kind;
mod list;
mod lock;
mod now;
mod offsite;
mod program;
mod restore;
mod scratch;
mod secret;
mod state;
mod status;
mod text;
mod verify;
mod wal;
