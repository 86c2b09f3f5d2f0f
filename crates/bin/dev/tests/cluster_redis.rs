//! Redis and Sentinel of members, with TLS: a certificate that is taken anew, and a primary that is handed over.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use slipway_dev::tls::Authority;

const BOUND: Duration = Duration::from_mins(1);
const PASSWORD: &str = "0123456789abcdef0123";
/// Of the members.
const FIRST: &str = "127.0.0.1";
const SECOND: &str = "127.0.0.2";

struct Members {
    folder: tempfile::TempDir,
    authority: Authority,
    redis: u16,
    sentinel: u16,
    running: Vec<Child>,
}

impl Drop for Members {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Members {
    fn new() -> Self {
        let free: Vec<TcpListener> = (0..2)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let port = |index: usize| free[index].local_addr().unwrap().port();
        let members = Self {
            redis: port(0),
            sentinel: port(1),
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::create().unwrap(),
            running: Vec::new(),
        };
        members.put("authority.pem", &members.authority.pem);
        members.put("password", PASSWORD);
        members.new_certificate();
        members
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn sign(&self) -> (String, String) {
        self.authority
            .sign("member", &["main.cluster.internal", FIRST, SECOND], None)
            .unwrap()
    }

    fn new_certificate(&self) {
        let (certificate, key) = self.sign();
        self.put("certificate.pem", &certificate);
        self.put("key.pem", &key);
    }

    fn start(&mut self, name: &str, address: &str, port: u16, more: &str, arguments: &[&str]) {
        let folder = self.folder.path().display();
        let settings = format!(
            "bind {address}
port 0
tls-port {port}
tls-ca-cert-file {folder}/authority.pem
tls-cert-file {folder}/certificate.pem
tls-key-file {folder}/key.pem
tls-auth-clients optional
tls-replication yes
unixsocket {folder}/{name}.sock
dir {folder}
user slipway-cluster on >{PASSWORD} ~* &* +@all
{more}"
        );
        self.put(&format!("{name}.conf"), &settings);
        let child = Command::new("redis-server")
            .arg(self.path(&format!("{name}.conf")))
            .args(arguments)
            .stdout(fs::File::create(self.path(&format!("{name}.log"))).unwrap())
            .spawn();
        self.running.push(child.unwrap());
    }

    fn redis(&mut self, name: &str, address: &str, more: &str) {
        let settings = format!(
            "save \"\"\nmasteruser slipway-cluster\nmasterauth {PASSWORD}
replica-announce-ip {address}
user slipway-renewal on >{PASSWORD} nocommands +config|set
{more}"
        );
        self.start(name, address, self.redis, &settings, &[]);
        self.until(name, &["ping"], "PONG");
    }

    fn sentinel(&mut self, address: &str) {
        let settings = format!(
            "sentinel monitor shop {FIRST} {} 1
sentinel auth-user shop slipway-cluster
sentinel auth-pass shop {PASSWORD}
sentinel down-after-milliseconds shop 30000
",
            self.redis
        );
        self.start("sentinel", address, self.sentinel, &settings, &["--sentinel"]);
        self.until("sentinel", &["sentinel", "master", "shop"], "num-slaves\n1\n");
    }

    /// Asks it by its socket until the answer has these words.
    fn until(&self, name: &str, words: &[&str], wanted: &str) {
        let end = Instant::now() + BOUND;
        loop {
            let output = Command::new("redis-cli")
                .env("REDISCLI_AUTH", PASSWORD)
                .args(["--no-auth-warning", "--user", "slipway-cluster", "-s"])
                .arg(self.path(&format!("{name}.sock")))
                .args(words)
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&output.stdout).replace('\r', "");
            if told.contains(wanted) {
                return;
            }
            let log = fs::read_to_string(self.path(&format!("{name}.log")));
            assert!(Instant::now() < end, "{words:?}: {told}, {log:?}");
            sleep(Duration::from_millis(50));
        }
    }

