//! `slipway-backup`: backs up a stack's database, proves that it restores, and restores it.

use std::process::ExitCode;

fn main() -> ExitCode {
    slipway_backup::cli::main()
}
