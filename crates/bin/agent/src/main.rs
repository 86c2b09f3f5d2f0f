//! `slipway-agent`: activates, checks, commits or reverts one host.

use std::process::ExitCode;

fn main() -> ExitCode {
    slipway_agent::cli::main()
}
