//! A separate Postgres on a Unix socket in a private folder, for drills and for inspecting restored data.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use slipway_process::RunningProgram;
use sqlx::postgres::PgConnection;
use tokio::time::{Instant, sleep};

use crate::config::Config;
use crate::database::{DatabaseLogin, query_failed};
use crate::dumps::Locale;
use crate::failure::{BackupFailure, Result, io};
use crate::files;
use crate::program::Program;

/// Of a scratch server. Its one right is to read rows that policies hide.
pub(crate) const GUEST: &str = "slipway_backup_guest";
/// A Unix socket's path has at most 107 bytes.
const LONGEST: usize = 107;
const INIT: Duration = Duration::from_mins(5);
/// Asking again whether the server answers.
const PAUSE: Duration = Duration::from_millis(100);
/// Must not be lower than in the server whose WAL is replayed; `pg_controldata` knows them.
const FROM_CONTROL: [(&str, &str); 5] = [
    ("max_connections setting", "max_connections"),
    ("max_worker_processes setting", "max_worker_processes"),
    ("max_wal_senders setting", "max_wal_senders"),
    ("max_prepared_xacts setting", "max_prepared_transactions"),
    ("max_locks_per_xact setting", "max_locks_per_transaction"),
];

/// A folder with `data`, `socket`, a configuration and a log.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    bin: PathBuf,
    /// The superuser in it.
    user: String,
}

/// A server that runs in it, until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Server {
    running: RunningProgram,
}

