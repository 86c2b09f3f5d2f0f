//! TLS to Postgres: a private server that takes nothing else, and certificates of every kind.

use std::error::Error;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use slipway_settings::{DatabaseSettings, SettingsSource};
use slipway_store::Store;
use tempfile::TempDir;

const SOON: Duration = Duration::from_mins(1);

/// A Postgres of its own, until it is dropped.
struct Server {
    folder: TempDir,
    port: u16,
    child: Child,
}

/// What the server shows.
enum Shows {
    /// A certificate for `localhost`, good until this year.
    Until(i32),
    /// No TLS at all.
    Nothing,
}

impl Server {
    fn start(shows: &Shows) -> Self {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let (hba, ssl) = match shows {
            Shows::Until(year) => {
                certificates(folder.path(), *year);
                ("hostssl", "on")
            }
            Shows::Nothing => ("host", "off"),
        };
        own(folder.path());
        let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
        run(server("initdb")
            .arg("-D")
            .arg(at("data"))
            .args([
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .stdout(Stdio::null()));
        fs::write(
            at("data/pg_hba.conf"),
            format!("{hba} all all 127.0.0.1/32 trust\n"),
        )
        .unwrap();
        let option = |name: &str, value: String| format!("{name}={value}");
        let child = server("postgres")
            .arg("-D")
            .arg(at("data"))
            .args(["-p", &port.to_string()])
            .arg("-c")
            .arg(option("unix_socket_directories", at("").display().to_string()))
            .args([
                "-c",
                "fsync=off",
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                &option("ssl", ssl.to_owned()),
            ])
            .arg("-c")
            .arg(option("ssl_cert_file", at("server.pem").display().to_string()))
            .arg("-c")
            .arg(option("ssl_key_file", at("server.key").display().to_string()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < SOON, "the server does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { folder, port, child }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The outcome of a first query, as text.
    async fn ask(&self, host: &str, mode: &str, ca: Option<&Path>) -> Result<(), String> {
        let port = self.port.to_string();
        let mut variables = vec![
            ("DATABASE_HOST", host.to_owned()),
            ("DATABASE_PORT", port),
            ("DATABASE_NAME", "postgres".to_owned()),
            ("DATABASE_USER", "postgres".to_owned()),
            ("DATABASE_SSL_MODE", mode.to_owned()),
            ("DATABASE_ACQUIRE_TIMEOUT_SECONDS", "10".to_owned()),
        ];
        variables.extend(ca.map(|ca| ("DATABASE_SSL_ROOT_CERT", ca.display().to_string())));
        let settings = DatabaseSettings::from_source(&SettingsSource::from_map(variables)).unwrap();
        let begun = Instant::now();
        loop {
            let store = Store::connect(&settings, "test");
            let outcome = store.schema_state().await;
            store.close().await;
            let text = match outcome {
                Ok(_) => return Ok(()),
                Err(error) => chain(&error),
            };
            // It listens a moment before it answers.
            if !text.contains("starting up") || begun.elapsed() > SOON {
                return Err(text);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

/// A program of Postgres, which does not run as root.
fn server(program: &str) -> Command {
    let places = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&places).collect();
    places.extend([17, 16, 15].map(|major| format!("/usr/lib/postgresql/{major}/bin").into()));
    let found = places
        .into_iter()
        .map(|place| place.join(program))
        .find(|file| file.exists());
    let found = found.unwrap_or_else(|| panic!("{program} is not installed"));
    if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                "--pdeathsig=KILL",
                "--",
            ])
            .arg(found);
        command
    } else {
        Command::new(found)
    }
}

fn own(folder: &Path) {
    if rustix::process::geteuid().is_root() {
        let status = Command::new("chown")
            .args(["-R", "postgres:"])
            .arg(folder)
            .status();
        assert!(status.unwrap().success());
    }
}

fn certificates(folder: &Path, until: i32) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    fs::write(folder.join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(folder.join("server.key"), mode).unwrap();
}

#[tokio::test]
async fn a_server_is_verified_as_the_mode_says() {
    let server = Server::start(&Shows::Until(4000));
    let other = TempDir::new().unwrap();
    certificates(other.path(), 4000);
    let (ca, other) = (server.ca(), other.path().join("ca.pem"));
    // The server takes no connection without TLS.
    let refused = server.ask("127.0.0.1", "disable", None).await.unwrap_err();
    assert!(refused.contains("no encryption"), "{refused}");
    for (host, mode, ca, refused) in [
        ("localhost", "verify-full", Some(&ca), None),
        ("127.0.0.1", "verify-full", Some(&ca), Some("not valid for name")),
        // Stricter than libpq: the TLS of our Postgres client has the name checked here too.
        ("127.0.0.1", "verify-ca", Some(&ca), Some("not valid for name")),
        ("localhost", "verify-ca", Some(&ca), None),
        ("localhost", "verify-full", Some(&other), Some("certificate")),
        ("localhost", "verify-ca", Some(&other), Some("certificate")),
        ("localhost", "verify-full", None, Some("UnknownIssuer")),
        // These protect from nobody who can interfere, as docs/settings.md says.
        ("127.0.0.1", "require", None, None),
        ("127.0.0.1", "prefer", None, None),
    ] {
        let outcome = server.ask(host, mode, ca.map(PathBuf::as_path)).await;
        match refused {
            None => assert_eq!(outcome, Ok(()), "{host} {mode}"),
            Some(words) => {
                let text = outcome.expect_err(mode);
                assert!(text.contains(words), "{host} {mode}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn an_expired_certificate_and_a_server_without_tls_are_refused() {
    let server = Server::start(&Shows::Until(1990));
    let text = server
        .ask("localhost", "verify-full", Some(&server.ca()))
        .await
        .unwrap_err();
    assert!(text.to_lowercase().contains("expired"), "{text}");
    let plain = Server::start(&Shows::Nothing);
    for mode in ["require", "verify-full"] {
        let text = plain.ask("127.0.0.1", mode, None).await.unwrap_err();
        assert!(
            text.contains("TLS") && text.contains("does not support"),
            "{mode}: {text}"
        );
    }
    assert_eq!(plain.ask("127.0.0.1", "prefer", None).await, Ok(()));
}
