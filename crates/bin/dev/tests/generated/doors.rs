//! A door of a host before what listens on 127.0.0.1: a real nginx, and members of a fleet that knock.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use slipway_dev::ports::loopback;
use slipway_dev::programs;
use slipway_dev::spec::Spec;
use tokio::net::{TcpListener, TcpStream};

use crate::host::Host;
use crate::routed::{Answer, exchange, service};

const START: Duration = Duration::from_secs(15);

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
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
    pub(crate) fn sign<T: AsRef<str>>(&self, name: &[(DnType, T)]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in name {
            params.distinguished_name.push(kind.clone(), value.as_ref());
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// nginx with the text of a door. Whatever it leads to is a service that answers with what it was asked.
pub(crate) struct Door {
    host: Host,
    /// One for each server, in the order of the text. The last one is open to other hosts.
    ports: Vec<u16>,
    pub(crate) fleet: Authority,
}

impl Door {
    /// `text` is the door's, with changes of a test. In `folder` it expects its certificate and `files`.
    pub(crate) async fn start(text: &str, folder: &str, files: &[(&str, &str)]) -> Self {
        let mut door = Self {
            host: Host::new(),
            ports: Vec::new(),
            fleet: Authority::new(),
        };
        let (certificate, key) = door.fleet.sign(&[(DnType::CommonName, "door.internal")]);
        for (name, text) in [
            ("certificate.pem", certificate.as_str()),
            ("key.pem", &key),
            ("authority.pem", &door.fleet.pem),
        ]
        .iter()
        .chain(files)
        {
            door.host.write(&format!("{folder}/{name}"), text);
        }
        let listener = TcpListener::bind(loopback(0)).await.unwrap();
        let behind = listener.local_addr().unwrap().port();
        tokio::spawn(service(listener, "behind", Arc::default()));
        let config = door.here(text, behind);
        let config = door.host.write("/door.conf", &config);
        let nginx = Spec::new("nginx", programs::find("nginx").unwrap())
            .args(["-e", "stderr", "-c"])
            .args([&config])
            .directory(&door.host.root)
            .user(door.host.run.user.as_ref());
        let supervisor = &door.host.run.supervisor;
        supervisor.spawn(nginx).unwrap();
        let port = door.port();
        let ready = async || TcpStream::connect(loopback(port)).await.is_ok();
        supervisor.wait_ready("nginx", START, ready).await.unwrap();
        door
    }

    /// The text with a free port of the loopback for each server, and all targets at the port `behind`.
    fn here(&mut self, text: &str, behind: u16) -> String {
        let mut lines = String::new();
        for line in self.host.moved(text).lines() {
            let line = if let Some((before, rest)) = line.split_once("proxy_pass http://127.0.0.1:") {
                let path = &rest[rest.find('/').unwrap()..];
                format!("{before}proxy_pass http://127.0.0.1:{behind}{path}")
            } else if let Some((before, rest)) = line.split_once("listen ") {
                let parameters = &rest[rest.find([' ', ';']).unwrap()..];
                let port = self.host.run.ports.reserve().unwrap();
                self.ports.push(port);
                format!("{before}listen 127.0.0.1:{port}{parameters}")
            } else {
                line.to_owned()
            };
            lines += &line;
            lines.push('\n');
        }
        lines
    }

    fn port(&self) -> u16 {
        *self.ports.last().expect("the door listens somewhere")
    }

    /// A path of the door, for a client of [`Self::client`].
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port())
    }

    /// A client with this certificate and key.
    pub(crate) fn client(&self, who: Option<(String, String)>) -> reqwest::Client {
        slipway_client::install_crypto_provider();
        let root = reqwest::Certificate::from_pem(self.fleet.pem.as_bytes()).unwrap();
        let mut client = reqwest::Client::builder().tls_certs_only([root]).timeout(START);
        if let Some((certificate, key)) = who {
            let pem = certificate + &key;
            client = client.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        }
        client.build().unwrap()
    }

    /// The answer to these bytes, without TLS.
    pub(crate) async fn send(&self, request: &str) -> Answer {
        let stream = TcpStream::connect(loopback(self.port())).await.unwrap();
        exchange(stream, request).await
    }

    /// The answer of the server for this host's own programs, the first one, to these bytes.
    pub(crate) async fn send_inside(&self, request: &str) -> Answer {
        let stream = TcpStream::connect(loopback(self.ports[0])).await.unwrap();
        exchange(stream, request).await
    }
}

/// The status and body of the answer, or why there is none.
pub(crate) async fn ask(request: reqwest::RequestBuilder) -> Result<(u16, String), String> {
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status().as_u16();
    let body = answer.text().await.map_err(|error| format!("{error:?}"))?;
    Ok((status, body))
}

/// The text without the lines that begin like this.
pub(crate) fn without(text: &str, beginning: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(beginning));
    lines.map(|line| line.to_owned() + "\n").collect()
}

/// The door without TLS: what it does with paths is the same.
pub(crate) fn plain(text: &str) -> String {
    without(text, "ssl_").replace(" ssl;", ";")
}

/// Names of members that are not `name`, and look like it.
pub(crate) fn forged(name: &str) -> Vec<Vec<(DnType, String)>> {
    let common = |value: String| (DnType::CommonName, value);
    let organization = |value: String| (DnType::OrganizationName, value);
    vec![
        vec![common("other.internal".to_owned())],
        vec![common(format!("{name}.example.com"))],
        vec![common(format!("x.{name}"))],
        vec![common(name.replace('.', "X"))],
        vec![common(format!("{name},O=x"))],
        vec![organization(format!("x,CN={name}"))],
        vec![organization(format!("x\\,CN={name}"))],
        vec![
            organization(format!("x,CN={name},")),
            common("other.internal".to_owned()),
        ],
    ]
}
