//! A cluster of three on one machine: etcd and Patroni with the files of deploy/cluster, and one repository for all members.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{account, postgres_bin, text};

pub(crate) const NAMES: [&str; 3] = ["ha-1", "ha-2", "ha-3"];
/// Loopback addresses of this test alone.
const NETWORK: &str = "127.0.77.";
const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
const PASSWORD: &str = "a password of the test";
/// A busy machine takes its time to elect a leader and to copy a database twice.
const WHOLE: Duration = Duration::from_mins(4);

pub(crate) struct Members {
    folder: tempfile::TempDir,
    account: Option<(String, u32, u32)>,
    postgres: u16,
    running: Vec<(String, Child)>,
}

impl Members {
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("slm").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let ports = Ports::find();
        let mut members = Self {
            folder,
            account: account(),
            postgres: ports.postgres,
            running: Vec::new(),
        };
        members.write_files(&ports);
        for name in NAMES {
            members.run_etcd(name);
        }
        for name in NAMES {
            members.run_patroni(name);
        }
        members.until("the cluster forms", Self::is_whole);
        members
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn own(&self, path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        if let Some((_, uid, gid)) = &self.account {
            chown(path, Some(*uid), Some(*gid)).unwrap();
        }
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        self.own(&path, 0o600);
        path
    }

    fn write_files(&self, ports: &Ports) {
        std::fs::copy(env!("CARGO_BIN_EXE_slipway-backup"), self.path("slipway-backup")).unwrap();
        for name in ["repository", "log"] {
            std::fs::create_dir(self.path(name)).unwrap();
            self.own(&self.path(name), 0o700);
        }
        if let Some(package) = std::env::var_os("SLIPWAY_DEV_PATRONI") {
            let mut copy = Command::new("cp");
            let copied = copy.arg("-r").arg(package).arg(self.path("python")).status();
            assert!(copied.unwrap().success());
        }
        self.openssl(&format!(
            "openssl req -x509 {KEY} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"
        ));
        self.write("operator", PASSWORD);
        for (number, name) in (1..).zip(NAMES) {
            for part in ["", "data", "run", "etcd", "state", "dumps", "lock"] {
                std::fs::create_dir(self.path(&format!("{name}/{part}"))).unwrap();
                self.own(&self.path(&format!("{name}/{part}")), 0o700);
            }
            self.write_certificate(name, number);
            self.write_pgbackrest(name, ports);
            for file in ["etcd.env", "patroni.yaml"] {
                self.write_rendered(name, number, file, ports);
            }
            self.write_backup(name, ports);
        }
    }

    fn write_certificate(&self, name: &str, number: u8) {
        self.openssl(&format!(
            "cd {name}; openssl req {KEY} -keyout key.pem -out csr -subj /CN={name}
             printf 'subjectAltName=DNS:main.cluster.internal,IP:{NETWORK}{number},IP:127.0.0.1\\n' > ext
             printf 'extendedKeyUsage=serverAuth,clientAuth\\n' >> ext
             openssl x509 -req -in csr -CA ../ca.pem -CAkey ../ca.key -CAcreateserial -days 2 -out certificate.pem -extfile ext
             cp ../ca.pem authority.pem"
        ));
        for file in ["key.pem", "certificate.pem", "authority.pem"] {
            self.own(&self.path(&format!("{name}/{file}")), 0o600);
        }
    }

    fn write_pgbackrest(&self, name: &str, ports: &Ports) {
        let root = self.folder.path().display();
        let postgres = ports.postgres;
        self.write(
            &format!("{name}/pgbackrest.conf"),
            &format!(
                "[global]\nrepo1-path={root}/repository\nrepo1-retention-full=2\nrepo1-bundle=y\nlog-path={root}/log\n\
                 lock-path={root}/{name}/lock\nstart-fast=y\ncompress-type=lz4\n[main]\npg1-path={root}/{name}/data\n\
                 pg1-port={postgres}\npg1-socket-path={root}/{name}/run\npg1-user=postgres\n"
            ),
        );
    }

