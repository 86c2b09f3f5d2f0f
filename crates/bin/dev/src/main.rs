//! The one entry point for people and CI; `./dev` builds and starts it.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use slipway_dev::cli::{DevCli, DevCommand};
use slipway_dev::postgres::{DevPostgres, Durability};
use slipway_dev::run::base_folder;
use slipway_dev::say::say;
use slipway_dev::session::{Interrupted, with_run};
use slipway_dev::stack::binaries::Binaries;
use slipway_dev::test::stages;
use slipway_dev::{checkout, cluster, demo, faults, services, sqlx, up};

fn main() -> ExitCode {
    let cli = DevCli::parse();
    // One thread: the kernel ties the life of what we start to the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime
        .context("cannot start")
        .and_then(|runtime| runtime.block_on(run(cli)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
                // As a shell reports it. Numbers of signals are below 64.
                return ExitCode::from(128 + u8::try_from(interrupted.signal).unwrap_or(0));
            }
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: DevCli) -> Result<()> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let base = base_folder(target_folder(&program));
    let checkout = checkout::find(cli.checkout.as_deref(), Path::new("."), &program)?;
    match cli.command {
        DevCommand::Services => with_run(&base, services::run).await,
        DevCommand::Sqlx { action } => {
            with_run(&base, async |run| {
                let postgres = DevPostgres::start(run, Durability::Fast).await?;
                sqlx::run(run, &postgres, &checkout, action).await
            })
            .await
        }
        DevCommand::Test { only, nextest } => {
            let plan = stages::StagePlan {
                checkout,
                target: target_folder(&program).to_owned(),
                only,
                nextest,
            };
            with_run(&base, async |run| stages::run(run, &plan).await).await
        }
        DevCommand::Demo { json } => {
            let binaries = Binaries::in_folder(folder_of(&program))?;
            with_run(&base, async |run| demo::run(run, &checkout, binaries, json).await).await
        }
        DevCommand::Faults { only, faster, json } => {
            let binaries = Binaries::in_folder(folder_of(&program))?;
            let wanted = faults::Wanted { only, faster, json };
            with_run(&base, async |run| {
                faults::run(run, &checkout, binaries, &wanted).await
            })
            .await
        }
        DevCommand::Cluster {
            faults,
            data_only,
            seed,
            json,
        } => {
            let binaries = Binaries::in_folder(folder_of(&program))?;
            cluster::namespace::enter(&program)?;
            let wanted = cluster::Wanted {
                faults: faults.map(usize::from),
                seed,
                data_only,
                json,
            };
            with_run(&base, async |run| {
                cluster::run(run, &checkout, &binaries, &wanted).await
            })
            .await
        }
        DevCommand::Bench(_) => bench(&checkout),
        DevCommand::Up {
            hosts,
            monitoring,
            json,
        } => {
            let binaries = Binaries::in_folder(folder_of(&program))?;
            with_run(&base, async |run| {
                let asked = up::Asked {
                    hosts,
                    monitoring,
                    json,
                };
                up::run(run, &checkout, binaries, asked).await
            })
            .await
        }
    }
}

/// Becomes the bench, which cargo builds with what only it needs. It reads the same arguments.
fn bench(checkout: &Path) -> Result<()> {
    let arguments = std::env::args_os().skip(1);
    let error = Command::new("cargo")
        .args([
            "bench",
            "--quiet",
            "--package",
            "slipway-dev",
            "--bench",
            "performance",
            "--",
        ])
        .args(arguments)
        .current_dir(checkout)
        .env("SQLX_OFFLINE", "true")
        .exec();
    Err(error).context("cannot run cargo")
}

fn folder_of(program: &Path) -> &Path {
    program.parent().unwrap_or(Path::new("."))
}

/// `target` of `target/release/slipway-dev`.
fn target_folder(program: &Path) -> &Path {
    let folders: Vec<&Path> = program.ancestors().skip(1).take(2).collect();
    folders.last().copied().unwrap_or(Path::new("target"))
}
