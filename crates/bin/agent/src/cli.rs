//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use slipway_domain::{AttemptId, StorePath};
use slipway_settings::{AgentSettings, Process, SettingsSource};
use slipway_telemetry::failure_text;
use slipway_text::scrub;

use crate::collect::CollectArgs;
use crate::{boot, collect, local, revert, run, status, supervise};

/// Fetches, activates, checks, commits or reverts this host's system, as the control plane says.
///
/// Settings come from the environment; docs/agent.md lists them.
#[derive(Debug, Parser)]
#[command(name = "slipway-agent", version)]
struct Cli {
    #[command(subcommand)]
    command: AgentCommand,
}

#[derive(Debug, Subcommand)]
enum AgentCommand {
    /// Serve this host until SIGTERM.
    Run,
    /// Put an attempt's prior back, unless it was committed or is over. What the dead-man runs; needs no network.
    Revert(RevertArgs),
    /// Print the journal and what the host looks like.
    Status {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Remove earlier generations of the system and what nothing needs any more. Never beside an attempt.
    Collect(CollectArgs),
    /// Print what is in force and where it came from; secrets are redacted.
    Config,
    /// Wait for the dead-man's deadline, then `revert`.
    #[command(hide = true)]
    Deadman {
        #[command(flatten)]
        revert: RevertArgs,
        /// From now to the deadline.
        seconds: u32,
    },
    /// Run a switch script, bound it, and record how it ended.
    #[command(hide = true)]
    Supervise(SuperviseArgs),
    /// Write a closure's boot entry and have the boot loader boot it once.
    #[command(hide = true)]
    BootOnce(BootOnceArgs),
    /// Take that back.
    #[command(hide = true)]
    BootClear {
        #[command(flatten)]
        boot: BootArgs,
    },
    /// Wait for the supervisor's word, then become the switch script.
    #[command(hide = true)]
    Gate(GateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RevertArgs {
    /// The attempt's id.
    pub(crate) attempt: AttemptId,
    /// What to go back to if the journal was lost and everything else bears it out.
    #[arg(long)]
    pub(crate) prior: Option<StorePath>,
}

#[derive(Debug, Args)]
pub(crate) struct SuperviseArgs {
    #[arg(long)]
    pub(crate) state_dir: PathBuf,
    #[arg(long)]
    pub(crate) name: String,
    #[arg(long, value_parser = seconds)]
    pub(crate) seconds: Duration,
    #[arg(long)]
    pub(crate) echo: bool,
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BootArgs {
    /// The attempt's id.
    pub(crate) attempt: AttemptId,
    /// What stays, or becomes again, the boot default.
    #[arg(long)]
    pub(crate) default: StorePath,
}

#[derive(Debug, Args)]
pub(crate) struct BootOnceArgs {
    #[command(flatten)]
    pub(crate) boot: BootArgs,
    /// What is booted once.
    #[arg(long)]
    pub(crate) closure: StorePath,
    /// What the dead-man of that boot puts back.
    #[arg(long)]
    pub(crate) prior: StorePath,
    /// When it does, from that boot on.
    #[arg(long)]
    pub(crate) deadman_seconds: u32,
}

#[derive(Debug, Args)]
pub(crate) struct GateArgs {
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<String>,
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse::<u32>()
        .map(|seconds| Duration::from_secs(seconds.into()))
}

/// Runs what the process's own command line says.
pub(crate) fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: AgentCommand) -> anyhow::Result<ExitCode> {
    match command {
        AgentCommand::Run => {
            let source = SettingsSource::load(Path::new("."))?;
            run::run(&source, AgentSettings::from_source(&source)?)?;
            Ok(ExitCode::SUCCESS)
        }
        AgentCommand::Config => {
            let source = SettingsSource::load(Path::new("."))?;
            print(&slipway_settings::describe(Process::Agent, &source));
            AgentSettings::from_source(&source)?;
            Ok(ExitCode::SUCCESS)
        }
        AgentCommand::Status { json } => status::status(&local::settings()?, json),
        AgentCommand::Collect(arguments) => collect::collect(&local::settings()?, &arguments),
        AgentCommand::Revert(revert) => revert::revert(&local::settings()?, &revert),
        AgentCommand::Deadman { revert, seconds } => revert::deadman(&local::settings()?, &revert, seconds),
        AgentCommand::Supervise(job) => supervise::supervise(job),
        AgentCommand::BootOnce(job) => boot::once(&local::settings()?, job),
        AgentCommand::BootClear { boot } => boot::clear(&local::settings()?, &boot),
        AgentCommand::Gate(script) => Ok(supervise::gate(script)),
    }
}

/// To standard output, which may be a closed pipe. Of several lines, with nothing hidden in them.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(scrub(text).as_bytes());
}

/// Once, at the boundary, with every cause.
#[expect(
    clippy::print_stderr,
    reason = "logging may not be set up yet, and a person reads this"
)]
fn report(error: &anyhow::Error) {
    eprintln!("{}", scrub(&failure_text("slipway-agent", error.as_ref())));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_jobs_command_line_is_understood() {
        let line = "slipway-agent supervise --state-dir /s --name n --seconds 5 -- /x/bin/switch-to-configuration test";
        let AgentCommand::Supervise(job) = Cli::parse_from(line.split(' ')).command else {
            panic!("not supervise");
        };
        assert_eq!(job.seconds, Duration::from_secs(5));
        assert_eq!(job.command, ["/x/bin/switch-to-configuration", "test"]);
    }
}