    /// The certificate that it shows.
    fn shown(&self, address: &str) -> String {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &format!("{address}:{}", self.redis)])
            .arg("-CAfile")
            .arg(self.path("authority.pem"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let begin = told.find("-----BEGIN").unwrap();
        told[begin..]
            .lines()
            .take_while(|line| !line.starts_with("-----END"))
            .collect()
    }

    fn on_disk(&self) -> String {
        let text = fs::read_to_string(self.path("certificate.pem")).unwrap();
        text.lines()
            .take_while(|line| !line.starts_with("-----END"))
            .collect()
    }

    fn renew(&self) -> Output {
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail"])
            .arg(modules().join("redis-renew.sh"))
            .arg("shop");
        for file in [
            "first.sock",
            "password",
            "authority.pem",
            "certificate.pem",
            "key.pem",
        ] {
            command.arg(self.path(file));
        }
        command.output().unwrap()
    }

    fn step_aside(&self, closure: &Path) -> (bool, String) {
        let text = ["restarts.sh", "redis-step-aside.sh"]
            .map(|name| fs::read_to_string(modules().join(name)).unwrap())
            .concat();
        let output = Command::new("timeout")
            .args(["60", "bash", "-euo", "pipefail", "-c"])
            .arg(text.replace("/run/current-system", &self.path("live").display().to_string()))
            .env("SLIPWAY_CLOSURE", closure)
            .env("PASSWORD_FILE", self.path("password"))
            .env("AUTHORITY", self.path("authority.pem"))
            .env("CERTIFICATE", self.path("certificate.pem"))
            .env("KEY", self.path("key.pem"))
            .env("ADDRESS", FIRST)
            .env("PORT", self.sentinel.to_string())
            .env("SENTINELS", format!("{FIRST} {SECOND}"))
            .env("REDIS_GROUPS", "shop")
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(told).unwrap())
    }

    fn generation(&self, name: &str, unit: &str) -> PathBuf {
        let units = self.path(name).join("etc/systemd/system");
        fs::create_dir_all(&units).unwrap();
        fs::write(units.join("redis-shop.service"), unit).unwrap();
        self.path(name)
    }
}

fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../modules/cluster")
}

#[test]
fn a_running_redis_takes_another_certificate_and_keeps_its_own_if_the_pair_is_none() {
    let mut members = Members::new();
    members.redis("first", FIRST, "");
    let before = members.shown(FIRST);
    members.new_certificate();
    assert_ne!(members.on_disk(), before);
    let output = members.renew();
    assert!(output.status.success(), "{output:?}");
    let taken = members.shown(FIRST);
    assert_eq!(taken, members.on_disk());

    let (_, key) = members.sign();
    members.put("key.pem", &key);
    let output = members.renew();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && told.contains("goes on with the earlier one"),
        "{output:?}"
    );
    assert!(!told.contains(PASSWORD), "{told}");
    assert_eq!(members.shown(FIRST), taken);
}

#[test]
fn a_primary_is_handed_over_also_when_its_own_sentinel_is_away() {
    let mut members = Members::new();
    let live = members.generation("live", "[Unit]\n");
    let next = members.generation("next", "[Unit]\nX-Restart-Triggers=b\n");
    members.redis("first", FIRST, "");
    let replica_of = format!("replicaof {FIRST} {}\n", members.redis);
    members.redis("second", SECOND, &replica_of);

    let (went, told) = members.step_aside(&next);
    assert!(!went, "{told}");
    assert!(told.contains("no Sentinel says who its primary is"), "{told}");

    members.sentinel(SECOND);
    let (went, told) = members.step_aside(&live);
    assert!(went && told.contains("does not restart"), "{told}");
    members.until("first", &["role"], "master");

    let (went, told) = members.step_aside(&next);
    assert!(
        went && told.contains("another member is its primary now"),
        "{told}"
    );
    members.until("second", &["role"], "master");
    let (went, told) = members.step_aside(&next);
    assert!(went && told.contains("this member is not its primary"), "{told}");
}
