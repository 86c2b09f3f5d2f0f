//! Three Redis servers and three Sentinels with TLS and passwords, as deploy/cluster has them and hosts run them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use slipway_settings::{RedisServer, RedisSettings, RedisTls};
use slipway_testkit::{free_port, wait_until};
use tempfile::TempDir;

/// The place after the members'.
pub(crate) const ROGUE: usize = 3;
pub(crate) const MEMBERS: [&str; 3] = ["ha-1", "ha-2", "ha-3"];
/// The name that the certificates of all members are for, besides their addresses.
pub(crate) const NAME: &str = "redis.internal";
const PASSWORD: &str = "9e107d9d372bb6826bd81d3542a419d6";
const START: Duration = Duration::from_secs(30);

/// A process of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Redis,
    Sentinel,
}

/// The processes end with this.
pub(crate) struct TestCluster {
    folder: TempDir,
    network: String,
    ports: BTreeMap<Part, u16>,
    children: BTreeMap<(Part, usize), Child>,
}

impl TestCluster {
    /// All of it, once the Sentinels know the replicas and one another.
    pub(crate) async fn start() -> Self {
        let mut cluster = Self::stopped();
        for member in 0..3 {
            cluster.run(Part::Redis, member);
            cluster.run(Part::Sentinel, member);
        }
        cluster.complete().await;
        cluster
    }