    /// A file of deploy/cluster with this run's places, and with the archive that the module puts in.
    fn write_rendered(&self, name: &str, number: u8, file: &str, ports: &Ports) {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deploy/cluster");
        let config = self.path(&format!("{name}/pgbackrest.conf"));
        let pgbackrest = format!("pgbackrest --config={} --stanza=main", config.display());
        let own = Command::new("id").arg("-un").output().unwrap().stdout;
        let account = self
            .account
            .as_ref()
            .map_or_else(|| String::from_utf8(own).unwrap(), |(name, ..)| name.clone());
        let metrics = format!("{NETWORK}{number}:{}", ports.metrics);
        let archive = format!(
            "    archive_mode: true\n    archive_command: {pgbackrest} archive-push %p\n    fsync: false\n    password_encryption:"
        );
        let restore = format!(
            "  recovery_conf:\n    restore_command: {pgbackrest} archive-get %f %p\n  remove_data_directory_on_rewind_failure:"
        );
        let mut text = std::fs::read_to_string(checkout.join(name).join(file)).unwrap();
        for (from, to) in [
            ("@FOLDER@", self.folder.path().display().to_string()),
            ("@ACCOUNT@", account.trim().to_owned()),
            ("@SOURCE@", "127.0.0.1".to_owned()),
            ("@PROGRAMS@", postgres_bin().display().to_string()),
            ("@ADDRESS_1@", format!("{NETWORK}1")),
            ("@ADDRESS_2@", format!("{NETWORK}2")),
            ("@ADDRESS_3@", format!("{NETWORK}3")),
            ("@POSTGRES_PORT@", ports.postgres.to_string()),
            ("@PATRONI_PORT@", ports.patroni.to_string()),
            ("@ETCD_CLIENT_PORT@", ports.client.to_string()),
            ("@ETCD_PEER_PORT@", ports.peer.to_string()),
            ("127.0.0.1:@ETCD_METRICS_PORT@", metrics),
            ("64MB", "16MB".to_owned()),
            ("    password_encryption:", archive),
            ("  remove_data_directory_on_rewind_failure:", restore),
        ] {
            text = text.replace(from, &to);
        }
        self.write(&format!("{name}/{file}"), &text);
    }

    fn write_backup(&self, name: &str, ports: &Ports) {
        let times = json!({ "timeout_seconds": 120, "late_after_seconds": 90000 });
        let home = self.path(name);
        let url = |number: u8| format!("https://{NETWORK}{number}:{}", ports.patroni);
        let config = json!({
            "stack": "shop", "state_dir": home.join("state"),
            "database": {
                "name": "shop", "host": home.join("run"), "port": ports.postgres, "user": "postgres", "admin": "postgres",
                "bin_dir": postgres_bin(), "data_dir": home.join("data"), "unit": "slipway-patroni.service"
            },
            "dump": { "directory": home.join("dumps"), "keep_days": 30, "times": times },
            "wal": {
                "config": home.join("pgbackrest.conf"), "stanza": "main", "full_every_days": 7, "diff_every_days": 1,
                "archive_late_after_seconds": 60, "times": times
            },
            "drill": { "times": times }, "verify": times,
            "cluster": {
                "name": "main", "member": name, "operator": "patroni",
                "patroni": { "ha-1": url(1), "ha-2": url(2), "ha-3": url(3) },
                "authority": home.join("authority.pem"), "certificate": home.join("certificate.pem"),
                "key": home.join("key.pem"), "operator_password_file": { "path": self.path("operator") }
            }
        });
        self.write(&format!("{name}/backup.json"), &config.to_string());
    }

