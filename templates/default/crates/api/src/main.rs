//! `api serve | migrate | healthcheck | config`

mod drain;

use std::future::IntoFuture;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use axum::middleware::from_fn_with_state;
use axum::serve::Listener;
use listenfd::ListenFd;
use settings::Settings;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::drain::Draining;

fn main() -> anyhow::Result<()> {
    // Before the first thread: systemd hands its sockets over through the environment.
    let handed = ListenFd::from_env();
    let settings = Settings::load()?;
    match std::env::args().nth(1).as_deref() {
        Some("serve") => run(serve(settings, handed)),
        Some("migrate") => run(migrate(settings)),
        Some("healthcheck") => healthcheck(settings.api),
        Some("config") => {
            println!("{settings:#?}");
            Ok(())
        }
        _ => bail!("usage: api serve | migrate | healthcheck | config"),
    }
}

fn run(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(work)
}

async fn migrate(settings: Settings) -> anyhow::Result<()> {
    jobs::migrate(&settings)
        .await
        .context("the database could not be migrated")
}

/// On the socket that systemd hands over, or else on one of its own.
async fn serve(settings: Settings, mut handed: ListenFd) -> anyhow::Result<()> {
    if let Ok(Some(socket)) = handed.take_unix_listener(0) {
        socket.set_nonblocking(true)?;
        return serve_on(
            UnixListener::from_std(socket)?,
            "a Unix socket of systemd",
            settings,
        )
        .await;
    }
    let listener = match handed.take_tcp_listener(0)? {
        Some(socket) => {
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket)?
        }
        None => TcpListener::bind(settings.api)
            .await
            .with_context(|| format!("cannot listen on {} (API_HOST, API_PORT)", settings.api))?,
    };
    let address = listener.local_addr()?.to_string();
    serve_on(listener, &address, settings).await
}

async fn serve_on<L>(listener: L, name: &str, settings: Settings) -> anyhow::Result<()>
where
    L: Listener<Addr: std::fmt::Debug>,
{
    if let Some(address) = settings.metrics {
        metrics::serve(address)
            .await
            .with_context(|| format!("cannot listen on {address} (METRICS_HOST, METRICS_PORT)"))?;
    }
    let mut stop = service::Stop::new()?;
    let stopped = CancellationToken::new();
    let router =
        api::router(jobs::connect(&settings)?).layer(from_fn_with_state(stopped.clone(), drain::close));
    let listener = Draining {
        listener,
        stopped: stopped.clone(),
    };
    let idle = stopped.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        idle.cancelled().await;
        tokio::time::sleep(drain::IDLE).await;
    });
    let mut server = std::pin::pin!(server.into_future());
    eprintln!("api: listening on {name}");
    service::ready();
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = stop.told() => {}
    }
    stopped.cancel();
    service::stopping();
    // What is under way may finish, within bounds.
    match tokio::time::timeout(settings.shutdown_grace, server).await {
        Ok(ended) => Ok(ended?),
        Err(_) => bail!("requests were cut after {:?}", settings.shutdown_grace),
    }
}

/// Asks a running api whether it is live. An image has no shell and no curl.
fn healthcheck(mut address: SocketAddr) -> anyhow::Result<()> {
    let limit = Duration::from_secs(3);
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let mut stream = TcpStream::connect_timeout(&address, limit)
        .with_context(|| format!("no api listens on {address}"))?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    write!(
        stream,
        "GET /api/v1/monitoring/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut head = [0; 10];
    stream
        .read_exact(&mut head)
        .with_context(|| format!("{address} gave no answer"))?;
    if &head != b"HTTP/1.1 2" {
        bail!("{address} answered {}", String::from_utf8_lossy(&head));
    }
    Ok(())
}
