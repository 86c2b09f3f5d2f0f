//! The whole stack: servers, control plane, proxy and fleet.

pub mod approval;
pub mod binaries;
pub mod control_plane;
pub mod hosts;

use std::path::Path;

use anyhow::{Context as _, Result};
use secrecy::{ExposeSecret as _, SecretString};
use slipway_client::Client;
use slipway_wire::access::LoginRequest;

use crate::nginx::{Nginx, api_url};
use crate::nix::Nix;
use crate::postgres::{DevPostgres, Durability, random_password};
use crate::redis::DevRedis;
use crate::run::Run;
use crate::run_dir::write_private;
use binaries::Binaries;
use control_plane::{DevControlPlane, Places, Secrets};
use hosts::DevHost;

/// The environment that the hosts are in.
pub const ENVIRONMENT: &str = "prod";

/// Everything that runs.
#[derive(Debug)]
pub struct DevStack {
    /// The database.
    pub postgres: DevPostgres,
    /// Wake-ups and rate limits.
    pub redis: DevRedis,
    /// The hosts' store and the cache they fetch from.
    pub nix: Nix,
    /// The proxy.
    pub nginx: Nginx,
    /// Names and ports of replicas and workers.
    pub control_plane: DevControlPlane,
    /// A client with the admin's token, through the proxy.
    pub api: Client,
    /// The admin's token.
    pub admin_token: SecretString,
    /// The fleet.
    pub hosts: Vec<DevHost>,
    /// The programs of this checkout.
    pub binaries: Binaries,
}

impl DevStack {
    /// Starts everything but the agents: the database with its schema, Redis, replicas, workers, the proxy.
    pub async fn start(run: &Run, binaries: Binaries, tell: &dyn Fn(&str)) -> Result<Self> {
        let postgres = DevPostgres::start(run, Durability::Safe).await?;
        let redis = DevRedis::start(run).await?;
        tell("Postgres and Redis run");
        let nix = Nix::create(run).await?;
        let secrets = Secrets::create(run, &postgres, &redis)?;
        // Messages and a provider of sign-in lead people to the proxy.
        let https = run.ports.reserve()?;
        let places = Places {
            store: &nix.store,
            public_url: &api_url(https),
        };
        let control_plane = DevControlPlane::start(run, &binaries, &secrets, &places).await?;
        tell("the database is migrated; three api replicas and two workers run");
        let nginx = Nginx::start_on(run, https, &control_plane.ports, &nix.cache).await?;
        nix.write_agent_conf(&nginx.cache_url())?;
        tell(&format!(
            "nginx serves {} with the run's own authority",
            nginx.api_url()
        ));

        let admin_token = log_in(&nginx, &secrets.admin_password).await?;
        let token_file = run.dir.path().join("admin-token");
        write_private(&token_file, admin_token.expose_secret(), None)?;
        let api = client(&nginx, Some(admin_token.clone()))?;
        Ok(Self {
            postgres,
            redis,
            nix,
            nginx,
            control_plane,
            api,
            admin_token,
            hosts: Vec::new(),
            binaries,
        })
    }

    /// Registers `count` hosts in [`ENVIRONMENT`], installs a first system on each, and starts their agents.
    pub async fn add_hosts(&mut self, run: &Run, checkout: &Path, count: u16) -> Result<()> {
        hosts::create_environment(&self.api).await?;
        for number in 1..=count {
            self.hosts
                .push(DevHost::create(run, &self.api, &self.nix, number).await?);
        }
        let demo = checkout.join("nix/demo");
        hosts::install_all(run, &self.nix, &demo, &self.binaries.demo_service, &self.hosts).await?;
        for host in &self.hosts {
            run.supervisor
                .spawn(host.agent_spec(&self.binaries.agent, &self.nix, &self.nginx))?;
        }
        hosts::wait_online(run, &self.api, &self.hosts).await
    }
}

/// A client of the api through the proxy that trusts the run's authority.
pub fn client(nginx: &Nginx, token: Option<SecretString>) -> Result<Client> {
    let pem = std::fs::read(&nginx.ca).with_context(|| format!("cannot read {}", nginx.ca.display()))?;
    let builder = slipway_client::builder(&nginx.api_url())?
        .extra_ca_pem(nginx.ca.display(), pem)?
        .user_agent("slipway-dev");
    let builder = match token {
        Some(token) => builder.token(token),
        None => builder,
    };
    Ok(builder.build()?)
}

pub(crate) async fn log_in(nginx: &Nginx, password: &str) -> Result<SecretString> {
    let login = LoginRequest {
        name: "admin".parse()?,
        password: password.to_owned(),
        label: Some("slipway-dev".to_owned()),
        token: None,
    };
    let created = client(nginx, None)?
        .login(&login)
        .await
        .context("the api gives no token to the admin")?;
    Ok(created.token.expose().to_owned().into())
}

/// Writes a secret to a file of its own and returns its path as text, for a `*_FILE` variable.
pub(crate) fn secret_file(folder: &Path, name: &str, secret: &str) -> Result<String> {
    let path = folder.join(name);
    write_private(&path, secret, None)?;
    Ok(path.display().to_string())
}

/// 64 random hexadecimal digits.
pub(crate) fn random_key() -> Result<String> {
    Ok(format!("{}{}", random_password()?, random_password()?))
}
