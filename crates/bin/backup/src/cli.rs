//! The command line.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use slipway_telemetry::error_chain;
use slipway_text::{escape_json, scrub};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, Config};
use crate::failure::{BackupFailure, Result};
use crate::kind::BackupKind;
use crate::members::{self, Members};
use crate::restore::{self, RestoreRequest, time::Target};
use crate::{clock, exporter, files, list, now, status, turn, wal};

/// Backs up a stack's database, proves that it restores, and restores it.
///
/// docs/backup-and-restore.md has the steps for each disaster.
#[derive(Debug, Parser)]
#[command(name = "slipway-backup", version)]
struct Cli {
    /// The configuration, where it is not /etc/slipway/backup/STACK.json
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The stack; not needed where there is one
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "config")]
    stack: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say how the backups are; status 1 when one has failed or is late
    Status {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make backups now
    Now {
        /// What to make
        #[arg(long, default_value = "all")]
        kind: BackupChoice,
        /// In this process, with its account, also where a unit could do it
        #[arg(long)]
        here: bool,
    },
    /// Say what there is to restore from
    List {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Read everything that is kept and compare it with its checksums
    Verify {
        /// In this process, also where a unit could do it
        #[arg(long)]
        here: bool,
    },
    /// Restore the newest backup into a scratch server and compare it with what was recorded
    Drill {
        /// In this process, also where a unit could do it
        #[arg(long)]
        here: bool,
    },
    /// Bring something back, beside what runs
    Restore(Restore),
    /// Make the stanza of pgBackRest and a first base backup, unless they are there
    Prepare,
    /// Serve /metrics and /status on the loopback interface, for all stacks of the host
    Exporter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BackupChoice {
    /// A logical dump
    Dump,
    /// A base backup of the server's files
    WalBase,
    /// A copy at another place
    Offsite,
    /// Those three, in this order
    All,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("wanted").required(true).args(["to", "dump", "offsite", "resume"])))]
struct Restore {
    /// The whole server as it was at this moment (2026-11-22T23:45:33Z), or `latest`
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The dump of this id, or `latest`
    #[arg(long, value_name = "ID")]
    dump: Option<String>,
    /// The files of this off-site copy, or `latest`
    #[arg(long, value_name = "SNAPSHOT")]
    offsite: Option<String>,
    /// Finish a restore of a cluster that was cut short, or go back to what was there
    #[arg(long, conflicts_with_all = ["into", "swap", "replace", "timeline", "pause"])]
    resume: bool,
    /// A new folder (--to, --offsite) or a new database (--dump)
    #[arg(long, value_name = "WHERE")]
    into: Option<String>,
    /// With --dump: put it in the live database's place, which is kept under another name
    #[arg(long, conflicts_with_all = ["into", "to", "offsite"])]
    swap: bool,
    /// With --to: in place of the stopped server's data folder, which is kept under another name
    #[arg(long, conflicts_with_all = ["into", "dump", "offsite"])]
    replace: bool,
    /// With --to: along this timeline: `current`, `latest` or a number
    #[arg(long, conflicts_with_all = ["dump", "offsite"], value_name = "TIMELINE")]
    timeline: Option<String>,
    /// With --to: stop at the moment and stay read-only, instead of going on from there
    #[arg(long, conflicts_with_all = ["dump", "offsite"])]
    pause: bool,
}

