//! Slipway itself on the cluster: a replica of the api and a worker on each member, and hosts that they roll out to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use slipway_client::Client;
use slipway_domain::{HostName, ReleaseId, RolloutId, RolloutState};
use slipway_wire::release::{CreateRelease, Source};
use slipway_wire::rollout::CreateRollout;

use super::files::LEADER;
use super::probe::Probe;
use super::scene::Scene;
use super::{ledger, patiently};
use crate::fleet::Member as HostMember;
use crate::nginx::Nginx;
use crate::nix::{Nix, Signing};
use crate::postgres::{OWNER, PROCESS_ROLE, random_password};
use crate::run::Run;
use crate::run_dir::write_private;
use crate::spec::Spec;
use crate::stack::binaries::Binaries;
use crate::stack::hosts::{self, DevHost, strategy};
use crate::stack::{ENVIRONMENT, client, log_in, random_key, secret_file};

const API: u16 = 8000;
const METRICS: [u16; 2] = [9101, 9102];
/// Hosts of the fleet, one after another: a rollout lasts as long as a fault.
const HOSTS: u16 = 2;
const START: Duration = Duration::from_mins(2);
/// A rollout, from its beginning before a fault until after it.
const ROLLOUT: Duration = Duration::from_mins(4);

/// The control plane, its hosts, and a client that asks all the time.
pub(super) struct Plane {
    api: Client,
    releases: Vec<ReleaseId>,
    started: usize,
    pub(super) probe: Probe,
    // Kept for what they hold.
    _nginx: Nginx,
    _nix: Nix,
}

impl Plane {
    /// Starts it on a cluster that is whole.
    pub(super) async fn start(
        run: &Run,
        checkout: &Path,
        binaries: &Binaries,
        scene: &mut Scene<'_>,
    ) -> Result<Self> {
        let variables = prepare(run, binaries, scene).await?;
        let nix = Nix::create(run).await?;
        for (number, member) in (1..).zip(&mut scene.members) {
            let spec = |name: String, program: &Path, command: &str| {
                Spec::new(name, program)
                    .args([command])
                    .envs(variables.iter().map(|(name, value)| (*name, value)))
                    .env("APP_ENV", "production")
                    .env("STORE_DIR", &nix.store)
                    .env("DATABASE_POOL_SIZE", "5")
            };
            let api = spec(format!("api-{number}"), &binaries.api, "serve")
                .env("API_HOST", &member.network.address)
                .env("API_PORT", API.to_string())
                .env("METRICS_PORT", METRICS[0].to_string());
            let worker = spec(format!("worker-{number}"), &binaries.worker, "run")
                .env("METRICS_PORT", METRICS[1].to_string());
            member.add(run, api)?;
            member.add(run, worker)?;
        }
        let replicas: Vec<SocketAddr> = scene
            .members
            .iter()
            .map(|member| Ok(SocketAddr::new(member.network.address.parse()?, API)))
            .collect::<Result<_>>()?;
        let nginx = Nginx::start_before(run, run.ports.reserve()?, &replicas, &nix.cache).await?;
        nix.write_agent_conf(&nginx.cache_url())?;
        // nginx sends a login to any of them.
        for (number, address) in (1..).zip(&replicas) {
            let direct = slipway_client::builder(&format!("http://{address}"))?.build()?;
            let ready = async || direct.ready().await.is_ok();
            run.supervisor
                .wait_ready(&format!("api-{number}"), START, ready)
                .await?;
        }
        let password = std::fs::read_to_string(run.dir.path().join("secrets/admin-password"))?;
        let token = log_in(&nginx, &password).await?;
        let api = client(&nginx, Some(token))?;
        hosts::create_environment(&api).await?;
        let mut fleet = Vec::new();
        for number in 1..=HOSTS {
            fleet.push(DevHost::create(run, &api, &nix, number).await?);
        }
        let demo = checkout.join("nix/demo");
        hosts::install_all(run, &nix, &demo, &binaries.demo_service, &fleet).await?;
        let mut releases = Vec::new();
        for version in ["v1", "v2"] {
            let members: Vec<HostMember> = fleet
                .iter()
                .map(|host| host.member(run, &binaries.demo_service, version, 200))
                .collect();
            let paths = nix.build(run, &demo, &members).await?;
            nix.publish(run, &paths, Signing::Signed).await?;
            let closures = fleet.iter().map(|host| host.name.clone()).zip(paths).collect();
            releases.push(register(&api, version, closures).await?);
        }
        for host in &fleet {
            run.supervisor
                .spawn(host.agent_spec(&binaries.agent, &nix, &nginx))?;
        }
        hosts::wait_online(run, &api, &fleet).await?;
        let probe = Probe::start(&api);
        Ok(Self {
            api,
            releases,
            started: 0,
            probe,
            _nginx: nginx,
            _nix: nix,
        })
    }