    fn openssl(&self, script: &str) {
        let made = Command::new("sh")
            .args(["-ec", script])
            .current_dir(self.folder.path())
            .output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", text(&made));
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        if let Some((_, uid, gid)) = &self.account {
            command.args([
                format!("--reuid={uid}"),
                format!("--regid={gid}"),
                "--clear-groups".to_owned(),
            ]);
        }
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path());
        command
    }

    fn spawn(&mut self, name: &str, log: &str, command: &mut Command) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path(log))
            .unwrap();
        let child = command
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running.push((name.to_owned(), child));
    }

    fn run_etcd(&mut self, name: &str) {
        let mut command = self.command(Path::new("etcd"));
        for line in std::fs::read_to_string(self.path(&format!("{name}/etcd.env")))
            .unwrap()
            .lines()
        {
            let (variable, value) = line.split_once('=').unwrap();
            command.env(variable, value);
        }
        self.spawn(&format!("etcd {name}"), &format!("{name}/etcd.log"), &mut command);
    }

    fn run_patroni(&mut self, name: &str) {
        let python = self.path("python");
        let mut command = if python.exists() {
            let mut command = self.command(Path::new("/usr/bin/python3"));
            command.args(["-B", "-m", "patroni"]).env("PYTHONPATH", python);
            command
        } else {
            self.command(Path::new("patroni"))
        };
        command.arg(self.path(&format!("{name}/patroni.yaml")));
        for variable in ["REPLICATION", "REWIND", "RESTAPI"] {
            command.env(format!("PATRONI_{variable}_PASSWORD"), PASSWORD);
        }
        self.spawn(name, &format!("{name}/patroni.log"), &mut command);
    }

    /// As a power cut does, but for etcd.
    pub(crate) fn cut(&mut self, name: &str) {
        for (_, child) in self.running.iter_mut().filter(|(running, _)| running == name) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let stopped = self
            .command(&postgres_bin().join("pg_ctl"))
            .args(["stop", "-m", "immediate", "-D"])
            .arg(self.path(&format!("{name}/data")))
            .output();
        drop(stopped);
    }

    /// The oldest one and its WAL are let go.
    pub(crate) fn full_backup(&self, member: &str) {
        let mut command = self.command(Path::new("pgbackrest"));
        let made = command
            .arg(format!(
                "--config={}",
                self.path(&format!("{member}/pgbackrest.conf")).display()
            ))
            .args(["--stanza=main", "--type=full", "backup"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", text(&made));
    }

    /// Starts a member's server as a standby, without Patroni.
    pub(crate) fn start_alone(&mut self, name: &str) {
        self.write(&format!("{name}/data/standby.signal"), "");
        let mut command = self.command(&postgres_bin().join("postgres"));
        command
            .arg("-D")
            .arg(self.path(&format!("{name}/data")))
            .args(["-c", "primary_conninfo="]);
        self.spawn(name, &format!("{name}/patroni.log"), &mut command);
    }

    fn psql(&self, member: &str, database: &str, sql: &str) -> Output {
        self.command(&postgres_bin().join("psql"))
            .args([
                "--no-psqlrc",
                "-qAtX",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-h",
            ])
            .arg(self.path(&format!("{member}/run")))
            .args(["-p", &self.postgres.to_string(), "-d", database, "-c", sql])
            .output()
            .unwrap()
    }

    pub(crate) fn sql(&self, member: &str, database: &str, sql: &str) -> String {
        let output = self.psql(member, database, sql);
        assert!(output.status.success(), "{member}: {sql}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn backup(&self, member: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(&self.path("slipway-backup"));
        command
            .arg("--config")
            .arg(self.path(&format!("{member}/backup.json")))
            .args(arguments);
        command
    }

    pub(crate) fn good(&self, member: &str, arguments: &[&str]) -> String {
        let output = self.backup(member, arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{member}: {arguments:?}: {}",
            text(&output)
        );
        text(&output)
    }

    pub(crate) fn bad(&self, member: &str, arguments: &[&str]) -> String {
        let output = self.backup(member, arguments).output().unwrap();
        assert!(
            !output.status.success(),
            "{member}: {arguments:?}: {}",
            text(&output)
        );
        text(&output)
    }

    pub(crate) fn status(&self, member: &str) -> Value {
        let output = self.backup(member, &["status", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)))
    }

    pub(crate) fn kind(&self, member: &str, kind: &str) -> Value {
        let status = self.status(member);
        let kinds = status["kinds"].as_array().unwrap();
        kinds.iter().find(|entry| entry["kind"] == kind).unwrap().clone()
    }

    /// Members whose server takes writes, and those that follow.
    pub(crate) fn roles(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let is = |name: &&&str, recovery: &str| {
            self.psql(name, "postgres", "SELECT pg_is_in_recovery()").stdout == recovery.as_bytes()
        };
        let leaders = NAMES.iter().filter(|name| is(name, "f\n")).copied().collect();
        let others = NAMES.iter().filter(|name| is(name, "t\n")).copied().collect();
        (leaders, others)
    }

    /// One leads, and two copy from it.
    pub(crate) fn is_whole(&self) -> bool {
        let (leaders, others) = self.roles();
        let copying = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        leaders.len() == 1 && others.len() == 2 && self.psql(leaders[0], "postgres", copying).stdout == b"2\n"
    }

    pub(crate) fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + WHOLE;
        while !done(self) {
            assert!(
                Instant::now() < end,
                "in {WHOLE:?} it did not come to pass that {what}: {}",
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn logs(&self) -> String {
        let last = |name: &str| {
            let log = std::fs::read_to_string(self.path(&format!("{name}/patroni.log"))).unwrap_or_default();
            let skipped = log.lines().count().saturating_sub(15);
            let lines: Vec<&str> = log.lines().skip(skipped).collect();
            format!("\n{name}:\n{}", lines.join("\n"))
        };
        NAMES.map(last).concat()
    }

    pub(crate) fn rows(&self, member: &str) -> String {
        self.sql(member, "shop", "SELECT count(*) FROM events")
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for name in NAMES {
            self.cut(name);
        }
        for (_, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

struct Ports {
    postgres: u16,
    patroni: u16,
    client: u16,
    peer: u16,
    metrics: u16,
}

impl Ports {
    fn find() -> Self {
        let held = [(); 5].map(|()| TcpListener::bind(format!("{NETWORK}1:0")).unwrap());
        let [postgres, patroni, client, peer, metrics] =
            held.map(|listener| listener.local_addr().unwrap().port());
        Self {
            postgres,
            patroni,
            client,
            peer,
            metrics,
        }
    }
}
