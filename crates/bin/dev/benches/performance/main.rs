//! What Slipway takes, for docs/performance.md: `./dev bench`. It starts the whole stack with release builds.

#![expect(
    clippy::cast_precision_loss,
    reason = "what is measured here is far below 2^52"
)]

mod agent;
mod backup;
mod database;
mod decide;
mod figures;
mod fleet;
mod load;
mod page;
mod pgbench;
mod plot;
mod process;
mod requests;
mod rollouts;
mod sync;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser as _;
use slipway_dev::cli::{BenchArgs, BenchPart, DevCli, DevCommand};
use slipway_dev::run::{Run, base_folder};
use slipway_dev::say::{print, say};
use slipway_dev::session::with_run;
use slipway_dev::stack::DevStack;
use slipway_dev::stack::binaries::Binaries;

use figures::Figures;

/// The committed figures, below the checkout.
const FIGURES: &str = "docs/performance.json";

/// Where things are.
struct Bench {
    checkout: PathBuf,
    target: PathBuf,
    /// The programs that were built as this one was.
    programs: PathBuf,
}

fn main() -> ExitCode {
    // One thread: the kernel ties the life of what we start to the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime
        .context("cannot start")
        .and_then(|runtime| runtime.block_on(measure()));
    if let Err(error) = result {
        say(&format!("error: {error:#}"));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn measure() -> Result<()> {
    // Cargo gives every bench an argument of its own.
    let arguments = std::env::args_os().filter(|argument| argument != "--bench");
    let DevCommand::Bench(asked) = DevCli::parse_from(arguments).command else {
        bail!("start it by `./dev bench`");
    };
    let bench = Bench::find()?;
    let file = bench.checkout.join(FIGURES);
    let binaries = Binaries::in_folder(&bench.programs)?;
    let measured = with_run(&base_folder(&bench.target), async |run| {
        bench.run(run, binaries, &asked).await
    })
    .await?;
    print(&serde_json::to_string_pretty(&measured)?);
    if asked.write {
        let mut figures = if file.exists() {
            Figures::read(&file)?
        } else {
            Figures::default()
        };
        figures.renew(measured);
        figures.write(&file)?;
        page::write(&bench.checkout, &figures)?;
    } else if asked.compare {
        let worse = measured.worse_than(&Figures::read(&file)?);
        for line in &worse {
            say(line);
        }
        ensure!(
            worse.is_empty(),
            "{} figures are notably worse than the committed ones",
            worse.len()
        );
        say("no figure is notably worse than the committed one");
    }
    Ok(())
}

impl Bench {
    fn find() -> Result<Self> {
        let program = std::env::current_exe()?;
        // target/release/deps/performance-…
        let above = |folders| {
            let folder = program.ancestors().nth(folders).map(ToOwned::to_owned);
            folder.context("this program is not in a target folder")
        };
        let checkout = slipway_dev::checkout::find(None, std::path::Path::new("."), &program)?;
        Ok(Self {
            checkout,
            target: above(3)?,
            programs: above(2)?,
        })
    }

    async fn run(&self, run: &Run, binaries: Binaries, asked: &BenchArgs) -> Result<Figures> {
        let wants = |part| asked.parts.is_empty() || asked.parts.contains(&part);
        let mut figures = Figures {
            machine: page::machine()?,
            ..Figures::default()
        };
        let mut stack = DevStack::start(run, binaries, &say).await?;
        if wants(BenchPart::Agent) {
            stack.add_hosts(run, &self.checkout, 1).await?;
            agent::measure(run, &stack, &mut figures).await?;
        }
        if wants(BenchPart::Requests) {
            requests::measure(run, self, &stack, &mut figures).await?;
        }
        if wants(BenchPart::Sync) {
            sync::measure(run, &stack, asked.parked, &mut figures).await?;
        }
        if wants(BenchPart::Rollouts) {
            rollouts::measure(run, &stack, asked.hosts, &mut figures).await?;
        }
        if wants(BenchPart::Decide) {
            decide::measure(&stack, &mut figures).await?;
        }
        if wants(BenchPart::Backup) {
            backup::measure(run, &stack, asked.mebibytes, &mut figures).await?;
        }
        Ok(figures)
    }
}
