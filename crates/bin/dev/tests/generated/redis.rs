//! Redis: the cache on its socket, and the one that other hosts reach over TLS.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use slipway_dev::postgres::random_password;
use slipway_dev::programs;
use slipway_dev::spec::Spec;

use crate::host::{Host, snapshot};

const START: Duration = Duration::from_secs(15);

/// A server with the configuration of a snapshot, and a password as the unit adds it.
struct Server {
    host: Host,
    password: String,
    socket: PathBuf,
}

impl Server {
    async fn start(text: &str) -> Result<Self, String> {
        let host = Host::new();
        let user = host.run.user.clone();
        host.folder("/run/redis-shop");
        host.certify(
            &["/etc/fleet/db.pem"],
            &["/run/secrets/db-key"],
            &["/etc/fleet/authority.pem"],
        );
        let password = random_password().unwrap();
        let folder = host.folder("/var/lib/redis-shop");
        let text = format!(
            "{}dir {}\nrequirepass {password}\n",
            host.moved(text),
            folder.display()
        );
        let config = host.write("/redis.conf", &text);
        let server = Spec::new("redis", programs::find("redis-server").unwrap())
            .args([&config])
            .directory(&folder)
            .user(user.as_ref());
        host.run.supervisor.spawn(server).unwrap();
        let socket = host.at("/run/redis-shop/redis.sock");
        let ready = async || ask(&["-s", socket.to_str().unwrap()], Some(&password), &["PING"]) == "PONG";
        let started = host.run.supervisor.wait_ready("redis", START, ready).await;
        started.map_err(|error| error.to_string())?;
        Ok(Self {
            host,
            password,
            socket,
        })
    }

    fn local(&self, password: Option<&str>, command: &[&str]) -> String {
        ask(&["-s", self.socket.to_str().unwrap()], password, command)
    }
}

/// What redis-cli prints. The password goes through its environment.
fn ask(server: &[&str], password: Option<&str>, command: &[&str]) -> String {
    let mut cli = Command::new(programs::find("redis-cli").unwrap());
    cli.env_remove("REDISCLI_AUTH")
        .arg("--no-auth-warning")
        .args(server);
    if let Some(password) = password {
        cli.env("REDISCLI_AUTH", password);
    }
    let output = cli.args(command).output().unwrap();
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).trim().to_owned()
}

/// The limits as the server has them; CONFIG does not exist in it.
fn limits(info: &str) -> [&str; 2] {
    ["maxmemory", "maxmemory_policy"].map(|wanted| {
        let mut pairs = info.lines().filter_map(|line| line.trim().split_once(':'));
        pairs.find(|(name, _)| *name == wanted).unwrap().1
    })
}

#[tokio::test]
async fn the_cache_wants_its_password_and_has_its_limits() {
    let server = Server::start(&snapshot("redis.conf")).await.unwrap();
    let password = server.password.as_str();
    assert!(server.local(None, &["PING"]).starts_with("NOAUTH"));
    assert!(server.local(Some("wrong"), &["PING"]).contains("WRONGPASS"));
    assert_eq!(server.local(Some(password), &["PING"]), "PONG");
    let info = server.local(Some(password), &["INFO", "memory"]);
    assert_eq!(limits(&info), ["268435456", "allkeys-lru"]);
    for command in [["CONFIG", "GET"], ["DEBUG", "SLEEP"], ["KEYS", "*"]] {
        let refused = server.local(Some(password), &command);
        assert!(refused.contains("unknown command"), "{command:?}: {refused}");
    }
    // Nothing is written to the disk, also when it ends.
    assert_eq!(server.local(Some(password), &["SET", "a", "b"]), "OK");
    server
        .host
        .run
        .supervisor
        .stop(&["redis".to_owned()], Duration::from_secs(10))
        .await;
    let kept = std::fs::read_dir(server.host.at("/var/lib/redis-shop")).unwrap();
    assert_eq!(kept.count(), 0);
}

#[tokio::test]
async fn the_cache_for_other_hosts_wants_a_certificate_besides() {
    let text = snapshot("redis-network.conf");
    let reserved = Host::new();
    let port = reserved.run.ports.reserve().unwrap();
    for line in ["bind 10.1.0.20\n", "tls-port 6380\n", "port 0\n"] {
        assert!(text.contains(line), "{line}");
    }
    let text = text
        .replace("bind 10.1.0.20\n", "bind 127.0.0.1\n")
        .replace("tls-port 6380\n", &format!("tls-port {port}\n"));
    let server = Server::start(&text).await.unwrap();
    let password = Some(server.password.as_str());
    let at = |path: &str| server.host.at(path).display().to_string();
    let (port, ca) = (port.to_string(), at("/etc/fleet/authority.pem"));
    let (certificate, key) = (at("/etc/fleet/db.pem"), at("/run/secrets/db-key"));

    let plain = ["-h", "127.0.0.1", "-p", &port];
    let tls = [&plain[..], &["--tls", "--cacert", &ca]].concat();
    let known = [&tls[..], &["--cert", &certificate, "--key", &key]].concat();
    assert_ne!(ask(&plain, password, &["PING"]), "PONG", "without TLS");
    assert_ne!(ask(&tls, password, &["PING"]), "PONG", "without a certificate");
    assert!(ask(&known, None, &["PING"]).starts_with("NOAUTH"));
    assert_eq!(ask(&known, password, &["PING"]), "PONG");
}

#[tokio::test]
async fn who_measures_the_cache_sees_its_counters_and_no_key() {
    let server = Server::start(&snapshot("redis-telemetry.conf")).await.unwrap();
    let owner = Some(server.password.as_str());
    assert_eq!(server.local(owner, &["SET", "session", "secret"]), "OK");
    let measure = |command: &[&str]| {
        let socket = server.socket.to_str().unwrap();
        // As the exporter logs in: the user takes any password.
        ask(&["-s", socket, "--user", "telemetry"], Some("none"), command)
    };
    assert_eq!(
        limits(&measure(&["INFO", "memory"])),
        ["268435456", "allkeys-lru"]
    );
    for command in [
        &["GET", "session"][..],
        &["SET", "session", "other"],
        &["DEL", "session"],
        &["SCAN", "0"],
        &["RANDOMKEY"],
        &["MEMORY", "USAGE", "session"],
        &["EVAL", "return redis.call('get', 'session')", "0"],
        &["SUBSCRIBE", "wake"],
        &["PUBLISH", "wake", "x"],
        // It has commands with what they wrote.
        &["SLOWLOG", "GET"],
        &["CLIENT", "LIST"],
        &["CLIENT", "KILL", "TYPE", "normal"],
        &["ACL", "LIST"],
        &["ACL", "SETUSER", "telemetry", "+@all"],
        &["AUTH", "default", "none"],
        &["FLUSHDB"],
    ] {
        let refused = measure(command);
        assert!(
            refused.contains("NOPERM") || refused.contains("WRONGPASS"),
            "{command:?}: {refused}"
        );
    }
    assert_eq!(server.local(owner, &["GET", "session"]), "secret");
    // The password of all others is as needed as before.
    assert!(server.local(None, &["PING"]).starts_with("NOAUTH"));
}

#[tokio::test]
async fn a_mistake_in_the_configuration_is_found() {
    let text = snapshot("redis.conf").replace("maxmemory-policy allkeys-lru", "maxmemory-policy all");
    let error = Server::start(&text).await.err().unwrap();
    assert!(error.contains("maxmemory-policy"), "{error}");
}
