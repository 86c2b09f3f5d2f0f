//! `slipway-backup` with real servers: Postgres, pgBackRest and restic of the distribution, private to each test.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails must fail its test"
)]

mod captured;
mod cluster;
mod clustered;
mod dump;
mod exporter;
mod hostile;
mod kills;
mod members;
mod offsite;
mod restored;
mod wal;
