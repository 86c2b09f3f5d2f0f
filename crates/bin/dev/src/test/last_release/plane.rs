//! One api and one worker of some version on one database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use secrecy::SecretString;
use slipway_client::Client;

use crate::postgres::{DevPostgres, OWNER, PROCESS_ROLE, random_password};
use crate::run::Run;
use crate::run_dir::write_private;
use crate::spec::Spec;

/// The program that serves and migrates.
pub(super) const API: &str = "slipway-api";
/// The program that drives rollouts.
pub(super) const WORKER: &str = "slipway-worker";
const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(30);
const MIGRATE: Duration = Duration::from_mins(2);

/// The programs of one version.
#[derive(Debug)]
pub(super) struct Programs {
    api: PathBuf,
    worker: PathBuf,
}

impl Programs {
    /// Those in a folder.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self {
            api: folder.join(API),
            worker: folder.join(WORKER),
        }
    }
}

/// What all versions share: a database of their own, and secrets.
pub(super) struct SharedDatabase {
    folder: PathBuf,
    /// What the admin logs in with.
    pub(super) admin_password: String,
}

impl SharedDatabase {
    /// Makes the database `last_release` with its two roles' ways to it.
    pub(super) async fn create(run: &Run, postgres: &DevPostgres) -> Result<Self> {
        const DATABASE: &str = "last_release";
        let create = format!("CREATE DATABASE {DATABASE} OWNER \"{OWNER}\"");
        postgres.query("postgres", "postgres", &create).await?;
        let folder = run.dir.folder("last-release", None)?;
        let admin_password = random_password()?;
        let key = format!("{}{}", random_password()?, random_password()?);
        for (name, secret) in [
            ("url", postgres.url_of(DATABASE)),
            ("owner-url", postgres.owner_url_of(DATABASE)),
            ("key", key),
            ("admin", admin_password.clone()),
        ] {
            write_private(&folder.join(name), &secret, None)?;
        }
        Ok(Self {
            folder,
            admin_password,
        })
    }

    fn spec(&self, name: &str, program: &Path, command: &str) -> Spec {
        Spec::new(name, program)
            .args([command])
            .env("DATABASE_URL_FILE", self.folder.join("url"))
            .env("SECRET_KEY_FILE", self.folder.join("key"))
            .env("ADMIN_PASSWORD_FILE", self.folder.join("admin"))
            .env("APP_ENV", "test")
    }

    /// Migrates as the role that owns the tables.
    pub(super) async fn migrate(&self, run: &Run, name: &str, programs: &Programs) -> Result<()> {
        let name = format!("{name}-migrate");
        let migrate = self
            .spec(&name, &programs.api, "migrate")
            .env("DATABASE_URL_FILE", self.folder.join("owner-url"))
            .env("DATABASE_PROCESS_ROLE", PROCESS_ROLE);
        run.supervisor.run(migrate, MIGRATE).await
    }
}

/// A running api with its worker.
pub(super) struct Plane {
    names: Vec<String>,
    port: u16,
}

impl Plane {
    /// Starts both and waits until the api is ready.
    pub(super) async fn start(
        run: &Run,
        name: &str,
        shared: &SharedDatabase,
        programs: &Programs,
    ) -> Result<Self> {
        let port = run.ports.reserve()?;
        let names = vec![format!("{name}-api"), format!("{name}-worker")];
        let api = shared
            .spec(&names[0], &programs.api, "serve")
            .env("API_HOST", "127.0.0.1")
            .env("API_PORT", port.to_string());
        run.supervisor.spawn(api)?;
        run.supervisor
            .spawn(shared.spec(&names[1], &programs.worker, "run"))?;
        let plane = Self { names, port };
        let anybody = plane.client(None)?;
        let ready = async || anybody.ready().await.is_ok();
        run.supervisor
            .wait_ready(&plane.names[0], START, ready)
            .await
            .with_context(|| format!("{} does not come up", plane.names[0]))?;
        Ok(plane)
    }

    /// A client with this token.
    pub(super) fn client(&self, token: Option<&str>) -> Result<Client> {
        let builder = slipway_client::builder(&format!("http://127.0.0.1:{}", self.port))?;
        let builder = match token {
            Some(token) => builder.token(SecretString::from(token.to_owned())),
            None => builder,
        };
        Ok(builder.build()?)
    }

    /// Ends both, as systemd would.
    pub(super) async fn stop(self, run: &Run) {
        run.supervisor.stop(&self.names, STOP).await;
    }
}
