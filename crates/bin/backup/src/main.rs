//! `slipway-backup`: backs up a stack's database, proves that it restores, and restores it.

use std::process::ExitCode;

fn main() -> ExitCode {
    slipway_settings::forbid_core_dumps();
    slipway_backup::cli::main()
}
