//! A member of etcd without data, as modules/cluster/etcd.sh starts it: real programs, with TLS between them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use slipway_dev::tls::Authority;

const BOUND: Duration = Duration::from_mins(2);

struct Etcd {
    folder: tempfile::TempDir,
    /// Of each member: for clients, for members.
    ports: Vec<(u16, u16)>,
    running: Vec<Option<Child>>,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Etcd {
    fn new() -> Self {
        let listeners: Vec<TcpListener> = (0..6)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let port = |index: usize| listeners[index].local_addr().unwrap().port();
        let ports = (0..3).map(|one| (port(2 * one), port(2 * one + 1))).collect();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create().unwrap();
        let (certificate, key) = authority
            .sign("member", &["main.cluster.internal", "127.0.0.1"], None)
            .unwrap();
        for (name, text) in [
            ("authority", &authority.pem),
            ("certificate", &certificate),
            ("key", &key),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self {
            folder,
            ports,
            running: vec![None, None, None],
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self, member: usize) -> PathBuf {
        self.path(&format!("data-{member}"))
    }

    fn log(&self, member: usize) -> String {
        fs::read_to_string(self.path(&format!("{member}.log"))).unwrap()
    }

    fn clients(&self, members: &[usize]) -> String {
        let urls: Vec<String> = members
            .iter()
            .map(|one| format!("https://127.0.0.1:{}", self.ports[*one].0))
            .collect();
        urls.join(",")
    }

    fn start(&mut self, member: usize) {
        self.start_and_wait(member, 60);
    }

    /// Starts it; without data it waits so long for the others.
    fn start_and_wait(&mut self, member: usize, seconds: u32) {
        let peer = |one: usize| format!("https://127.0.0.1:{}", self.ports[one].1);
        let all: Vec<String> = (0..3).map(|one| format!("m{one}={}", peer(one))).collect();
        let others: Vec<usize> = (0..3).filter(|one| *one != member).collect();
        let log = self.path(&format!("{member}.log"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../modules/cluster/etcd.sh");
        fs::create_dir_all(self.data(member)).unwrap();
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail"])
            .arg(script)
            .env("WAIT_SECONDS", seconds.to_string())
            .env("OTHERS", self.clients(&others))
            .env("ETCD_NAME", format!("m{member}"))
            .env("ETCD_DATA_DIR", self.data(member))
            .env("ETCD_LISTEN_PEER_URLS", peer(member))
            .env("ETCD_INITIAL_ADVERTISE_PEER_URLS", peer(member))
            .env("ETCD_LISTEN_CLIENT_URLS", self.clients(&[member]))
            .env("ETCD_ADVERTISE_CLIENT_URLS", self.clients(&[member]))
            .env("ETCD_INITIAL_CLUSTER", all.join(","))
            .env("ETCD_INITIAL_CLUSTER_STATE", "new")
            .env("ETCD_INITIAL_CLUSTER_TOKEN", "slipway-main")
            .env("ETCD_STRICT_RECONFIG_CHECK", "true")
            .env("ETCD_CLIENT_CERT_AUTH", "true")
            .env("ETCD_PEER_CLIENT_CERT_AUTH", "true")
            .stdout(Stdio::null())
            .stderr(fs::File::create(log).unwrap());
        for kind in ["ETCD", "ETCD_PEER"] {
            command
                .env(format!("{kind}_TRUSTED_CA_FILE"), self.path("authority"))
                .env(format!("{kind}_CERT_FILE"), self.path("certificate"))
                .env(format!("{kind}_KEY_FILE"), self.path("key"));
        }
        command.envs(self.control_files());
        self.running[member] = Some(command.spawn().unwrap());
    }

    fn control_files(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("ETCDCTL_API", PathBuf::from("3")),
            ("ETCDCTL_CACERT", self.path("authority")),
            ("ETCDCTL_CERT", self.path("certificate")),
            ("ETCDCTL_KEY", self.path("key")),
        ]
    }

    fn kill(&mut self, member: usize) {
        let mut child = self.running[member].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn lose_data(&self, member: usize) {
        fs::remove_dir_all(self.data(member)).unwrap();
    }

    /// Until it ends by itself: whether with success.
    fn end(&mut self, member: usize) -> bool {
        let end = Instant::now() + BOUND;
        loop {
            let child = self.running[member].as_mut().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                self.running[member] = None;
                return status.success();
            }
            assert!(Instant::now() < end, "{}", self.log(member));
            sleep(Duration::from_millis(100));
        }
    }

    fn control(&self, members: &[usize], words: &[&str]) -> Output {
        Command::new("etcdctl")
            .envs(self.control_files())
            .arg(format!("--endpoints={}", self.clients(members)))
            .arg("--command-timeout=5s")
            .args(words)
            .output()
            .unwrap()
    }

    /// Until it works; a start that failed is made again, as systemd does.
    fn until(&mut self, members: &[usize], words: &[&str]) -> String {
        let end = Instant::now() + BOUND;
        loop {
            let output = self.control(members, words);
            if output.status.success() {
                return String::from_utf8(output.stdout).unwrap();
            }
            assert!(Instant::now() < end, "{words:?} by {members:?}: {output:?}");
            for member in 0..3 {
                if let Some(child) = &mut self.running[member]
                    && child.try_wait().unwrap().is_some()
                {
                    self.start(member);
                }
            }
            sleep(Duration::from_millis(200));
        }
    }

    fn number(&mut self, name: &str) -> String {
        let list = self.until(&[0, 1], &["member", "list"]);
        let line = list.lines().find(|line| line.contains(&format!(", {name},")));
        line.unwrap().split(',').next().unwrap().to_owned()
    }

    fn all_three(&mut self) {
        for member in 0..3 {
            self.start(member);
        }
        for member in 0..3 {
            self.until(&[member], &["put", "key", "kept"]);
        }
    }
}

#[test]
fn a_member_without_its_data_joins_anew_also_after_a_start_that_was_cut_short() {
    let mut etcd = Etcd::new();
    etcd.all_three();
    for cut_short in ["", "removed", "added"] {
        etcd.kill(2);
        etcd.lose_data(2);
        let old = etcd.number("m2");
        if !cut_short.is_empty() {
            etcd.until(&[0, 1], &["member", "remove", &old]);
        }
        if cut_short == "added" {
            let peer = format!("--peer-urls=https://127.0.0.1:{}", etcd.ports[2].1);
            etcd.until(&[0, 1], &["member", "add", "m2", &peer]);
        }
        etcd.start(2);
        let read = etcd.until(&[2], &["get", "key", "--print-value-only"]);
        assert_eq!(read.trim(), "kept");
        assert_ne!(etcd.number("m2"), old, "{cut_short}");
    }
}

#[test]
fn a_member_without_its_data_does_not_begin_anew_while_it_reaches_no_majority() {
    let mut etcd = Etcd::new();
    etcd.all_three();
    let old = etcd.number("m2");
    etcd.kill(2);
    etcd.lose_data(2);
    etcd.kill(0);
    etcd.kill(1);
    for (up, words) in [
        (None, "away: m0 m1;"),
        (Some(0), "away: m1; up without a majority: m0;"),
    ] {
        if let Some(other) = up {
            etcd.start(other);
        }
        etcd.start_and_wait(2, 12);
        assert!(!etcd.end(2), "{}", etcd.log(2));
        assert!(etcd.log(2).contains(words), "{words}: {}", etcd.log(2));
        assert!(!etcd.data(2).join("member").exists(), "{words}");
    }
    etcd.start(1);
    etcd.start(2);
    let read = etcd.until(&[2], &["get", "key", "--print-value-only"]);
    assert_eq!(read.trim(), "kept");
    assert_ne!(etcd.number("m2"), old);
}

#[test]
fn an_operator_lets_two_of_three_begin() {
    let mut etcd = Etcd::new();
    for member in [0, 1] {
        fs::create_dir_all(etcd.data(member)).unwrap();
        fs::write(etcd.data(member).join("begin"), "").unwrap();
        etcd.start(member);
    }
    etcd.until(&[0], &["put", "key", "kept"]);
    assert!(!etcd.data(0).join("begin").exists());
    etcd.start(2);
    assert_eq!(
        etcd.until(&[2], &["get", "key", "--print-value-only"]).trim(),
        "kept"
    );
}