    pub(crate) fn stopped() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let cluster = Self {
            folder: TempDir::new().unwrap(),
            // Each process of tests has its own part of the loopback network.
            network: format!("127.{}.{}.{}", 32 + pid / 256 % 200, pid % 256, 1 + count % 24),
            ports: BTreeMap::from([(Part::Redis, free_port()), (Part::Sentinel, free_port())]),
            children: BTreeMap::new(),
        };
        cluster.write();
        cluster
    }

    fn write(&self) {
        let rendered = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deploy/cluster");
        fs::copy(rendered.join("redis-prepare.sh"), self.path("redis-prepare.sh")).unwrap();
        let authority = Authority::new();
        for (index, member) in MEMBERS.into_iter().enumerate() {
            for part in ["redis", "sentinel"] {
                fs::create_dir_all(self.path(&format!("{member}/{part}"))).unwrap();
                for kind in ["conf", "secrets", "prepare"] {
                    let file = format!("{member}/{part}.{kind}");
                    let text = fs::read_to_string(rendered.join(&file)).unwrap();
                    fs::write(self.path(&file), self.filled_in(&text)).unwrap();
                }
            }
            authority.issue(
                &self.path(member),
                vec![self.address(index), NAME.to_owned(), member.to_owned()],
            );
        }
        // Of a server that is none of theirs.
        fs::create_dir(self.path("rogue")).unwrap();
        authority.issue(&self.path("rogue"), vec![self.address(ROGUE)]);
        authority.issue(self.folder.path(), vec!["client".to_owned()]);
        for name in ["shop", "cluster"] {
            fs::write(
                self.path(&format!("{name}.password")),
                format!("{PASSWORD}{name}\n"),
            )
            .unwrap();
        }
    }

    fn filled_in(&self, text: &str) -> String {
        let mut text = text
            .replace("@FOLDER@", &self.folder.path().display().to_string())
            .replace("@REDIS_PORT@", &self.ports[&Part::Redis].to_string())
            .replace("@SENTINEL_PORT@", &self.ports[&Part::Sentinel].to_string());
        for member in 0..3 {
            text = text.replace(&format!("@ADDRESS_{}@", member + 1), &self.address(member));
        }
        text
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn address(&self, member: usize) -> String {
        format!("{}{}", self.network, member + 1)
    }

    pub(crate) fn port(&self, part: Part) -> u16 {
        self.ports[&part]
    }

    /// The file that a process reads and writes again.
    pub(crate) fn state(&self, part: Part, member: usize) -> String {
        fs::read_to_string(self.state_file(part, member)).unwrap_or_default()
    }

    fn state_file(&self, part: Part, member: usize) -> PathBuf {
        let part = name(part);
        self.path(&format!("{}/{part}/{part}.conf", MEMBERS[member]))
    }

    /// Prepares and starts it, as a host does.
    pub(crate) fn run(&mut self, part: Part, member: usize) {
        self.prepare(part, member);
        self.run_unprepared(part, member);
    }

    /// Makes the file that it starts with.
    pub(crate) fn prepare(&self, part: Part, member: usize) {
        let prepared = self.try_prepare(part, member);
        let said = String::from_utf8_lossy(&prepared.stderr);
        assert!(prepared.status.success(), "{said}");
    }

    pub(crate) fn try_prepare(&self, part: Part, member: usize) -> Output {
        let arguments =
            fs::read_to_string(self.path(&format!("{}/{}.prepare", MEMBERS[member], name(part)))).unwrap();
        Command::new("bash")
            .arg(self.path("redis-prepare.sh"))
            .args(arguments.lines())
            .output()
            .unwrap()
    }

    pub(crate) fn run_unprepared(&mut self, part: Part, member: usize) {
        self.spawn(part, member, &self.state_file(part, member));
    }

    pub(crate) fn spawn(&mut self, part: Part, member: usize, file: &Path) {
        let log = file.with_extension("log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(file);
        if part == Part::Sentinel {
            command.arg("--sentinel");
        }
        let child = command.stdout(log).stderr(Stdio::null()).spawn();
        self.children
            .insert((part, member), child.expect("redis-server must be on the path"));
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self, part: Part, member: usize) {
        if let Some(mut child) = self.children.remove(&(part, member)) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn signal(&self, part: Part, member: usize, name: &str) {
        let pid = self.children[&(part, member)].id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// The Sentinels know everybody, so that they can agree.
    pub(crate) async fn complete(&self) {
        wait_until("Sentinels that know one another", START, async || {
            let knows = |member| {
                let state = self.state(Part::Sentinel, member);
                let count = |word: &str| state.lines().filter(|line| line.contains(word)).count();
                count("known-replica") == 2 && count("known-sentinel") == 2
            };
            (0..3).all(knows).then_some(())
        })
        .await;
    }

    /// The member that the Sentinel of `asked` takes for the primary.
    pub(crate) fn primary_by(&self, asked: usize) -> Option<usize> {
        let state = self.state(Part::Sentinel, asked);
        let line = state
            .lines()
            .find(|line| line.starts_with("sentinel monitor shop "))?;
        let address = line.split(' ').nth(3)?.trim_matches('"').to_owned();
        (0..3).find(|member| self.address(*member) == address)
    }

    /// What leads a stack to it.
    pub(crate) fn settings(&self) -> RedisSettings {
        let password = Some(format!("{PASSWORD}shop").into());
        let nodes = (0..3).map(|member| (self.address(member), self.port(Part::Sentinel)));
        RedisSettings {
            server: RedisServer::Sentinels {
                master: "shop".to_owned(),
                nodes: nodes.collect(),
            },
            username: None,
            password: password.clone(),
            sentinel_password: password,
            tls: Some(RedisTls {
                ca: Some(self.path("authority.pem")),
                name: None,
                identity: None,
            }),
            database: 0,
            pool_size: 10,
        }
    }

    /// A member's Redis without Sentinels, with a certificate to show.
    pub(crate) fn direct(&self, member: usize) -> RedisSettings {
        let key = fs::read_to_string(self.path("key.pem")).unwrap();
        RedisSettings {
            tls: Some(RedisTls {
                ca: Some(self.path("authority.pem")),
                name: None,
                identity: Some((self.path("certificate.pem"), key.into())),
            }),
            server: RedisServer::Tcp {
                host: self.address(member),
                port: self.port(Part::Redis),
            },
            sentinel_password: None,
            ..self.settings()
        }
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

const fn name(part: Part) -> &'static str {
    match part {
        Part::Redis => "redis",
        Part::Sentinel => "sentinel",
    }
}

/// A certificate authority of one test.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate whose issuer has its own name for a root.
        let name = format!("A test's authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        ca.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self {
            pem: ca.self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(ca, key),
        }
    }

    /// A certificate for these names and its key, with the authority beside them.
    pub(crate) fn issue(&self, folder: &Path, names: Vec<String>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        fs::write(folder.join("authority.pem"), &self.pem).unwrap();
        fs::write(folder.join("certificate.pem"), certificate.pem()).unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    }
}
