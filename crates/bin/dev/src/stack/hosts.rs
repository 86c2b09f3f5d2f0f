//! The fleet: each host an agent with folders, a profile, garbage collector roots and a token of its own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use slipway_client::Client;
use slipway_domain::HostName;
use slipway_domain::Strategy;
use slipway_wire::fleet::{CreateEnvironment, CreateHost};

use super::{ENVIRONMENT, secret_file};
use crate::fleet::{Member, Variant, tools_path};
use crate::nginx::Nginx;
use crate::nix::Nix;
use crate::programs;
use crate::run::Run;
use crate::spec::Spec;

/// Above the proxy (2): an agent that stops first leaves no errors about lost connections.
const LAYER: u8 = 3;
const ONLINE: Duration = Duration::from_mins(2);
const INSTALL: Duration = Duration::from_mins(2);

/// One host.
#[derive(Debug, Clone)]
pub struct DevHost {
    /// Its name.
    pub name: HostName,
    /// Where its service listens, on 127.0.0.1.
    pub port: u16,
    /// Where its agent's metrics are, on 127.0.0.1.
    pub metrics: u16,
    /// Its profile, a link.
    pub profile: PathBuf,
    /// Its own folder.
    pub folder: PathBuf,
    token_file: String,
    gcroots: PathBuf,
    env: Vec<(String, String)>,
}

impl DevHost {
    /// Registers a host and makes its folders.
    pub async fn create(run: &Run, api: &Client, nix: &Nix, number: u16) -> Result<Self> {
        let name = format!("web-{number}");
        let created = api
            .create_host(&CreateHost {
                name: name.parse()?,
                environment: ENVIRONMENT.parse()?,
                labels: [("role".to_owned(), "web".to_owned())].into(),
            })
            .await
            .with_context(|| format!("cannot register the host {name}"))?;
        Self::registered(run, nix, created.host.name, created.token.token.expose())
    }

    /// Makes the folders of a host that is registered already, with its agent's token.
    pub fn registered(run: &Run, nix: &Nix, name: HostName, token: &str) -> Result<Self> {
        let folder = run.dir.folder(&format!("hosts/{name}"), None)?;
        let token_file = secret_file(&folder, "token", token)?;
        let profiles = nix.state.join("profiles").join(name.as_str());
        std::fs::create_dir_all(&profiles)?;
        for part in ["system", "home"] {
            run.dir.folder(&format!("hosts/{name}/{part}"), None)?;
        }
        Ok(Self {
            port: run.ports.reserve()?,
            metrics: run.ports.reserve()?,
            profile: profiles.join("system"),
            gcroots: nix.state.join("gcroots/slipway").join(name.as_str()),
            name,
            folder,
            token_file,
            env: run.shared_env.clone(),
        })
    }

    /// What its agent is called in the run.
    #[must_use]
    pub fn agent(&self) -> String {
        format!("agent-{}", self.name)
    }

    /// The link that names what runs.
    #[must_use]
    pub fn live_link(&self) -> PathBuf {
        self.folder.join("system/current-system")
    }

    /// How its agent is started. It reaches the api through the proxy alone.
    #[must_use]
    pub fn agent_spec(&self, agent: &Path, nix: &Nix, nginx: &Nginx) -> Spec {
        Spec::new(self.agent(), agent)
            .args(["run"])
            .env("APP_ENV", "production")
            .env("AGENT_API_URL", nginx.api_url())
            .env("AGENT_CA_FILE", &nginx.ca)
            .env("AGENT_TOKEN_FILE", &self.token_file)
            .env("AGENT_HOST", self.name.as_str())
            .env("AGENT_STATE_DIR", self.folder.join("agent"))
            .env("AGENT_PROFILE", &self.profile)
            .env("AGENT_LIVE_LINK", self.live_link())
            .env("AGENT_GCROOTS_DIR", &self.gcroots)
            .env("AGENT_STORE_DIR", &nix.store)
            // Nix keeps a database of the caches' content there, and six hosts at once would block each
            // other.
            .env("HOME", self.folder.join("home"))
            // One machine plays six hosts: its systemd, if it has one, does not know them.
            .env("AGENT_RUNNER", "process")
            .env("METRICS_PORT", self.metrics.to_string())
            .envs(nix.agent_env())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .layer(LAYER)
    }

