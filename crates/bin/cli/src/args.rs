//! The command line's arguments. The doc comments here are the help texts and docs/cli.md.

#![expect(
    clippy::doc_markdown,
    reason = "the comments are shown on terminals, where back-ticks are noise"
)]

mod access;
mod fleet;
mod messages;
mod number;
mod open;
mod release;
mod rollout;
mod verify;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use slipway_domain::{EnvironmentName, HostName, ReleaseRef};

pub use access::{AnchorArgs, AuditCommand, Login, PrincipalCommand, TokenCommand};
pub use fleet::{EnvChange, EnvCommand, HostCommand, StrategyArgs};
pub use messages::{CreateDestinationArgs, DestinationCommand, SetDestinationArgs};
pub use open::{OpenArgs, Page};
pub use release::{
    AttachArgs, AttachedArgs, CreateReleaseArgs, ManifestArgs, ReleaseCommand, SourceArgs, VerifyReleaseArgs,
};
pub use rollout::{Approval, HostArgs, LogsArgs, Order, RolloutArg, RolloutCommand, WatchArgs};
pub use verify::VerifyArgs;

/// Other names of `--reason`, which people type by habit.
const REASON_ALIASES: [&str; 3] = ["note", "comment", "why"];

/// Roll releases out to hosts, watch them, and take them back.
#[derive(Debug, Parser)]
#[command(
    name = "slipway",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Begin with `slipway login --url https://…`; docs/cli.md has every command, exit codes and variables."
)]
pub struct SlipwayCli {
    /// For every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: SlipwayCommand,
}

/// Flags of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Show one JSON document on stdout, and errors as a problem document on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// The API's address [env: SLIPWAY_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// Trust the CA in this PEM file besides the machine's own [env: SLIPWAY_CA_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Use the token in this file [env: SLIPWAY_TOKEN_FILE, or SLIPWAY_TOKEN with the token itself]
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum SlipwayCommand {
    /// Log in, and keep the address and the token for the next commands
    Login(Login),
    /// Revoke the token of the last login and forget it
    Logout {
        /// Only forget the token here; it stays valid
        #[arg(long)]
        local: bool,
    },
    /// Show who you are and what you may do
    Whoami,
    /// Show every host: what runs, what would boot, and where its rollout stands
    Status {
        /// Only this environment
        environment: Option<EnvironmentName>,
        /// Go on showing it as it changes, until Ctrl-C
        #[arg(long)]
        watch: bool,
        /// Show what switch scripts and hooks print, too
        #[arg(long, requires = "watch")]
        logs: bool,
    },
    /// Check that all is well in production: endpoints, TLS, hosts, audit log and backups
    ///
    /// Shows one line for each check: ok, warn, fail or not checked, and the cure. The exit code is 0 if all is well or
    /// only warned of, 30 if something failed, and 31 if something could not be checked. Checks that need no token run
    /// without one. On a host, the stacks of that host are checked from the inside too.
    Verify(VerifyArgs),
    /// Environments: groups of hosts with a strategy
    #[command(subcommand)]
    Env(EnvCommand),
    /// Hosts and their agents' tokens
    #[command(subcommand)]
    Host(HostCommand),
    /// Releases: what each host is to run
    #[command(subcommand)]
    Release(ReleaseCommand),
    /// Rollouts: start, watch and stop them
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Check what stands in the way of rolling a release out, before it begins
    ///
    /// Asks the agents of its hosts how things are there: room, caches, clocks, certificates, backups, clusters. Nothing is
    /// fetched or changed, and it takes up to 10 s. A rollout runs the checks of its hosts itself, before its first
    /// activation. The exit code is 30 if something blocks.
    Preflight {
        /// The environment
        environment: EnvironmentName,
        /// The release: its number, name or id, latest, or previous for what the environment ran before
        release: ReleaseRef,
        /// End with 31 if nothing blocks, but something is unknown
        #[arg(long)]
        strict: bool,
    },
    /// Show what differs between two releases, or between a release and what runs
    ///
    /// Hosts that one of them lacks, hosts with another closure, and what changes there as far as an agent has computed it.
    Diff {
        /// The release that is compared, or the first of two: its number, name or id, latest, or previous@ENV
        release: ReleaseRef,
        /// The second release
        #[arg(value_name = "RELEASE")]
        other: Option<ReleaseRef>,
    },
    /// API tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// People and machines that may use the API
    #[command(subcommand)]
    Principal(PrincipalCommand),
    /// Destinations of messages: webhooks, chats and e-mail
    #[command(subcommand, visible_alias = "webhook")]
    Destination(DestinationCommand),
    /// The log of every change, and the proof that it is whole
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look at this machine's setup, the control plane and a host, and say what to do
    ///
    /// Shows one line for each check, as `slipway verify` does, with the same exit codes. It changes nothing.
    Doctor {
        /// Look at this host too: what runs, what differs, and what waits for a reboot
        host: Option<HostName>,
    },
    /// Print the address of a page, and open it in a browser where there is one
    ///
    /// Such as: slipway open rollout latest. On a terminal with a desktop it opens the page too, with the program that BROWSER
    /// names, or else with xdg-open (macOS: open).
    Open(OpenArgs),
    /// Print a completion script for a shell
    ///
    /// Such as: slipway completions bash > /etc/bash_completion.d/slipway
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write a man page for each command into a folder
    #[command(hide = true)]
    Man {
        /// Which folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}
