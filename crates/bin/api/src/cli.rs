//! The command line.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use listenfd::ListenFd;
use slipway_settings::{ApiSection, ApiSettings, MigrateSettings, Process, SettingsErrors, SettingsSource};
use slipway_store::{StoreError, schema};
use slipway_telemetry::{HealthTarget, check_health, failure_text};
use slipway_wire::route;

use crate::{openapi, serve};

/// The HTTP API of the Slipway release control plane.
///
/// Settings come from the environment, `.env.$APP_ENV` and `.env`; docs/settings.md lists them.
#[derive(Debug, Parser)]
#[command(
    name = "slipway-api",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API until SIGTERM or SIGINT
    Serve,
    /// Apply the migrations that the database lacks
    ///
    /// Needs only the DATABASE_ settings. Safe to run by several at once: they take turns. With `DATABASE_PROCESS_ROLE`
    /// it also gives that role what api and worker need, and no more.
    Migrate,
    /// Ask a running server whether it is live: exit status 0 or 1, within 3 seconds
    Healthcheck {
        /// Ask through this Unix socket
        #[arg(long, value_name = "PATH", conflicts_with = "address")]
        socket: Option<PathBuf>,
        /// Ask at this address instead of `API_HOST:API_PORT`
        #[arg(long, value_name = "HOST:PORT")]
        address: Option<SocketAddr>,
        /// Ask whether it is ready, not only live
        #[arg(long)]
        ready: bool,
    },
    /// Print the settings in force, secrets redacted; exit status 1 when they cannot be used
    Config,
    /// Print the document that describes the API, as in docs/openapi.json
    Openapi,
}

/// Runs the command line. Errors are printed, all of them, with what to do.
#[must_use]
pub fn run(cli: &Cli) -> ExitCode {
    // The first thing of all: systemd's sockets come through the environment, which is read while there is one thread.
    let handed = ListenFd::from_env();
    match execute(cli, handed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = report(&error);
            ExitCode::FAILURE
        }
    }
}

fn report(error: &anyhow::Error) -> std::io::Result<()> {
    writeln!(
        std::io::stderr(),
        "{}",
        failure_text("slipway-api", error.as_ref())
    )
}

fn execute(cli: &Cli, handed: ListenFd) -> anyhow::Result<()> {
    match &cli.command {
        Command::Serve => serve::serve(&load()?, handed),
        Command::Migrate => migrate(&load()?),
        Command::Healthcheck {
            socket,
            address,
            ready,
        } => {
            let target = match (socket, address) {
                (Some(path), _) => HealthTarget::Unix(path.clone()),
                (None, Some(address)) => HealthTarget::Tcp(*address),
                (None, None) => HealthTarget::Tcp(reachable(ApiSection::from_source(&load()?)?.addr())),
            };
            check_health(&target, if *ready { route::READY } else { route::LIVE })?;
            Ok(())
        }
        Command::Config => config(&load()?),
        Command::Openapi => print(&openapi::JSON),
    }
}

fn load() -> Result<SettingsSource, SettingsErrors> {
    SettingsSource::load(Path::new("."))
}

/// Where a server that listens on every address can be asked.
const fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn migrate(source: &SettingsSource) -> anyhow::Result<()> {
    let settings = MigrateSettings::from_source(source)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime
        .block_on(schema::migrate(&settings.database))
        .map_err(|error| {
            let at = match error {
                StoreError::Unavailable(_) => format!(
                    "; it is looked for at {}: check that it runs, and the DATABASE_ settings",
                    settings.database.address()
                ),
                _ => String::new(),
            };
            anyhow::Error::new(error).context(format!("the database could not be migrated{at}"))
        })?;
    if done.applied.is_empty() {
        print("the schema is current, nothing was applied\n")?;
    }
    for version in &done.applied {
        print(&format!("applied {version}\n"))?;
    }
    print(&match done.process_role {
        Some(role) => format!("the role {role} may add to the audit log and cannot change it\n"),
        None => "api and worker come as the role that owns the tables, so they could change the audit log; \
                 give migrations a role of their own: docs/database.md, \"Two roles\"\n"
            .to_owned(),
    })
}

fn config(source: &SettingsSource) -> anyhow::Result<()> {
    print(&slipway_settings::describe(Process::Api, source))?;
    for warning in source.warnings() {
        writeln!(std::io::stderr(), "slipway-api: {warning}")?;
    }
    ApiSettings::from_source(source)?;
    Ok(())
}

fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}
