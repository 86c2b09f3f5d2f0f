//! `slipway-api healthcheck`: one request to a running server, for containers and service managers.
//!
//! A few lines of HTTP on a plain socket: it runs every few seconds, and starts no runtime.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use slipway_wire::route;

/// The longest that the whole check takes, whatever hangs.
const LIMIT: Duration = Duration::from_secs(3);
/// `HTTP/1.1 200`
const STATUS_LINE: usize = 12;

/// Where to ask.
#[derive(Debug)]
pub(crate) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Fails unless the server answers 200 in time.
pub(crate) fn ask(target: Target, ready: bool) -> anyhow::Result<()> {
    let path = if ready { route::READY } else { route::LIVE };
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(status(&target, path)));
    match receive
        .recv_timeout(LIMIT)
        .context("the server did not answer within 3 s")??
    {
        200 => Ok(()),
        status => bail!("the server answered {status}"),
    }
}

fn status(target: &Target, path: &str) -> anyhow::Result<u16> {
    match target {
        Target::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, LIMIT)
                .with_context(|| format!("nothing answers on {address}; is the server running there?"))?;
            exchange(stream, path)
        }
        Target::Unix(socket) => {
            let stream = UnixStream::connect(socket).with_context(|| {
                format!(
                    "nothing answers on {}; is the server running there?",
                    socket.display()
                )
            })?;
            exchange(stream, path)
        }
    }
}

fn exchange(mut stream: impl Read + Write, path: &str) -> anyhow::Result<u16> {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut line = [0; STATUS_LINE];
    stream
        .read_exact(&mut line)
        .context("the connection was closed without an answer")?;
    let line = String::from_utf8_lossy(&line);
    line.strip_prefix("HTTP/1.1 ")
        .and_then(|code| code.parse().ok())
        .context("the answer is not HTTP")
}
