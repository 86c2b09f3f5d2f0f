//! `slipway-dev up`: the stack, left running.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use slipway_wire::release::CreateRelease;

use crate::monitoring::{ALERTMANAGER, Monitoring, PROMETHEUS, Watching};
use crate::nix::Signing;
use crate::run::Run;
use crate::say::{print, say};
use crate::stack::binaries::Binaries;
use crate::stack::hosts::DevHost;
use crate::stack::{DevStack, ENVIRONMENT};
use crate::{nginx, postgres, redis};

/// Versions that a person can roll out at once; the last one fails its checks.
const VERSIONS: [(&str, u16); 3] = [("v1", 200), ("v2", 200), ("v3", 500)];

/// What a person asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// How many hosts the fleet has.
    pub hosts: u16,
    /// Whether Prometheus and Alertmanager watch.
    pub monitoring: bool,
    /// Whether addresses come as JSON.
    pub json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Addresses {
    url: String,
    ca_file: String,
    token_file: String,
    environment: &'static str,
    hosts: Vec<String>,
    releases: Vec<(String, String)>,
    folder: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    prometheus: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alertmanager: Option<String>,
}

/// Starts everything, prints how to reach it, and stays.
pub async fn run(run: &Run, checkout: &Path, binaries: Binaries, asked: Asked) -> Result<()> {
    let Asked {
        hosts,
        monitoring,
        json,
    } = asked;
    let mut stack = DevStack::start(run, binaries, &say).await?;
    stack.add_hosts(run, checkout, hosts).await?;
    say(&format!(
        "{hosts} agents run, each a host of the environment {ENVIRONMENT}"
    ));
    let releases = register_releases(run, checkout, &stack).await?;
    let monitoring = if monitoring {
        let started = Monitoring::start(run, checkout, &stack, Watching::default()).await?;
        say("Prometheus and Alertmanager watch, with the rules of this checkout");
        Some(started)
    } else {
        None
    };
    let watchers: &[&str] = if monitoring.is_some() {
        &[PROMETHEUS, ALERTMANAGER]
    } else {
        &[]
    };
    let addresses = Addresses {
        url: stack.nginx.api_url(),
        ca_file: stack.nginx.ca.display().to_string(),
        token_file: run.dir.path().join("admin-token").display().to_string(),
        environment: ENVIRONMENT,
        hosts: stack.hosts.iter().map(|host| host.name.to_string()).collect(),
        releases,
        folder: run.dir.path().display().to_string(),
        prometheus: monitoring.as_ref().map(|started| started.prometheus.url.clone()),
        alertmanager: monitoring.map(|started| started.alertmanager),
    };
    if json {
        print(&serde_json::to_string(&addresses)?);
    } else {
        print(&text(&addresses, &stack));
    }
    watch(run, &stack, watchers).await
}

/// Tells when a process ends that should not; the others go on, as they would anywhere.
async fn watch(run: &Run, stack: &DevStack, watchers: &[&str]) -> Result<()> {
    let plane = &stack.control_plane;
    let servers = [postgres::NAME, redis::NAME, nginx::NAME].map(String::from);
    let agents = stack.hosts.iter().map(DevHost::agent);
    let mut watched: Vec<String> = plane
        .replicas
        .iter()
        .chain(&plane.workers)
        .cloned()
        .chain(servers)
        .chain(agents)
        .chain(watchers.iter().map(|name| (*name).to_owned()))
        .collect();
    loop {
        for name in std::mem::take(&mut watched) {
            match run.supervisor.ended(&name)? {
                Some(status) => say(&format!(
                    "{name} ended ({status}){}",
                    run.supervisor.log_tail(&name)
                )),
                None => watched.push(name),
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn register_releases(run: &Run, checkout: &Path, stack: &DevStack) -> Result<Vec<(String, String)>> {
    let service = &stack.binaries.demo_service;
    let members: Vec<_> = VERSIONS
        .iter()
        .flat_map(|(version, health)| {
            stack
                .hosts
                .iter()
                .map(|host| host.member(run, service, version, *health))
        })
        .collect();
    let paths = stack.nix.build(run, &checkout.join("nix/demo"), &members).await?;
    stack.nix.publish(run, &paths, Signing::Signed).await?;
    stack.nix.forget_built(run, &paths).await?;
    let mut releases = Vec::new();
    for ((version, _), paths) in VERSIONS.iter().zip(paths.chunks(stack.hosts.len())) {
        let closures = stack.hosts.iter().zip(paths);
        let request = CreateRelease {
            closures: closures
                .map(|(host, path)| (host.name.to_string(), path.display().to_string()))
                .collect(),
            source: slipway_wire::release::Source::default(),
            message: None,
            name: version.parse().ok(),
        };
        releases.push((
            (*version).to_owned(),
            stack.api.create_release(&request).await?.id.to_string(),
        ));
    }
    Ok(releases)
}

fn text(addresses: &Addresses, stack: &DevStack) -> String {
    let cli = stack.binaries.cli.display();
    let name = |index: usize| {
        addresses
            .releases
            .get(index)
            .map_or("", |(name, _)| name.as_str())
    };
    let services: String = stack.hosts.iter().fold(String::new(), |mut text, host| {
        let _ = std::fmt::Write::write_fmt(
            &mut text,
            format_args!(
                "    {:<8} http://127.0.0.1:{}/version\n",
                host.name.as_str(),
                host.port
            ),
        );
        text
    });
    let watchers: String = [
        ("Prometheus", &addresses.prometheus),
        ("Alertmanager", &addresses.alertmanager),
    ]
    .into_iter()
    .filter_map(|(name, url)| Some(format!("  {name:<14} {}\n", url.as_ref()?)))
    .collect();
    format!(
        "
Slipway is running.

  console, API   {url} (open it in a browser, and sign in with the token)
  its authority  {ca}
  admin token    {token}
  all files      {folder} (logs/ has a log for each process)
{watchers}
  each host's own service, which tells its version:
{services}
The browser warns of the certificate, as its authority was made a minute ago for this run alone: go on, or import it.

Try next, in another terminal:

  export SLIPWAY_URL={url} SLIPWAY_CA_FILE={ca}
  export SLIPWAY_TOKEN={token}
  alias slipway={cli}

  slipway status
  slipway rollout start {env} {v1} --watch    # from v0, which every host begins with, to v1
  slipway rollout start {env} {v2} --watch    # v2: one canary, then two at a time
  slipway rollout start {env} {v3} --watch    # v3 fails its checks, and goes back by itself within about a minute

Ctrl-C stops everything and removes its files.",
        url = addresses.url,
        ca = addresses.ca_file,
        token = stack.admin_token.expose_secret(),
        folder = addresses.folder,
        env = addresses.environment,
        v1 = name(0),
        v2 = name(1),
        v3 = name(2),
    )
}
