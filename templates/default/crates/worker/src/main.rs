//! `worker run | healthcheck | config`

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use settings::Settings;

/// How long the worker rests when there is nothing to do, or the database is away.
const REST: Duration = Duration::from_secs(1);

fn main() -> anyhow::Result<()> {
    let settings = Settings::load()?;
    match std::env::args().nth(1).as_deref() {
        Some("run") => tokio::runtime::Runtime::new()?.block_on(run(settings)),
        Some("healthcheck") => healthcheck(settings.metrics),
        Some("config") => {
            println!("{settings:#?}");
            Ok(())
        }
        _ => bail!("usage: worker run | healthcheck | config"),
    }
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let pool = jobs::connect(&settings)?;
    if let Some(address) = settings.metrics {
        metrics::serve(address)
            .await
            .with_context(|| format!("cannot listen on {address} (METRICS_HOST, METRICS_PORT)"))?;
    }
    let mut stop = service::Stop::new()?;
    service::ready();
    loop {
        let rest = match jobs::do_one(&pool, str::to_uppercase).await {
            Ok(true) => {
                metrics::JOBS.fetch_add(1, Ordering::Relaxed);
                Duration::ZERO
            }
            Ok(false) => REST,
            Err(error) => {
                eprintln!("worker: {error}");
                REST
            }
        };
        // Between two jobs, so that none is cut short.
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = stop.told() => break,
        }
    }
    service::stopping();
    Ok(())
}

/// Asks whether a worker holds the metrics listener.
fn healthcheck(metrics: Option<SocketAddr>) -> anyhow::Result<()> {
    let address = metrics.context("METRICS_PORT is not set, so there is nothing to ask; set it")?;
    TcpStream::connect_timeout(&address, Duration::from_secs(3))
        .with_context(|| format!("no worker listens on {address}"))?;
    Ok(())
}