/// Runs what the process's own command line says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    // One thread: a program dies with the thread that started it, and this one lives as long as the process.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(bounded(cli)),
        Err(error) => Err(BackupFailure::new(format!("cannot start: {error}"))),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            report(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Ends with everything it started when a signal says so.
async fn bounded(cli: Cli) -> Result<ExitCode> {
    let signals =
        signal(SignalKind::terminate()).and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
    let (mut term, mut int) =
        signals.map_err(|error| BackupFailure::new(format!("cannot watch for signals: {error}")))?;
    // The exporter has its own way to end.
    if matches!(cli.command, Command::Exporter) {
        return dispatch(cli).await;
    }
    tokio::select! {
        result = dispatch(cli) => result,
        _ = term.recv() => Err(BackupFailure::new("stopped by SIGTERM; the next run cleans up")),
        _ = int.recv() => Err(BackupFailure::new("stopped by SIGINT; the next run cleans up")),
    }
}

async fn dispatch(cli: Cli) -> Result<ExitCode> {
    if matches!(cli.command, Command::Exporter) {
        return serve(cli.config.as_deref()).await;
    }
    let config = Config::read(&config::find(cli.config.as_deref(), cli.stack.as_deref())?)?;
    files::share_like(&config.state_dir);
    match cli.command {
        Command::Status { json } => {
            become_user(config.user.as_ref())?;
            let status = status::collect(&config, clock::now()).await;
            print(&if json {
                pretty(&status)?
            } else {
                status::text(&status)
            });
            Ok(if status.ok {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Command::List { json } => {
            let listing = list::collect(&config).await;
            print(&if json {
                pretty(&listing)?
            } else {
                list::text(&listing)
            });
            Ok(if listing.problems.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Command::Now { kind, here } => make(&config, kind, here).await,
        Command::Verify { here } => one(&config, BackupKind::Verify, here).await,
        Command::Drill { here } => one(&config, BackupKind::Drill, here).await,
        Command::Prepare => {
            if let Some(why) = turn::not_ours(&config, BackupKind::WalBase).await? {
                say("wal-base", &why);
                return Ok(ExitCode::SUCCESS);
            }
            if wal::prepare(&config).await? {
                say("wal-base", "the stanza and a base backup are there");
                return Ok(ExitCode::SUCCESS);
            }
            one(&config, BackupKind::WalBase, true).await
        }
        Command::Restore(args) => {
            let wanted = wanted(args)?;
            // A copy's password is for root's eyes.
            if !matches!(wanted, RestoreRequest::Offsite { .. }) {
                let asks = matches!(
                    wanted,
                    RestoreRequest::Resume | RestoreRequest::Time { replace: true, .. }
                );
                let cluster = config.cluster.as_ref().filter(|_| asks);
                become_user_with(config.postgres_user.as_ref(), cluster)?;
            }
            print(&(restore::run(&config, wanted).await? + "\n"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Exporter => Ok(ExitCode::SUCCESS),
    }
}

async fn serve(file: Option<&Path>) -> Result<ExitCode> {
    let files = match file {
        Some(file) => vec![file.to_owned()],
        None => config::all(Path::new(config::FOLDER))?,
    };
    let configs = files
        .iter()
        .map(|file| Config::read(file))
        .collect::<Result<Vec<_>>>()?;
    let served = async { exporter::run(configs.clone(), exporter::address(&configs)?).await };
    served
        .await
        .map_err(|error| BackupFailure::new(error_chain(error.as_ref())))?;
    Ok(ExitCode::SUCCESS)
}

async fn make(config: &Config, what: BackupChoice, here: bool) -> Result<ExitCode> {
    let wanted = match what {
        BackupChoice::Dump => vec![BackupKind::Dump],
        BackupChoice::WalBase => vec![BackupKind::WalBase],
        BackupChoice::Offsite => vec![BackupKind::Offsite],
        BackupChoice::All => [BackupKind::Dump, BackupKind::WalBase, BackupKind::Offsite]
            .into_iter()
            .filter(|kind| config.times(*kind).is_some())
            .collect(),
    };
    let mut code = ExitCode::SUCCESS;
    // One that fails does not keep the others from being made.
    for kind in wanted {
        if let Err(failure) = one(config, kind, here).await {
            report(&failure.during(kind));
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

async fn one(config: &Config, kind: BackupKind, here: bool) -> Result<ExitCode> {
    let detail = if here {
        now::here(config, kind).await?.detail
    } else {
        now::run(config, kind).await?
    };
    say(kind.name(), &detail);
    Ok(ExitCode::SUCCESS)
}

fn wanted(args: Restore) -> Result<RestoreRequest> {
    if args.resume {
        return Ok(RestoreRequest::Resume);
    }
    if let Some(id) = args.dump {
        return Ok(RestoreRequest::Dump {
            id,
            into: args.into,
            swap: args.swap,
        });
    }
    if let Some(snapshot) = args.offsite {
        let into = args.into.map(PathBuf::from);
        let into =
            into.ok_or_else(|| BackupFailure::new("--offsite needs a folder").cure("say --into FOLDER"))?;
        return Ok(RestoreRequest::Offsite { snapshot, into });
    }
    let target = match args.to.as_deref() {
        None | Some("latest") => Target::Latest,
        Some(text) => Target::Time(restore::parse_time(text)?),
    };
    Ok(RestoreRequest::Time {
        target,
        into: args.into.map(PathBuf::from),
        replace: args.replace,
        timeline: args.timeline,
        pause: args.pause,
    })
}

/// The server knows its clients by their accounts, and Postgres' own programs refuse root: root goes on as `user`.
fn become_user(user: Option<&String>) -> Result<()> {
    become_user_with(user, None)
}

/// The same, with the password of who may change the cluster: only root can read its file.
fn become_user_with(user: Option<&String>, cluster: Option<&Members>) -> Result<()> {
    let Some(user) = user.filter(|_| rustix::process::geteuid().is_root()) else {
        return Ok(());
    };
    let program = std::env::current_exe()
        .map_err(|error| BackupFailure::new(format!("cannot find myself: {error}")))?;
    let mut words: Vec<OsString> = vec!["-u".into(), user.into(), "--".into(), program.into()];
    words.extend(std::env::args_os().skip(1));
    let mut command = std::process::Command::new("runuser");
    if let Some(cluster) = cluster {
        command.env(members::PASSWORD, cluster.password()?.expose());
    }
    let error = command.args(words).exec();
    Err(BackupFailure::new(format!("cannot become {user}: {error}"))
        .cure("install util-linux, which has runuser"))
}

fn pretty<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map(|json| escape_json(&json).into_owned() + "\n")
        .map_err(|error| BackupFailure::new(error.to_string()))
}

pub(crate) fn say(kind: &str, detail: &str) {
    print(&format!("{kind}: {detail}\n"));
}

/// To standard output, which may be a closed pipe. Of several lines, with nothing hidden in them.
fn print(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(scrub(text).as_bytes());
}

#[expect(
    clippy::print_stderr,
    reason = "the one place where a person is told of a failure"
)]
fn report(failure: &BackupFailure) {
    eprintln!("slipway-backup: {}", scrub(&failure.to_string()));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn contradictions_are_refused() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        for line in [
            "slipway-backup restore",
            "slipway-backup restore --to latest --dump x",
            "slipway-backup restore --dump x --replace",
            "slipway-backup restore --to latest --swap",
            "slipway-backup restore --to latest --replace --into /x",
            "slipway-backup now --kind everything",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("slipway-backup restore --dump latest --swap --stack shop").is_ok());
        let Ok(Cli {
            command: Command::Restore(args),
            ..
        }) = parse("slipway-backup restore --offsite latest")
        else {
            panic!("not understood");
        };
        assert!(wanted(args).unwrap_err().mentions("--offsite needs a folder"));
    }
}