impl Scratch {
    /// Names the folder and makes it private.
    pub(crate) fn new(config: &Config, folder: &Path, user: &str) -> Result<Self> {
        if rustix::process::geteuid().is_root() {
            return Err(BackupFailure::new(
                "Postgres does not run as root, and neither does a scratch server",
            )
            .cure("run it as the server's user: runuser -u postgres -- slipway-backup …"));
        }
        let socket = folder.join("socket/.s.PGSQL.5432");
        if socket.as_os_str().len() > LONGEST {
            return Err(BackupFailure::new(format!(
                "{} is too long for a Unix socket ({LONGEST} bytes at most)",
                socket.display()
            ))
            .cure("give a shorter folder with backup.drill.directory or --into"));
        }
        files::folder(&folder.join("socket"))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(io("protect", folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            bin: config.database.bin_dir.clone(),
            user: user.to_owned(),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("postgresql.conf")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// The way to a database in it, as its superuser.
    pub(crate) fn login(&self, database: &str) -> DatabaseLogin {
        DatabaseLogin::socket(&self.socket(), &self.user, database)
    }

    /// The way to a database in it, as the role of [`make_guest`](Self::make_guest).
    pub(crate) fn guest(&self, database: &str) -> DatabaseLogin {
        DatabaseLogin::socket(&self.socket(), GUEST, database)
    }

    /// Makes [`GUEST`], the role in whose sessions the code of services may run.
    pub(crate) async fn make_guest(&self, superuser: &mut PgConnection) -> Result<()> {
        for statement in [
            // What the real server's settings brought along.
            "SET synchronous_commit = off".to_owned(),
            "SET default_transaction_read_only = off".to_owned(),
            format!("CREATE ROLE {GUEST} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS"),
        ] {
            sqlx::query(&statement)
                .execute(&mut *superuser)
                .await
                .map_err(query_failed("make a role without rights in the scratch server"))?;
        }
        Ok(())
    }

    /// Makes an empty cluster whose text sorts and folds as that of the dump.
    pub(crate) async fn init(&self, locale: &Locale) -> Result<()> {
        let mut program = Program::new(self.bin.join("initdb"), INIT)
            .args(["--auth=trust", "--no-sync", "--no-instructions"])
            .arg(format!("--username={}", self.user))
            .arg(format!("--encoding={}", locale.encoding))
            .arg(format!("--lc-collate={}", locale.collate))
            .arg(format!("--lc-ctype={}", locale.ctype))
            .args([
                "--lc-messages=C",
                "--lc-monetary=C",
                "--lc-numeric=C",
                "--lc-time=C",
            ])
            .path_arg("--pgdata=", &self.data());
        match (locale.provider.as_str(), &locale.rules) {
            ("icu", Some(name)) => {
                program = program
                    .arg("--locale-provider=icu")
                    .arg(format!("--icu-locale={name}"));
            }
            ("builtin", Some(name)) => {
                program = program
                    .arg("--locale-provider=builtin")
                    .arg(format!("--builtin-locale={name}"));
            }
            _ => {}
        }
        program.run().await.map(drop).map_err(|failure| {
            failure.during("cannot make a scratch cluster").cure(
                "see that the host has the database's locale (`locale -a`; on NixOS i18n.supportedLocales)",
            )
        })
    }

    /// Writes the configuration. `lasting` is for a server that somebody will work with.
    pub(crate) async fn configure(&self, lasting: bool) -> Result<()> {
        let access = self.folder.join("pg_hba.conf");
        files::write(&access, b"local all all trust\n")?;
        files::write(&self.folder.join("pg_ident.conf"), b"")?;
        let mut lines = vec![
            "listen_addresses = ''".to_owned(),
            format!("unix_socket_directories = '{}'", self.socket().display()),
            "unix_socket_permissions = 0700".to_owned(),
            format!("hba_file = '{}'", access.display()),
            format!("ident_file = '{}'", self.folder.join("pg_ident.conf").display()),
            "shared_buffers = 128MB".to_owned(),
            "dynamic_shared_memory_type = mmap".to_owned(),
            "max_wal_size = 2GB".to_owned(),
            "logging_collector = off".to_owned(),
            "log_timezone = UTC".to_owned(),
            "hot_standby = on".to_owned(),
        ];
        if !lasting {
            // The server lives as long as a comparison.
            lines.extend(
                [
                    "fsync = off",
                    "synchronous_commit = off",
                    "full_page_writes = off",
                    "autovacuum = off",
                ]
                .map(String::from),
            );
        }
        lines.extend(self.control().await?);
        files::write(&self.config(), (lines.join("\n") + "\n").as_bytes())
    }

    async fn control(&self) -> Result<Vec<String>> {
        let printed = Program::new(self.bin.join("pg_controldata"), INIT)
            .arg(self.data())
            .run()
            .await?;
        let setting = |line: &str| {
            let (name, value) = line.split_once(':')?;
            let (_, setting) = FROM_CONTROL.iter().find(|(label, _)| *label == name.trim())?;
            Some(format!("{setting} = {}", value.trim()))
        };
        Ok(printed.lines().filter_map(setting).collect())
    }

    /// What starts it, in words for a person too. The command line wins over what the data folder brings along.
    pub(crate) fn start_args(&self) -> Vec<String> {
        vec![
            "-D".to_owned(),
            self.data().display().to_string(),
            "-c".to_owned(),
            format!("config_file={}", self.config().display()),
            "-c".to_owned(),
            "listen_addresses=".to_owned(),
            "-c".to_owned(),
            format!("unix_socket_directories={}", self.socket().display()),
            "-c".to_owned(),
            "port=5432".to_owned(),
            // Nothing in this server may reach the archive of the real server.
            "-c".to_owned(),
            "archive_mode=off".to_owned(),
            "-c".to_owned(),
            "ssl=off".to_owned(),
            "-c".to_owned(),
            "shared_preload_libraries=".to_owned(),
        ]
    }

    /// Starts a server and waits until it answers.
    pub(crate) async fn start(&self, limit: Duration) -> Result<Server> {
        let log = self.folder.join("server.log");
        let file = fs::File::create(&log).map_err(io("write", &log))?;
        let running = Program::new(self.bin.join("postgres"), limit)
            .args(self.start_args())
            .start(file)?;
        let mut server = Server { running };
        let end = Instant::now() + limit;
        let login = self.login("postgres");
        while !login.answers().await {
            if server.ended() || Instant::now() > end {
                return Err(BackupFailure::new("the scratch server did not come up").printed(self.log()));
            }
            sleep(PAUSE).await;
        }
        Ok(server)
    }

    /// The server's last lines.
    pub(crate) fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..]
            .iter()
            .map(|line| (*line).to_owned())
            .collect()
    }
}

impl Server {
    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        !matches!(self.running.try_wait(), Ok(None))
    }

    /// Ends sessions, writes everything down and stops.
    pub(crate) async fn stop(self) {
        self.running.stop(Signal::INT, Duration::from_mins(2)).await;
    }

    /// Stops at once; for what is deleted next.
    pub(crate) async fn abandon(self) {
        self.running.stop(Signal::QUIT, Duration::from_secs(20)).await;
    }
}
