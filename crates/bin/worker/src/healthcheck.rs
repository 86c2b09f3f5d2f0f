//! `slipway-worker healthcheck`: what a container's health check runs, without a shell or curl.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};
use slipway_settings::MetricsSettings;

/// For each of connecting, asking and hearing the answer.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks the metrics listener; the worker does not serve anything else.
pub(crate) fn ask(metrics: &MetricsSettings) -> anyhow::Result<()> {
    let Some(addr) = metrics.addr(None) else {
        bail!(
            "METRICS_PORT is not set, so there is nothing to ask: set it for worker and health check alike"
        );
    };
    let mut stream = TcpStream::connect_timeout(&addr, LIMIT)
        .with_context(|| format!("no worker listens on {addr} (METRICS_PORT)"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n"
    )?;
    let mut head = [0; 12];
    stream
        .read_exact(&mut head)
        .with_context(|| format!("{addr} gave no answer"))?;
    if &head[..] != b"HTTP/1.1 200" {
        bail!("{addr} answered {}", String::from_utf8_lossy(&head));
    }
    Ok(())
}