    /// Puts a first system on the host, as its installation does: the profile, the boot default, a running service.
    async fn install(&self, run: &Run, nix: &Nix, closure: &Path) -> Result<()> {
        let set = Spec::new(format!("install-{}", self.name), programs::find("nix-env")?)
            .args(["--profile".as_ref(), self.profile.as_os_str()])
            .args(["--set".as_ref(), closure.as_os_str()]);
        run.supervisor.run(nix.with_build_env(set), INSTALL).await?;
        let switch = Spec::new(
            format!("switch-{}", self.name),
            closure.join("bin/switch-to-configuration"),
        );
        run.supervisor.run(switch.args(["switch"]), INSTALL).await
    }

    /// A closure for this host.
    #[must_use]
    pub fn member(&self, run: &Run, service: &Path, version: &str, health: u16) -> Member {
        Member {
            host: self.name.to_string(),
            version: version.to_owned(),
            port: self.port,
            state: self.folder.join("system"),
            run: run.dir.marker().to_string_lossy().into_owned(),
            service: service.to_owned(),
            tools: tools_path(),
            health,
            variant: Variant::Works,
        }
    }

    /// What its service answers to `/version` or `/pid`; nothing when it does not run.
    pub async fn ask(&self, what: &str) -> Option<String> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .timeout(Duration::from_secs(5));
        let url = format!("http://127.0.0.1:{}/{what}", self.port);
        let answer = client.build().ok()?.get(url).send().await.ok()?;
        Some(
            answer
                .error_for_status()
                .ok()?
                .text()
                .await
                .ok()?
                .trim()
                .to_owned(),
        )
    }

    /// The closure that the profile points to, resolved through the profile's generations.
    #[must_use]
    pub fn profile_target(&self) -> Option<PathBuf> {
        self.profile.canonicalize().ok()
    }
}

/// Installs version 0 on every host.
pub async fn install_all(run: &Run, nix: &Nix, demo: &Path, service: &Path, hosts: &[DevHost]) -> Result<()> {
    let members: Vec<Member> = hosts
        .iter()
        .map(|host| host.member(run, service, "v0", 200))
        .collect();
    let closures = nix.build(run, demo, &members).await?;
    for (host, closure) in hosts.iter().zip(&closures) {
        let done = host.install(run, nix, closure).await;
        done.with_context(|| format!("cannot install a first system on {}", host.name))?;
    }
    Ok(())
}

/// Makes the environment, with a strategy that suits a person who watches.
pub async fn create_environment(api: &Client) -> Result<()> {
    let environment = CreateEnvironment {
        name: ENVIRONMENT.parse()?,
        strategy: strategy(1, 2),
        approval_required: false,
        own_strategy_allowed: false,
        related_approval_allowed: false,
        windows: Vec::new(),
    };
    api.create_environment(&environment)
        .await
        .context("cannot create the environment")?;
    Ok(())
}

/// `canary` hosts alone, then waves of `batch` with as many out at once. The waits are those of a demonstration.
#[must_use]
pub fn strategy(canary: u32, batch: u32) -> Strategy {
    use slipway_domain::strategy::{Canary, Limits, OnFailure, Share, Verify};
    Strategy {
        canary: Canary::Number(canary),
        batch: Share::Number(batch),
        max_unavailable: Share::Number(batch),
        bake_seconds: 1,
        verify: Verify {
            passes: 2,
            interval_seconds: 1,
            timeout_seconds: 60,
        },
        on_failure: OnFailure::RevertRollout,
        limits: Limits {
            stage_seconds: 120,
            activate_seconds: 60,
            deadman_seconds: 240,
            revert_seconds: 120,
            ..Limits::default()
        },
        ..Strategy::default()
    }
}

/// Waits until all hosts were heard of; an agent that ends instead is an error.
pub async fn wait_online(run: &Run, api: &Client, fleet: &[DevHost]) -> Result<()> {
    let deadline = Instant::now() + ONLINE;
    let environment = ENVIRONMENT.parse()?;
    loop {
        let hosts = api.all_hosts(Some(&environment)).await?;
        let missing: Vec<&DevHost> = fleet
            .iter()
            .filter(|host| !hosts.iter().any(|known| known.name == host.name && known.online))
            .collect();
        let Some(first) = missing.first() else {
            return Ok(());
        };
        for host in &missing {
            if let Some(status) = run.supervisor.ended(&host.agent())? {
                let log = run.supervisor.log_tail(&host.agent());
                bail!(
                    "{} ended ({status}) before the api heard of it{log}",
                    host.agent()
                );
            }
        }
        if Instant::now() > deadline {
            let log = run.supervisor.log_tail(&first.agent());
            bail!(
                "{} of {} hosts were not heard of within {ONLINE:?}{log}",
                missing.len(),
                fleet.len()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
