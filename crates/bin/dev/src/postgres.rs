//! A private Postgres: its own data folder, a password, one loopback port.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use slipway_process::RunOutcome;

use crate::programs;
use crate::run::Run;
use crate::run_dir::write_private;
use crate::spec::Spec;

/// How the process is called in the run.
pub const NAME: &str = "postgres";
/// The role that migrates and owns the tables.
pub const OWNER: &str = "slipway-owner";
/// The role of api and worker, which may only do what migrations grant it.
pub const PROCESS_ROLE: &str = "slipway";
/// The role of the exporter, which reads counters and no tables.
pub const TELEMETRY_ROLE: &str = "slipway-telemetry";
/// Databases and caches are stopped last.
const LAYER: u8 = 0;
/// initdb writes some 40 MB; a busy disk takes its time.
const INIT: Duration = Duration::from_mins(3);
const START: Duration = Duration::from_mins(2);
/// One statement, waiting for locks included.
const QUERY: Duration = Duration::from_mins(2);

/// What a run wants of its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As in production: a commit is on the disk when it is answered.
    Safe,
    /// For databases that live as long as one test: nothing is flushed.
    Fast,
}

/// A running server.
#[derive(Debug)]
pub struct DevPostgres {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The superuser's password, the role `postgres`.
    pub admin_password: String,
    /// The password of the role `slipway`, which api and worker use.
    pub password: String,
    /// The password of the role `slipway-owner`, which owns the database `slipway` and migrates it.
    pub owner_password: String,
    /// The password of the role `slipway-telemetry`.
    pub telemetry_password: String,
    bin: PathBuf,
    password_file: PathBuf,
}

impl DevPostgres {
    /// Creates a cluster with the roles and the database, and starts it.
    pub async fn start(run: &Run, durability: Durability) -> Result<Self> {
        let bin = programs::postgres_bin()?;
        let user = run.user.as_ref();
        let folder = run.dir.folder("postgres", user)?;
        let data = folder.join("data");
        let (admin_password, password) = (random_password()?, random_password()?);
        let (owner_password, telemetry_password) = (random_password()?, random_password()?);
        let secret = folder.join("admin-password");
        write_private(&secret, &admin_password, user)?;
        let init = Spec::new("initdb", bin.join("initdb"))
            .args([
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            .args(["--no-sync", "--no-instructions"])
            .args([arg("--pwfile=", &secret), arg("--pgdata=", &data)])
            .directory(&folder)
            .user(user);
        run.supervisor
            .run(init, INIT)
            .await
            .context("cannot create a Postgres cluster")?;
        // Single-user mode needs no client, and the server never runs without its roles.
        let setup = Spec::new("postgres-setup", bin.join("postgres"))
            .args(["--single", "-j", "-D"])
            .args([&data, &PathBuf::from("postgres")])
            .directory(&folder)
            .stdin(format!(
                "CREATE ROLE {PROCESS_ROLE} LOGIN PASSWORD '{password}';\n\n\
                 CREATE ROLE \"{OWNER}\" LOGIN PASSWORD '{owner_password}';\n\n\
                 CREATE ROLE \"{TELEMETRY_ROLE}\" LOGIN PASSWORD '{telemetry_password}' IN ROLE pg_read_all_stats;\n\n\
                 CREATE DATABASE slipway OWNER \"{OWNER}\";\n\n"
            ))
            .user(user);
        run.supervisor
            .run(setup, INIT)
            .await
            .context("cannot create the roles")?;

        let port = run.ports.reserve()?;
        let password_file = run.dir.path().join("home/.pgpass");
        let lines =
            format!("127.0.0.1:{port}:*:postgres:{admin_password}\n127.0.0.1:{port}:*:slipway:{password}\n");
        write_private(&password_file, &lines, None)?;
        let server = Self {
            port,
            admin_password,
            password,
            owner_password,
            telemetry_password,
            bin,
            password_file,
        };
        run.supervisor.spawn(server.spec(run, &data, durability))?;
        let ready = async || server.is_ready().await;
        run.supervisor.wait_ready(NAME, START, ready).await?;
        Ok(server)
    }

    fn spec(&self, run: &Run, data: &std::path::Path, durability: Durability) -> Spec {
        let mut settings = vec![
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            // A deep checkout would make the socket's path too long, and nobody needs one.
            "unix_socket_directories=".to_owned(),
            "max_connections=300".to_owned(),
            "shared_buffers=128MB".to_owned(),
            // Files in the run's folder: segments in /dev/shm would outlive a server that is killed.
            "dynamic_shared_memory_type=mmap".to_owned(),
            "timezone=UTC".to_owned(),
            "logging_collector=off".to_owned(),
        ];
        if durability == Durability::Fast {
            let nothing = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
            settings.extend(nothing.map(String::from));
            // It may lie in memory.
            settings.push("max_wal_size=256MB".to_owned());
        }
        Spec::new(NAME, self.bin.join("postgres"))
            .args(["-D".as_ref(), data.as_os_str()])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .directory(data)
            .user(run.user.as_ref())
            // Fast shutdown: sessions end, nothing is lost. SIGTERM would wait for the clients.
            .stop_signal(Signal::INT)
            // SIGKILL would leave its shared memory behind; this ends it as fast and does not.
            .death_signal("QUIT")
            .layer(LAYER)
    }

    /// The URL of the role that owns the database `slipway`.
    #[must_use]
    pub fn owner_url(&self) -> String {
        self.owner_url_of("slipway")
    }

    /// As [`Self::owner_url`], for another database.
    #[must_use]
    pub fn owner_url_of(&self, database: &str) -> String {
        format!(
            "postgres://{OWNER}:{}@127.0.0.1:{}/{database}",
            self.owner_password, self.port
        )
    }

    /// As [`Self::url`], for another database.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://{PROCESS_ROLE}:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// The URL of the role `slipway` and its database.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("slipway")
    }

    /// The superuser's URL, for test runs that create a database a test.
    #[must_use]
    pub fn admin_url(&self) -> String {
        self.admin_url_of("postgres")
    }

    /// As [`Self::admin_url`], for another database.
    #[must_use]
    pub fn admin_url_of(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{}@127.0.0.1:{}/{database}",
            self.admin_password, self.port
        )
    }

