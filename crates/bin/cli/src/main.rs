//! `slipway`, the command line of Slipway. See `slipway --help` and docs/cli.md.

use std::process::ExitCode;

use clap::Parser as _;
use slipway::args::SlipwayCli;
use slipway::context::{Context, Surroundings};
use slipway::failure::without_far_suggestions;
use slipway::trace::CommandTrace;
use slipway::{CliFailure, Exit, commands};
use tracing::Instrument as _;

fn main() -> ExitCode {
    // Looked for by hand, as it must hold for arguments that cannot be read too.
    let json = std::env::args_os().skip(1).any(|arg| arg == "--json");
    let cli = match SlipwayCli::try_parse().map_err(without_far_suggestions) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && json => return CliFailure::from(&error).report(true).into(),
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Success
            };
            // If this cannot be written, there is no other way to report it.
            let _ = error.print();
            return exit.into();
        }
    };
    let context = Context::new(Surroundings::read(), cli.global);
    let trace = CommandTrace::begin(context.given_trace(), &context.output);
    let context = context.under(trace.place.clone());
    let work = commands::run(&context, cli.command).instrument(trace.span.clone());
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliFailure::io("cannot begin", &error))
        .and_then(|runtime| runtime.block_on(work));
    let exit = outcome.unwrap_or_else(|failure| failure.report(context.output.json));
    trace.end(exit.code());
    exit.into()
}
