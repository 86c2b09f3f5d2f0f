//! Hosts without machines: agents that speak HTTP as real ones do, and obey at once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use slipway_dev::stack::DevStack;
use slipway_domain::{EnvironmentName, HostId, HostName, Instruction, Observation, StorePath, Strategy};
use slipway_testkit::ScriptedAgent;
use slipway_wire::fleet::{CreateEnvironment, CreateHost};
use slipway_wire::release::{CreateRelease, Source};
use slipway_wire::rollout::CreateRollout;
use slipway_wire::route;
use tokio::task::JoinSet;

/// How long an agent asks the control plane to wait for news.
const WAIT: u64 = 25;
/// Hosts that are made at once.
const AT_ONCE: usize = 16;

/// One agent and its token.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) model: ScriptedAgent,
    pub(crate) token: String,
}

impl Agent {
    /// What it tells the control plane.
    pub(crate) fn seen(&self) -> Observation {
        #[expect(clippy::disallowed_methods, reason = "the edge: an agent tells its own clock")]
        self.model.observation(chrono::Utc::now())
    }
}

/// An environment with so many hosts.
pub(crate) async fn create(
    stack: &DevStack,
    name: &str,
    strategy: Strategy,
    hosts: u32,
) -> Result<Vec<Agent>> {
    let api = &stack.api;
    let environment: EnvironmentName = name.parse()?;
    api.create_environment(&CreateEnvironment {
        name: environment.clone(),
        strategy,
        approval_required: false,
        own_strategy_allowed: false,
        related_approval_allowed: false,
        windows: Vec::new(),
    })
    .await?;
    let made = stream::iter(0..hosts).map(|number| {
        let environment = environment.clone();
        async move {
            let host = CreateHost {
                name: format!("{environment}-{number}").parse()?,
                environment,
                labels: BTreeMap::new(),
            };
            let made = api.create_host(&host).await?;
            let live = closure(stack, &made.host.name, 0)?;
            anyhow::Ok(Agent {
                model: ScriptedAgent::new(HostId::generate(), made.host.name, Some(live)),
                token: made.token.token.expose().to_owned(),
            })
        }
    });
    made.buffered(AT_ONCE)
        .try_collect()
        .await
        .with_context(|| format!("cannot make the hosts of {name}"))
}

/// Something that the host could run, and that nobody built.
fn closure(stack: &DevStack, host: &HostName, version: u32) -> Result<StorePath> {
    let path = format!("{}/{version:0>32}-nixos-system-{host}", stack.nix.store.display());
    Ok(path.parse()?)
}

/// Registers a release of this version for all of them, and gives the rollout of it to their environment.
pub(crate) async fn release(
    stack: &DevStack,
    name: &str,
    fleet: &[Agent],
    version: u32,
) -> Result<CreateRollout> {
    let mut closures = BTreeMap::new();
    for agent in fleet {
        let name = &agent.model.name;
        closures.insert(name.to_string(), closure(stack, name, version)?.to_string());
    }
    let release = CreateRelease {
        source: Source::default(),
        message: Some(format!("version {version}")),
        closures,
        name: None,
    };
    let release = stack.api.create_release(&release).await?;
    Ok(CreateRollout {
        environment: name.parse()?,
        release: release.id.into(),
        strategy: None,
        not_before: None,
        override_freeze: None,
        hosts: Vec::new(),
        reboot: false,
    })
}

/// Starts all agents; they end with the set. Each asks one of the servers.
pub(crate) fn start(fleet: &[Agent], servers: &[u16]) -> Result<JoinSet<()>> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(WAIT + 30))
        .build()?;
    let mut agents = JoinSet::new();
    for (agent, port) in fleet.iter().zip(servers.iter().cycle()) {
        let url = format!("http://127.0.0.1:{port}{}", route::AGENT_SYNC);
        agents.spawn(run(http.clone(), url, agent.clone()));
    }
    Ok(agents)
}

async fn run(http: reqwest::Client, url: String, mut agent: Agent) {
    loop {
        agent.model.counter = agent.model.counter.map(|counter| counter + 1);
        let asked = http
            .post(&url)
            .bearer_auth(&agent.token)
            .header("prefer", format!("wait={WAIT}"))
            .json(&agent.seen());
        match instruction(asked).await {
            Ok(instruction) => agent.model.obey(&instruction),
            // As a real agent does, but sooner.
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn instruction(asked: reqwest::RequestBuilder) -> Result<Instruction> {
    Ok(asked.send().await?.error_for_status()?.json().await?)
}