    /// Runs one statement as `role` in `database`; returns the rows, fields separated by `|`.
    pub async fn query(&self, role: &str, database: &str, sql: &str) -> Result<String> {
        let mut psql = tokio::process::Command::new(self.bin.join("psql"));
        psql.env("PGPASSFILE", &self.password_file)
            .args([
                "--no-psqlrc",
                "--no-password",
                "-qAt",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
            ])
            .args([
                "-p",
                &self.port.to_string(),
                "-U",
                role,
                "-d",
                database,
                "-c",
                sql,
            ]);
        let answer = slipway_process::capture(psql, QUERY).await;
        match answer.outcome {
            RunOutcome::Exited(status) if status.success() => {
                Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
            }
            RunOutcome::Exited(_) => bail!("Postgres refused the statement: {}", answer.stderr.trim()),
            RunOutcome::Failed(error) => Err(error).context("cannot run psql"),
            RunOutcome::TimedOut => bail!("Postgres did not answer within {} s", QUERY.as_secs()),
        }
    }

    async fn is_ready(&self) -> bool {
        self.query("slipway", "slipway", "SELECT 1")
            .await
            .is_ok_and(|answer| answer == "1")
    }
}

/// 32 random hexadecimal digits: safe in URLs, configuration files and SQL literals.
pub fn random_password() -> Result<String> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).context("cannot read random bytes for a password")?;
    Ok(hex::encode(random))
}

fn arg(option: &str, path: &std::path::Path) -> std::ffi::OsString {
    let mut arg = std::ffi::OsString::from(option);
    arg.push(path);
    arg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_starts_answers_refuses_a_wrong_password_and_stops_cleanly() {
        let base = crate::run::tests::passable_base();
        let run = Run::create(base.path()).unwrap();
        let postgres = DevPostgres::start(&run, Durability::Safe).await.unwrap();
        assert_eq!(
            postgres.query("slipway", "slipway", "SHOW fsync").await.unwrap(),
            "on"
        );
        let owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'slipway'";
        assert_eq!(
            postgres.query("postgres", "postgres", owner).await.unwrap(),
            OWNER
        );

        std::fs::write(
            &postgres.password_file,
            format!("127.0.0.1:{}:*:*:wrong\n", postgres.port),
        )
        .unwrap();
        let refused = postgres
            .query("slipway", "slipway", "SELECT 1")
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("password authentication failed"), "{refused}");

        run.supervisor
            .stop(&[NAME.to_owned()], Duration::from_secs(10))
            .await;
        assert!(
            run.supervisor.ended(NAME).unwrap().unwrap().success(),
            "a fast shutdown is a clean one"
        );
        run.close().await.unwrap();
    }

    #[tokio::test]
    async fn two_run_side_by_side() {
        let base = crate::run::tests::passable_base();
        let (first, second) = (
            Run::create(base.path()).unwrap(),
            Run::create(base.path()).unwrap(),
        );
        let (one, two) = tokio::join!(
            DevPostgres::start(&first, Durability::Fast),
            DevPostgres::start(&second, Durability::Fast)
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_ne!(one.port, two.port);
        first.close().await.unwrap();
        assert_eq!(
            two.query("slipway", "slipway", "SHOW fsync").await.unwrap(),
            "off",
            "the other one goes on"
        );
        second.close().await.unwrap();
    }
}
