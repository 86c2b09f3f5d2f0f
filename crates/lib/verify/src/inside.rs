//! A stack from the inside: what only this host can see.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_client::RawResponse;
use slipway_wire::route;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;

use crate::{CheckResult, PendingCheck, StatusPage};

/// The name of the check of a socket.
pub(crate) fn socket_check(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    format!("socket {stem}")
}

/// Where a replica takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaAddress {
    /// A port of this host.
    Port(SocketAddr),
    /// A Unix socket.
    Socket(PathBuf),
}

/// Whether a replica's socket answers, by itself and not through the proxy.
pub(crate) async fn socket(check: PendingCheck, stack: &str, path: &Path, limit: Duration) -> CheckResult {
    let cure = format!("journalctl -u '{stack}-api-*'; the socket's unit must be active too");
    let answer = async { status(UnixStream::connect(path).await?, route::LIVE).await };
    match within(limit, answer).await {
        Ok(200..=299) => check.ok("live"),
        Ok(status) => check.fail(format!("{} answered {status}", route::LIVE), cure),
        Err(error) => unanswered(check, &error, cure),
    }
}

/// Whether a replica of any program takes requests. With a path, it must answer there with 200 to 399.
pub(crate) async fn service(
    check: PendingCheck,
    unit: &str,
    listener: &ReplicaAddress,
    path: Option<&str>,
    limit: Duration,
) -> CheckResult {
    let cure = format!("journalctl -u {unit}");
    let answer = async {
        match listener {
            ReplicaAddress::Port(address) => greeted(TcpStream::connect(address).await?, path).await,
            ReplicaAddress::Socket(file) => greeted(UnixStream::connect(file).await?, path).await,
        }
    };
    match within(limit, answer).await {
        Ok(None) => check.ok("takes connections"),
        Ok(Some((_, status @ 200..=399))) => check.ok(format!("answered {status}")),
        Ok(Some((path, status))) => check.fail(format!("{path} answered {status}"), cure),
        Err(error) => unanswered(check, &error, cure),
    }
}

/// The status at this path, if there is one to ask for.
async fn greeted(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    path: Option<&str>,
) -> io::Result<Option<(&str, u16)>> {
    match path {
        Some(path) => Ok(Some((path, status(stream, path).await?))),
        None => Ok(None),
    }
}

async fn within<T>(limit: Duration, answer: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, answer)
        .await
        .unwrap_or_else(|_| Err(io::Error::other(format!("no answer in {} s", limit.as_secs()))))
}

fn unanswered(check: PendingCheck, error: &io::Error, cure: String) -> CheckResult {
    if error.kind() == io::ErrorKind::PermissionDenied {
        check.not_checked("this user may not connect to it", "run it as root")
    } else {
        check.fail(error.to_string(), cure)
    }
}

/// The status that a replica answers to this path.
async fn status(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> io::Result<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    let line = String::from_utf8_lossy(&answer);
    let status = line
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| line.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.get(..3));
    status
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| io::Error::other("it answers, but not as an HTTP server does"))
}

/// Whether a process shows its metrics, inside.
pub(crate) async fn metrics(
    check: PendingCheck,
    stack: &str,
    process: &str,
    page: &StatusPage,
) -> CheckResult {
    let cure = format!("journalctl -u '{stack}-{process}-*'");
    let url = page.url.as_str();
    match page.fetch().await {
        Ok(RawResponse { status: 200, body }) if body.starts_with(b"#") => check.ok(url),
        Ok(answer) => check.fail(format!("{url} answered {}, and no metrics", answer.status), cure),
        Err(error) => check.fail(error.summary(), cure),
    }
}

/// Whether the units are active.
pub(crate) async fn units(check: PendingCheck, units: &[String]) -> CheckResult {
    let output = Command::new("systemctl")
        .arg("is-active")
        .arg("--")
        .args(units)
        .kill_on_drop(true)
        .output()
        .await;
    let output = match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => {
            return check.not_checked(
                format!("systemctl cannot be run: {error}"),
                "run it on the host, where systemd runs",
            );
        }
    };
    let states: Vec<&str> = output.lines().collect();
    if states.len() != units.len() {
        return check.not_checked(
            "systemd cannot be asked",
            "run it on the host, where systemd runs",
        );
    }
    let inactive: Vec<_> = units
        .iter()
        .zip(states)
        .filter(|(_, state)| *state != "active")
        .collect();
    let Some((first, _)) = inactive.first() else {
        return check.ok(format!("{} active", units.len()));
    };
    let cure = format!("systemctl status {first}; journalctl -u {first}");
    let seen: Vec<_> = inactive
        .iter()
        .map(|(unit, state)| format!("{unit} is {state}"))
        .collect();
    check.fail(seen.join(", "), cure)
}
