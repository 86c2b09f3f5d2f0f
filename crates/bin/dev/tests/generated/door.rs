//! The door to a host's metrics: who comes in, and how far.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use slipway_dev::ports::loopback;
use slipway_dev::programs;
use slipway_dev::spec::Spec;
use tokio::net::{TcpListener, TcpStream};

use crate::host::{Host, snapshot};
use crate::routed::{Answer, exchange, service};

const START: Duration = Duration::from_secs(15);
const FOLDER: &str = "/run/slipway-telemetry-door";
const ALLOWED: &str = "allow 10.1.0.30;";
const MONITOR: &str = "monitor.internal";

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "Slipway fleet");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Certificate and key of a member with these parts of a name.
    fn sign(&self, name: &[(DnType, &str)]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in name {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// nginx with the door of the snapshot. Every exporter is a service that answers with what it was asked.
struct Door {
    _host: Host,
    port: u16,
    fleet: Authority,
}

impl Door {
    /// `text` is the door's, with changes of a test.
    async fn start(text: &str) -> Self {
        let host = Host::new();
        let port = host.run.ports.reserve().unwrap();
        let listener = TcpListener::bind(loopback(0)).await.unwrap();
        let exporter = listener.local_addr().unwrap();
        tokio::spawn(service(listener, "exporter", std::sync::Arc::default()));
        let fleet = Authority::new();
        let (certificate, key) = fleet.sign(&[(DnType::CommonName, "app-1.internal")]);
        for (name, text) in [
            ("certificate", &certificate),
            ("key", &key),
            ("authority", &fleet.pem),
        ] {
            host.write(&format!("{FOLDER}/{name}.pem"), text);
        }
        let lines = host
            .moved(text)
            .replace("10.1.0.11:9443", &format!("127.0.0.1:{port}"));
        let lines: Vec<String> = lines
            .lines()
            .map(|line| match line.split_once("proxy_pass http://127.0.0.1:") {
                Some((before, rest)) => {
                    let path = &rest[rest.find('/').unwrap()..];
                    format!("{before}proxy_pass http://{exporter}{path}")
                }
                None => line.to_owned(),
            })
            .collect();
        let config = host.write("/door.conf", &(lines.join("\n") + "\n"));
        let nginx = Spec::new("nginx", programs::find("nginx").unwrap())
            .args(["-e", "stderr", "-c"])
            .args([&config])
            .directory(&host.root)
            .user(host.run.user.as_ref());
        host.run.supervisor.spawn(nginx).unwrap();
        let ready = async || TcpStream::connect(loopback(port)).await.is_ok();
        let started = host.run.supervisor.wait_ready("nginx", START, ready).await;
        started.unwrap();
        Self {
            _host: host,
            port,
            fleet,
        }
    }

    /// The status and body of a request with this certificate and key, or why there is none.
    async fn get(&self, who: Option<(String, String)>, path: &str) -> Result<(u16, String), String> {
        slipway_client::install_crypto_provider();
        let root = reqwest::Certificate::from_pem(self.fleet.pem.as_bytes()).unwrap();
        let mut client = reqwest::Client::builder().tls_certs_only([root]).timeout(START);
        if let Some((certificate, key)) = who {
            let pem = certificate + &key;
            client = client.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        }
        let address = format!("https://127.0.0.1:{}{path}", self.port);
        let answer = client.build().unwrap().get(address).send().await;
        let answer = answer.map_err(|error| format!("{error:?}"))?;
        let status = answer.status().as_u16();
        let body = answer.text().await.map_err(|error| format!("{error:?}"))?;
        Ok((status, body))
    }

    /// The answer to these bytes, without TLS.
    async fn send(&self, request: &str) -> Answer {
        let stream = TcpStream::connect(loopback(self.port)).await.unwrap();
        exchange(stream, request).await
    }
}

fn here() -> String {
    let text = snapshot("nginx-door.conf");
    assert!(text.contains(ALLOWED));
    text.replace(ALLOWED, "allow 127.0.0.1;")
}

/// The door without TLS: what it does with paths is the same.
fn plain() -> String {
    let text = here();
    let lines = text.lines().filter(|line| {
        let line = line.trim_start();
        !line.starts_with("ssl_") && !line.starts_with("if ($slipway_is_client")
    });
    lines
        .map(|line| line.replace(":9443 ssl;", ":9443;") + "\n")
        .collect()
}

#[tokio::test]
async fn the_door_opens_to_the_certificate_of_the_monitoring_host_alone() {
    let door = Door::start(&here()).await;
    let monitor = door.fleet.sign(&[(DnType::CommonName, MONITOR)]);
    let (status, body) = door.get(Some(monitor), "/node").await.unwrap();
    assert_eq!(status, 200);
    assert!(body.starts_with("GET /metrics HTTP/1."), "{body}");

    let (status, body) = door.get(None, "/node").await.unwrap();
    assert_eq!(status, 400, "{body}");
    let stranger = Authority::new().sign(&[(DnType::CommonName, MONITOR)]);
    // The handshake may end as well.
    if let Ok((status, body)) = door.get(Some(stranger), "/node").await {
        assert_eq!(status, 400, "{body}");
    }
    for name in [
        vec![(DnType::CommonName, "app-1.internal")],
        vec![(DnType::CommonName, "monitor.internal.example.com")],
        vec![(DnType::CommonName, "monitorXinternal")],
        vec![(DnType::CommonName, "monitor.internal,O=x")],
        vec![(DnType::OrganizationName, "x,CN=monitor.internal")],
        vec![
            (DnType::OrganizationName, "x,CN=monitor.internal,"),
            (DnType::CommonName, "app-1.internal"),
        ],
    ] {
        let member = door.fleet.sign(&name);
        let (status, body) = door.get(Some(member), "/node").await.unwrap();
        assert_eq!(status, 403, "{name:?}: {body}");
    }
}

#[tokio::test]
async fn the_door_is_shut_to_other_addresses_whatever_they_show() {
    let door = Door::start(&snapshot("nginx-door.conf")).await;
    let monitor = door.fleet.sign(&[(DnType::CommonName, MONITOR)]);
    assert_eq!(door.get(Some(monitor), "/node").await.unwrap().0, 403);
}

#[tokio::test]
async fn the_door_leads_to_its_targets_and_nowhere_else() {
    let door = Door::start(&plain()).await;
    let redis = "GET /scrape?target=unix%3A%2F%2F%2Frun%2Fredis-shop%2Fredis.sock HTTP/1.";
    for (path, asked) in [
        ("/node", "GET /metrics HTTP/1."),
        ("/stack/shop-api-1", "GET /metrics HTTP/1."),
        ("/redis/redis-shop", redis),
        // Nothing of the client's query arrives.
        ("/node?collect[]=systemd", "GET /metrics HTTP/1."),
        (
            "/redis/redis-shop?target=redis://127.0.0.1:6379&check-keys=*",
            redis,
        ),
    ] {
        let answer = door
            .send(&format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(answer.body.starts_with(asked), "{path}: {answer:?}");
    }
    for path in [
        "/",
        "/metrics",
        "/scrape",
        "/scrape?target=redis://127.0.0.1:6379",
        "/probe?target=127.0.0.1",
        "/node/",
        "/node/x",
        "/node/..;/metrics",
        "/NODE",
        "/node%00",
        "/node%3fx",
        "/stack",
        "/stack/shop-api-1/api/v1/hosts",
        "/stack/shop-api-9",
        "/redis/redis-other",
        "/redis/redis-shop/../../metrics",
        "http://127.0.0.1:9187/metrics",
        "//127.0.0.1:9187/metrics",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:9187\r\nConnection: close\r\n\r\n");
        let answer = door.send(&request).await;
        let status = answer.status.unwrap_or_default();
        assert!(matches!(status, 400 | 404), "{path}: {answer:?}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"] {
        let request =
            format!("{method} /node HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx");
        let answer = door.send(&request).await;
        let status = answer.status.unwrap_or_default();
        assert!(matches!(status, 400 | 403 | 405), "{method}: {answer:?}");
    }
}
