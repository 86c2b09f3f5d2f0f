//! Replicas of the api, workers, and the secrets they share.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpStream;

use super::binaries::Binaries;
use super::{random_key, secret_file};
use crate::ports::loopback;
use crate::postgres::{DevPostgres, PROCESS_ROLE, random_password};
use crate::redis::DevRedis;
use crate::run::Run;
use crate::spec::Spec;

/// Replicas of the api.
const REPLICAS: usize = 3;
/// Workers.
const WORKERS: usize = 2;
/// Connections of each process to the database. Five processes share one small server.
pub const POOL_SIZE: u8 = 10;
/// Above the database (0), below the proxy (2).
const LAYER: u8 = 1;
const START: Duration = Duration::from_mins(2);

/// Files with secrets; no process gets one on its command line or in its environment.
#[derive(Debug)]
pub struct Secrets {
    /// What the admin logs in with.
    pub admin_password: String,
    variables: Vec<(&'static str, String)>,
    /// The environment of migrations; no other process gets it.
    owner_url: String,
}

impl Secrets {
    /// Makes random ones in the run's folder.
    pub fn create(run: &Run, postgres: &DevPostgres, redis: &DevRedis) -> Result<Self> {
        let folder = run.dir.folder("secrets", None)?;
        let admin_password = random_password()?;
        let variables = vec![
            (
                "DATABASE_URL_FILE",
                secret_file(&folder, "database-url", &postgres.url())?,
            ),
            ("REDIS_URL_FILE", secret_file(&folder, "redis-url", &redis.url())?),
            (
                "SECRET_KEY_FILE",
                secret_file(&folder, "secret-key", &random_key()?)?,
            ),
            (
                "ADMIN_PASSWORD_FILE",
                secret_file(&folder, "admin-password", &admin_password)?,
            ),
        ];
        Ok(Self {
            admin_password,
            variables,
            owner_url: secret_file(&folder, "database-owner-url", &postgres.owner_url())?,
        })
    }
}

/// What the processes are told of others.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The store that the closures are in.
    pub store: &'a Path,
    /// Where people reach the control plane.
    pub public_url: &'a str,
}

/// The processes between the proxy and the database.
#[derive(Debug)]
pub struct DevControlPlane {
    /// Ports of the replicas, for the proxy.
    pub ports: Vec<u16>,
    /// Ports of the metrics listeners, by process.
    pub metrics: Vec<(String, u16)>,
    /// The replicas' names in the run.
    pub replicas: Vec<String>,
    /// The workers' names in the run.
    pub workers: Vec<String>,
}

impl DevControlPlane {
    /// Migrates the database, then starts replicas and workers and waits until each replica is ready.
    pub async fn start(
        run: &Run,
        binaries: &Binaries,
        secrets: &Secrets,
        places: &Places<'_>,
    ) -> Result<Self> {
        let spec = |name: &str, program: &Path, command: &str| {
            Spec::new(name, program)
                .args([command])
                .envs(secrets.variables.iter().map(|(name, value)| (*name, value)))
                .envs(run.shared_env.iter().map(|(name, value)| (name, value)))
                .env("APP_ENV", "production")
                .env("STORE_DIR", places.store)
                .env("PUBLIC_URL", places.public_url)
                .env("DATABASE_POOL_SIZE", POOL_SIZE.to_string())
                // Whoever tries messages has the receiver here.
                .env("MESSAGES_NETWORKS", "127.0.0.0/8")
                .layer(LAYER)
        };
        let migrate = Spec::new("migrate", &binaries.api)
            .args(["migrate"])
            .env("DATABASE_URL_FILE", &secrets.owner_url)
            .env("DATABASE_PROCESS_ROLE", PROCESS_ROLE)
            .env("APP_ENV", "production")
            .layer(LAYER);
        run.supervisor
            .run(migrate, START)
            .await
            .context("cannot migrate the database")?;

        let mut plane = Self {
            ports: Vec::new(),
            metrics: Vec::new(),
            replicas: Vec::new(),
            workers: Vec::new(),
        };
        for number in 1..=REPLICAS {
            let name = format!("api-{number}");
            let (port, metrics) = (run.ports.reserve()?, run.ports.reserve()?);
            let replica = spec(&name, &binaries.api, "serve")
                .env("API_HOST", "127.0.0.1")
                .env("API_PORT", port.to_string())
                .env("METRICS_PORT", metrics.to_string());
            run.supervisor.spawn(replica)?;
            plane.ports.push(port);
            plane.metrics.push((name.clone(), metrics));
            plane.replicas.push(name);
        }
        for number in 1..=WORKERS {
            let name = format!("worker-{number}");
            let metrics = run.ports.reserve()?;
            let worker = spec(&name, &binaries.worker, "run").env("METRICS_PORT", metrics.to_string());
            run.supervisor.spawn(worker)?;
            plane.metrics.push((name.clone(), metrics));
            plane.workers.push(name);
        }
        for name in plane.replicas.iter().chain(&plane.workers) {
            plane.wait_ready(run, name).await?;
        }
        Ok(plane)
    }

    /// Waits until a replica is ready to serve, or a worker's metrics listener is there.
    pub async fn wait_ready(&self, run: &Run, name: &str) -> Result<()> {
        if let Some((_, port)) = self
            .replicas
            .iter()
            .zip(&self.ports)
            .find(|(replica, _)| *replica == name)
        {
            let direct = slipway_client::builder(&format!("http://127.0.0.1:{port}"))?.build()?;
            let ready = async || direct.ready().await.is_ok();
            run.supervisor.wait_ready(name, START, ready).await?;
        }
        for (_, port) in self.metrics.iter().filter(|(process, _)| process == name) {
            let ready = async || TcpStream::connect(loopback(*port)).await.is_ok();
            run.supervisor.wait_ready(name, START, ready).await?;
        }
        Ok(())
    }
}