    /// Begins a rollout, which is under way while a fault comes.
    pub(super) async fn begin(&mut self) -> Result<RolloutId> {
        let release = self.releases[self.started % self.releases.len()];
        self.started += 1;
        let request = CreateRollout {
            environment: ENVIRONMENT.parse()?,
            release: release.into(),
            strategy: Some(strategy(1, 1)),
            not_before: None,
            override_freeze: None,
            hosts: Vec::new(),
            reboot: false,
        };
        let rollout = self.api.create_rollout(&request).await;
        Ok(rollout.context("cannot begin a rollout")?.summary.id)
    }

    /// Waits for the end of a rollout, which must be good.
    pub(super) async fn finish(&self, id: RolloutId, scene: &mut Scene<'_>) -> Result<()> {
        let end = Instant::now() + ROLLOUT;
        loop {
            let rollout = patiently(async || Ok(self.api.rollout(id).await?)).await?;
            let state = rollout.summary.state;
            if state.is_terminal() {
                let reason = rollout.summary.reason.unwrap_or_default();
                ensure!(state == RolloutState::Succeeded, "the rollout {state}: {reason}");
                return Ok(());
            }
            if Instant::now() > end {
                bail!("the rollout is {state} after {ROLLOUT:?}");
            }
            scene.pass(super::scene::LOOK).await?;
        }
    }
}

/// Makes roles and tables, and returns what the processes get.
async fn prepare(run: &Run, binaries: &Binaries, scene: &Scene<'_>) -> Result<Vec<(&'static str, String)>> {
    let (process, owner, admin) = (random_password()?, random_password()?, random_password()?);
    let sql = format!(
        "CREATE ROLE {PROCESS_ROLE} LOGIN PASSWORD '{process}';\n\
         CREATE ROLE \"{OWNER}\" LOGIN PASSWORD '{owner}';\n\
         CREATE DATABASE slipway OWNER \"{OWNER}\";\n"
    );
    let leader = scene.leader().await?;
    ledger::administer(run, &scene.members[leader], "slipway", &sql).await?;
    let folder: PathBuf = run.dir.folder("secrets", None)?;
    let url = |role: &str, password: &str| {
        format!(
            "postgres://{role}:{password}@127.0.0.1:{LEADER}/slipway?sslmode=verify-full&sslrootcert={}",
            scene.shared.ca.display()
        )
    };
    let owner_url = secret_file(&folder, "database-owner-url", &url(OWNER, &owner))?;
    let migrate = Spec::new("migrate", &binaries.api)
        .args(["migrate"])
        .env("DATABASE_URL_FILE", owner_url)
        .env("DATABASE_PROCESS_ROLE", PROCESS_ROLE)
        .env("APP_ENV", "production")
        .network(scene.members[0].network.file());
    run.supervisor
        .run(migrate, START)
        .await
        .context("cannot migrate the database")?;
    write_private(&folder.join("admin-password"), &admin, None)?;
    Ok(vec![
        (
            "DATABASE_URL_FILE",
            secret_file(&folder, "database-url", &url(PROCESS_ROLE, &process))?,
        ),
        (
            "SECRET_KEY_FILE",
            secret_file(&folder, "secret-key", &random_key()?)?,
        ),
        (
            "ADMIN_PASSWORD_FILE",
            folder.join("admin-password").display().to_string(),
        ),
    ])
}

async fn register(api: &Client, name: &str, closures: Vec<(HostName, PathBuf)>) -> Result<ReleaseId> {
    let text = |(host, path): &(HostName, PathBuf)| (host.to_string(), path.display().to_string());
    let request = CreateRelease {
        closures: closures.iter().map(text).collect(),
        source: Source::default(),
        message: Some(name.to_owned()),
        name: None,
    };
    Ok(api.create_release(&request).await?.id)
}
