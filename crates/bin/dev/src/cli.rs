//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::faults::FaultKind;
use crate::sqlx::Action;
use crate::test::stages::Stage;

/// Postgres, Redis, nginx, replicas and agents on one machine, for people and tests.
#[derive(Debug, Parser)]
#[command(name = "dev", bin_name = "./dev", version)]
pub struct DevCli {
    /// The checkout to work on; when left out this folder, or else the one that this program was built in
    #[arg(long, global = true, hide = true)]
    pub checkout: Option<PathBuf>,

    /// What to do
    #[command(subcommand)]
    pub command: DevCommand,
}

/// What `./dev` can do.
#[derive(Debug, Subcommand)]
pub enum DevCommand {
    /// Roll releases out to six hosts while processes are killed, and check every outcome
    Demo {
        /// Print the summary as one JSON object, the last line of standard output
        #[arg(long)]
        json: bool,
    },
    /// Start the whole stack and leave it running until Ctrl-C
    Up {
        /// How many hosts the fleet has
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=50))]
        hosts: u16,
        /// Watch it with Prometheus, Alertmanager and the alerts of this checkout
        #[arg(long)]
        monitoring: bool,
        /// Print the addresses as one JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Inject faults into the stack, and check that each brings its alert and no other
    Faults {
        /// Only these; all if none is given
        #[arg(value_enum)]
        only: Vec<FaultKind>,
        /// What each alert's waiting time is divided by
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
        faster: u32,
        /// Print the result as one JSON object, the last line of standard output
        #[arg(long)]
        json: bool,
    },
    /// Run Postgres and Redis on three members, and break them while clients write
    Cluster {
        /// How many faults; a few chosen ones if not given
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
        faults: Option<u16>,
        /// Leave Slipway itself out, and its rollouts with it
        #[arg(long)]
        data_only: bool,
        /// Gives the order of the faults
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Print the result as one JSON object, the last line of standard output
        #[arg(long)]
        json: bool,
    },
    /// Measure release builds of this checkout on this machine
    Bench(BenchArgs),
    /// Run everything that CI runs
    Test {
        /// Only this stage; may be given more than once
        #[arg(long, value_enum)]
        only: Vec<Stage>,
        /// Arguments of `cargo nextest run`
        #[arg(last = true)]
        nextest: Vec<String>,
    },
    /// Start Postgres and Redis alone, until Ctrl-C
    Services,
    /// Write the committed .sqlx again, or check it
    Sqlx {
        /// What to do
        #[arg(value_enum, default_value = "check")]
        action: Action,
    },
}

/// What is measured, and what becomes of it.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Only this part; may be given more than once
    #[arg(long = "part", value_enum)]
    pub parts: Vec<BenchPart>,
    /// How many agents wait at one process
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=19_000))]
    pub parked: u32,
    /// How many hosts a rollout goes to
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub hosts: u32,
    /// Size in MiB of the database to back up
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(1..=20_480))]
    pub mebibytes: u64,
    /// Write docs/performance.json and docs/performance.md again
    #[arg(long)]
    pub write: bool,
    /// Say what became slower than the committed figures, and exit with 1 if something did
    #[arg(long, conflicts_with = "write")]
    pub compare: bool,
}

/// What can be measured alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchPart {
    /// The health endpoint beside that of another stack, and reads with a token
    Requests,
    /// Agents that wait for news
    Sync,
    /// A whole rollout to simulated hosts
    Rollouts,
    /// What a worker does in each round, by the size of the fleet
    Decide,
    /// What a real agent takes while nothing is to be done
    Agent,
    /// A dump of a database and its restore
    Backup,
}
