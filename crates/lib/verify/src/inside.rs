//! A stack from the inside: what only this host can see.

use std::io;
use std::path::Path;
use std::time::Duration;

use slipway_client::RawResponse;
use slipway_wire::route;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::{CheckResult, PendingCheck, StatusPage};

/// The name of the check of a socket.
pub(crate) fn socket_check(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    format!("socket {stem}")
}

/// Whether a replica's socket answers, by itself and not through the proxy.
pub(crate) async fn socket(check: PendingCheck, stack: &str, path: &Path, limit: Duration) -> CheckResult {
    let cure = format!("journalctl -u '{stack}-api-*'; the socket's unit must be active too");
    match tokio::time::timeout(limit, live_status(path)).await {
        Ok(Ok(200..=299)) => check.ok("live"),
        Ok(Ok(status)) => check.fail(format!("{} answered {status}", route::LIVE), cure),
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            check.not_checked("this user may not connect to it", "run it as root")
        }
        Ok(Err(error)) => check.fail(error.to_string(), cure),
        Err(_) => check.fail(format!("no answer in {} s", limit.as_secs()), cure),
    }
}

/// The status that a replica answers to the live path.
async fn live_status(path: &Path) -> io::Result<u16> {
    let mut stream = UnixStream::connect(path).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        route::LIVE
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    let line = String::from_utf8_lossy(&answer);
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
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
