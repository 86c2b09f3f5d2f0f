//! A stack from the inside: what only this host can see.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_client::RawResponse;
use slipway_wire::route;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::Command;

use super::stack::Stack;
use super::{Check, Line, endpoints};
use crate::Failure;
use crate::context::Context;

/// Whether a replica's socket answers, by itself and not through the proxy.
pub async fn socket(stack: String, path: PathBuf, limit: Duration) -> Line {
    let check = Check::new(named("socket", &path), &stack);
    let cure = format!("journalctl -u '{stack}-api-*'; the socket's unit must be active too");
    match tokio::time::timeout(limit, ask(&path)).await {
        Ok(Ok(200..=299)) => check.ok("live"),
        Ok(Ok(status)) => check.fail(format!("{} answered {status}", route::LIVE), cure),
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            check.not_checked("this user may not connect to it", "run it as root")
        }
        Ok(Err(error)) => check.fail(error.to_string(), cure),
        Err(_) => check.fail(format!("no answer in {} s", limit.as_secs()), cure),
    }
}

fn named(what: &str, path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    format!("{what} {stem}")
}

/// The status that a replica answers to the live path.
async fn ask(path: &Path) -> io::Result<u16> {
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
pub async fn metrics(
    context: Context,
    stack: String,
    process: &'static str,
    url: String,
    limit: Duration,
) -> Line {
    let check = Check::new(format!("metrics {process}"), &stack);
    let cure = format!("journalctl -u '{stack}-{process}-*'");
    let asked = async {
        let (address, path) = endpoints::split(&url)?;
        let client = endpoints::client(context.site(&address, None)?, limit)?;
        Ok::<_, Failure>(client.fetch(&path).await?)
    };
    match asked.await {
        Ok(RawResponse { status: 200, body }) if body.starts_with(b"#") => check.ok(url),
        Ok(answer) => check.fail(format!("{url} answered {}, and no metrics", answer.status), cure),
        Err(failure) => check.fail(failure.detail(), cure),
    }
}

/// Whether the units are active.
pub async fn units(stack: Stack) -> Vec<Line> {
    if stack.units.is_empty() {
        return Vec::new();
    }
    let check = Check::new("units", &stack.name);
    let output = Command::new("systemctl")
        .arg("is-active")
        .arg("--")
        .args(&stack.units)
        .kill_on_drop(true)
        .output()
        .await;
    let output = match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => {
            return vec![check.not_checked(
                format!("systemctl cannot be run: {error}"),
                "run it on the host, where systemd runs",
            )];
        }
    };
    let states: Vec<&str> = output.lines().collect();
    if states.len() != stack.units.len() {
        return vec![check.not_checked(
            "systemd cannot be asked",
            "run it on the host, where systemd runs",
        )];
    }
    let bad: Vec<_> = stack
        .units
        .iter()
        .zip(states)
        .filter(|(_, state)| *state != "active")
        .map(|(unit, state)| format!("{unit} is {state}"))
        .collect();
    vec![if bad.is_empty() {
        check.ok(format!("{} active", stack.units.len()))
    } else {
        let first = bad[0].split(' ').next().unwrap_or_default().to_owned();
        check.fail(
            bad.join(", "),
            format!("systemctl status {first}; journalctl -u {first}"),
        )
    }]
}
