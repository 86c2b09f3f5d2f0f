//! Backs up a stack's database, proves that the backups restore, and restores them. Only the program
//! `slipway-backup` uses this crate. It works for any stack, so it must never use the control plane's crates.
//! It must never overwrite or delete a live database without an explicit option.
//!
//! `pg_dump`, pgBackRest and restic do the work. This crate decides when and how they run and bounds their time. It
//! records how they ended, and says what to do when they fail. docs/backup-and-restore.md describes it for people.

pub mod cli;

mod clock;
mod config;
mod content;
mod database;
mod drill;
mod dump;
mod dumps;
mod entries;
mod exporter;
mod failure;
mod files;
#[cfg(test)]
mod fixtures;
mod kind;
mod list;
mod lock;
mod members;
mod now;
mod offsite;
mod program;
mod restore;
mod scratch;
mod secret;
mod shared;
mod state;
mod status;
mod text;
mod toc;
mod turn;
mod verify;
mod wal;
