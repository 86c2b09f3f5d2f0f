//! `slipway-agent`: activates, checks, commits or reverts one host.

use std::process::ExitCode;

fn main() -> ExitCode {
    slipway_settings::forbid_core_dumps();
    slipway_agent::cli::main()
}
