//! `slipway-api`: the HTTP API of the release control plane.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    slipway_settings::forbid_core_dumps();
    slipway_api::cli::run(&slipway_api::cli::Cli::parse())
}
