//! The program as a child process, and requests to it over plain sockets.

use crate::support::{PASSWORD, SECRET_KEY};
use serde_json::json;
use sqlx::PgPool;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_slipway-api");

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub(super) fn url(pool: &PgPool, port: Option<u16>) -> String {
    slipway_testkit::database_url(&pool.connect_options(), port).into()
}

/// Settings and a folder of their own, so that nothing of the tests' surroundings gets in.
pub(super) struct Setup {
    pub(super) dir: TempDir,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) more: Vec<(&'static str, String)>,
}

impl Setup {
    pub(super) fn new(database: String) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            database,
            more: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.more.push((name, value.to_string()));
        self
    }

    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(&self.dir)
            .env_clear()
            .env("DATABASE_URL", &self.database)
            .env("SECRET_KEY", SECRET_KEY)
            .env("ADMIN_PASSWORD", PASSWORD)
            .env("API_PORT", self.port.to_string())
            .env("DATABASE_ACQUIRE_TIMEOUT_SECONDS", "1")
            .envs(self.more.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        self.command(PROGRAM).args(arguments).output().unwrap()
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub(super) fn serve(self) -> Server {
        let log = std::fs::File::create(self.log()).unwrap();
        let child = self
            .command(PROGRAM)
            .arg("serve")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Server { setup: self, child }
    }
}

/// A running server, killed at the end of the test.
pub(super) struct Server {
    pub(super) setup: Setup,
    pub(super) child: Child,
}

impl Server {
    pub(super) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.setup.port).into()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.setup.log()).unwrap_or_default()
    }

    pub(super) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// The exit status; the test fails when it takes longer than this.
    pub(super) fn exit(&mut self, within: Duration) -> i32 {
        let begin = Instant::now();
        while begin.elapsed() < within {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("still running after {within:?}:\n{}", self.log());
    }

    pub(super) fn until_ready(&self) {
        self.until("/api/v1/monitoring/ready", 200);
    }

    #[track_caller]
    pub(super) fn until(&self, path: &str, status: u16) {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(20) {
            if let Some((got, _)) = get(self.address(), path)
                && got == status
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{path} is not {status}:\n{}", self.log());
    }

    /// The log is written beside what the server answers, and may come after it.
    #[track_caller]
    pub(super) fn until_logged(&self, words: &str) {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(20) {
            if self.log().contains(words) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the log does not say `{words}`:\n{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn exchange(mut stream: impl Read + Write, request: &str) -> std::io::Result<(u16, String)> {
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok((status, text))
}

pub(super) fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let stream = TcpStream::connect(address).ok()?;
    exchange(
        stream,
        &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
    )
    .ok()
}

pub(super) fn post(
    address: SocketAddr,
    path: &str,
    token: &str,
    headers: &str,
    body: &str,
) -> (u16, serde_json::Value) {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n{headers}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (status, text) = exchange(TcpStream::connect(address).unwrap(), &request).unwrap();
    let body = text.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// Logs in and makes a host; gives both tokens.
pub(super) fn one_host(address: SocketAddr) -> (String, String) {
    let login = post(
        address,
        "/api/v1/login",
        "",
        "",
        &json!({ "name": "admin", "password": PASSWORD }).to_string(),
    );
    let admin = login.1["token"].as_str().unwrap().to_owned();
    post(address, "/api/v1/environments", &admin, "", r#"{"name":"prod"}"#);
    let host = post(
        address,
        "/api/v1/hosts",
        &admin,
        "",
        r#"{"name":"web-1","environment":"prod"}"#,
    );
    let token = host.1["token"]["token"].as_str().unwrap().to_owned();
    (admin, token)
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
