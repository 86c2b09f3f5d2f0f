//! A private Postgres in a private folder, and `slipway-backup` beside it, both as an account that is not root.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The account of the tests' servers when root runs the tests; Postgres refuses root.
pub(crate) fn account() -> Option<(String, u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let fields: Vec<&str> = line.split(':').collect();
        Some((
            (*name).to_owned(),
            fields[2].parse().unwrap(),
            fields[3].parse().unwrap(),
        ))
    })
}

/// The folder of the newest installed server's programs.
pub(crate) fn postgres_bin() -> PathBuf {
    let debian = (15..=18)
        .rev()
        .map(|major| PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian
        .chain(std::env::split_paths(&path))
        .find(|folder| folder.join("initdb").exists())
        .expect("no Postgres here; ./dev installs it")
}

/// A server, its folder and the configuration of its backups.
pub(crate) struct Cluster {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: Value,
    account: Option<(String, u32, u32)>,
    program: PathBuf,
    server: Option<Child>,
}

impl Cluster {
    /// A server with the database `shop`.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// A server with more settings.
    pub(crate) fn start_with(settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("slb").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let account = account();
        // The build's own folder may be closed to the account.
        let program = folder.path().join("slipway-backup");
        std::fs::copy(env!("CARGO_BIN_EXE_slipway-backup"), &program).unwrap();
        let root = folder.path().to_owned();
        let times = json!({ "timeout_seconds": 120, "late_after_seconds": 90000 });
        let config = json!({
            "stack": "shop",
            "state_dir": root.join("state"),
            "database": {
                "name": "shop", "host": root, "user": "postgres", "admin": "postgres",
                "bin_dir": postgres_bin(), "data_dir": root.join("data")
            },
            "dump": { "directory": root.join("dumps"), "keep_days": 30, "times": times },
            "drill": { "times": times },
            "verify": times,
        });
        let mut cluster = Self {
            folder,
            config,
            account,
            program,
            server: None,
        };
        cluster.own(&root);
        for name in ["state", "dumps"] {
            cluster.make_folder(name);
        }
        cluster.initialise(settings);
        cluster.boot();
        cluster.sql("postgres", "CREATE DATABASE shop");
        cluster
    }

    /// Makes a new, empty cluster in the server's data folder.
    pub(crate) fn initialise(&self, settings: &str) {
        let root = self.folder.path();
        let data = root.join("data");
        let initialised = self
            .command(&postgres_bin().join("initdb"))
            .args([
                "-A",
                "trust",
                "-U",
                "postgres",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "-D",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(initialised.status.success(), "{}", text(&initialised));
        let conf = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nfsync = off\nshared_buffers = 32MB\n\
             dynamic_shared_memory_type = mmap\nmax_connections = 40\n{settings}\n",
            root.display()
        );
        let path = data.join("postgresql.conf");
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, before + &conf).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Gives a file or folder to the servers' account.
    pub(crate) fn own(&self, path: &Path) {
        if let Some((_, uid, gid)) = &self.account {
            chown(path, Some(*uid), Some(*gid)).unwrap();
        }
    }

    /// A folder of the servers' account.
    pub(crate) fn make_folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        self.own(&path);
        path
    }

    /// A file of the servers' account.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        self.own(&path);
        path
    }

    /// A program as the servers' account.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = match &self.account {
            Some((_, uid, gid)) => {
                let mut command = Command::new("setpriv");
                command
                    .args([format!("--reuid={uid}"), format!("--regid={gid}")])
                    .args(["--clear-groups", "--pdeathsig", "KILL", "--"])
                    .arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path());
        command
    }

    /// Starts the server and waits until it takes changes.
    pub(crate) fn boot(&mut self) {
        let log = std::fs::File::create(self.path("server.log")).unwrap();
        let server = self
            .command(&postgres_bin().join("postgres"))
            .arg("-D")
            .arg(self.path("data"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.server = Some(server);
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            let query_failed = self.psql("postgres", "postgres", "SELECT pg_is_in_recovery()");
            if query_failed.status.success() && query_failed.stdout == b"f\n" {
                return;
            }
            assert!(
                Instant::now() < end,
                "the server does not come up: {}",
                std::fs::read_to_string(self.path("server.log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops the server: cleanly, or as a power cut does.
    pub(crate) fn halt(&mut self, cleanly: bool) {
        if let Some(mut server) = self.server.take() {
            let pid = rustix::process::Pid::from_child(&server);
            let signal = if cleanly {
                rustix::process::Signal::INT
            } else {
                rustix::process::Signal::QUIT
            };
            rustix::process::kill_process(pid, signal).unwrap();
            server.wait().unwrap();
        }
    }

    fn psql(&self, role: &str, database: &str, sql: &str) -> Output {
        self.command(&postgres_bin().join("psql"))
            .args(["--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1", "-U", role, "-h"])
            .arg(self.folder.path())
            .args(["-d", database, "-c", sql])
            .output()
            .unwrap()
    }

    /// Runs statements as the superuser; the answer's text.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        self.sql_as("postgres", database, sql)
    }

    /// Runs statements in a session of `role`; the answer's text.
    pub(crate) fn sql_as(&self, role: &str, database: &str, sql: &str) -> String {
        let output = self.psql(role, database, sql);
        assert!(output.status.success(), "{sql}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// `slipway-backup` with this configuration, not yet started.
    pub(crate) fn backup_command(&self, arguments: &[&str]) -> Command {
        let config = self.path("config.json");
        // One that runs already may be reading it.
        slipway_durable::write(&config, self.config.to_string().as_bytes(), 0o644).unwrap();
        let mut command = self.command(&self.program);
        command.arg("--config").arg(config).args(arguments);
        command
    }

    /// Runs `slipway-backup`.
    pub(crate) fn backup(&self, arguments: &[&str]) -> Output {
        self.backup_command(arguments).output().unwrap()
    }

    /// Runs `slipway-backup`, which must succeed; what it printed.
    pub(crate) fn good(&self, arguments: &[&str]) -> String {
        let output = self.backup(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        text(&output)
    }

    /// Runs `slipway-backup`, which must fail; what it printed.
    pub(crate) fn bad(&self, arguments: &[&str]) -> String {
        let output = self.backup(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", text(&output));
        text(&output)
    }

    /// Its status, as JSON.
    pub(crate) fn status(&self) -> Value {
        serde_json::from_slice(&self.backup(&["status", "--json"]).stdout).unwrap()
    }

    /// One kind's part of the status.
    pub(crate) fn status_of(&self, kind: &str) -> Value {
        let status = self.status();
        let kinds = status["kinds"].as_array().unwrap();
        kinds.iter().find(|entry| entry["kind"] == kind).unwrap().clone()
    }

    /// The listing, as JSON.
    pub(crate) fn list(&self) -> Value {
        serde_json::from_slice(&self.backup(&["list", "--json"]).stdout).unwrap()
    }

    /// The ids of the dumps, oldest first.
    pub(crate) fn dumps(&self) -> Vec<String> {
        let list = self.list();
        let dumps = list["dumps"].as_array().unwrap();
        dumps
            .iter()
            .map(|dump| dump["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.halt(false);
    }
}

/// Turns the archive of a server on that was started with `archive_mode`: its folder is known only now.
pub(crate) fn archive(cluster: &mut Cluster) {
    let root = cluster.folder.path().to_owned();
    for name in ["repository", "log", "lock"] {
        cluster.make_folder(name);
    }
    let root = root.display();
    let config = cluster.write(
        "pgbackrest.conf",
        &format!(
            "[global]\nrepo1-path={root}/repository\nrepo1-retention-full=2\nlog-path={root}/log\nlock-path={root}/lock\n\
             start-fast=y\ncompress-type=lz4\nprocess-max=2\n[main]\npg1-path={root}/data\npg1-socket-path={root}\n\
             pg1-user=postgres\n"
        ),
    );
    let command = format!(
        "pgbackrest --config={} --stanza=main archive-push %p",
        config.display()
    );
    cluster.sql(
        "postgres",
        &format!("ALTER SYSTEM SET archive_command = '{command}'"),
    );
    cluster.sql("postgres", "SELECT pg_reload_conf()");
    cluster.config["wal"] = json!({
        "config": config, "stanza": "main", "repository": format!("{root}/repository"),
        "full_every_days": 7, "diff_every_days": 1, "archive_late_after_seconds": 60,
        "times": { "timeout_seconds": 120, "late_after_seconds": 90000 }
    });
}

/// What a program printed, for messages.
pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
