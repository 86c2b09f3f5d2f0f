//! `slipway-worker`: drives rollouts. Any number may run; leases decide which one drives which rollout.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use slipway_settings::{MetricsSettings, Process, SettingsSource, WorkerSettings};
use slipway_telemetry::{HealthTarget, check_health, failure_text};

mod serve;

/// Drives rollouts: reads a snapshot, decides, writes, wakes whom it concerns.
#[derive(Debug, Parser)]
#[command(name = "slipway-worker", version)]
struct Cli {
    #[command(subcommand)]
    command: WorkerCommand,
}

#[derive(Debug, Subcommand)]
enum WorkerCommand {
    /// Drive rollouts until SIGTERM.
    Run,
    /// Ask the running worker's metrics listener whether it works; exit status 1 when it does not.
    Healthcheck,
    /// Print what is in force and where it came from; secrets are redacted.
    Config,
}

fn main() -> ExitCode {
    slipway_settings::forbid_core_dumps();
    let cli = Cli::parse();
    match run(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: &WorkerCommand) -> anyhow::Result<()> {
    let source = SettingsSource::load(Path::new("."))?;
    match command {
        WorkerCommand::Run => serve::run(&source, WorkerSettings::from_source(&source)?),
        WorkerCommand::Healthcheck => healthcheck(&WorkerSettings::from_source(&source)?.metrics),
        WorkerCommand::Config => print_config(&source),
    }
}

/// Asks the metrics listener: the worker serves nothing else.
fn healthcheck(metrics: &MetricsSettings) -> anyhow::Result<()> {
    let addr = metrics.addr(None).context(
        "METRICS_PORT is not set, so there is nothing to ask: set it for worker and health check alike",
    )?;
    check_health(&HealthTarget::Tcp(addr), "/metrics")?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the output of a command for people")]
fn print_config(source: &SettingsSource) -> anyhow::Result<()> {
    println!("{}", slipway_settings::describe(Process::Worker, source));
    WorkerSettings::from_source(source)?;
    Ok(())
}

/// Once, at the boundary, with every cause.
#[expect(
    clippy::print_stderr,
    reason = "logging may not be set up yet, and a person reads this"
)]
fn report(error: &anyhow::Error) {
    eprintln!("{}", failure_text("slipway-worker", error.as_ref()));
}
