//! Part `sync`: agents that wait for news at one process, and what they cost it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use slipway_dev::ports::loopback;
use slipway_dev::run::Run;
use slipway_dev::say::say;
use slipway_dev::stack::DevStack;
use slipway_domain::Strategy;
use slipway_domain::strategy::{Canary, Share};
use slipway_wire::route;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::database;
use crate::figures::{Figure, Figures, percentile};
use crate::fleet::{self, Agent};
use crate::process::Usage;

const PART: &str = "sync";
const ENVIRONMENT: &str = "bench-sync";
/// How long an agent lets itself be parked: the most that the API grants.
const WAIT: u64 = 30;
/// What is measured while all are parked.
const REST: Duration = Duration::from_secs(20);
const PROBES: usize = 200;
const LIMIT: Duration = Duration::from_mins(2);

pub(crate) async fn measure(run: &Run, stack: &DevStack, agents: u32, figures: &mut Figures) -> Result<()> {
    let everybody = Strategy {
        canary: Canary::Number(0),
        batch: Share::Percent(100),
        max_unavailable: Share::Percent(100),
        ..Strategy::default()
    };
    say(&format!("making {agents} hosts"));
    let mut hosts = fleet::create(stack, ENVIRONMENT, everybody, agents).await?;
    for host in &mut hosts {
        // An agent that asks again sends the same bytes. With its counter they would count as an old report.
        host.model.counter = None;
    }
    let wanted = fleet::release(stack, ENVIRONMENT, &hosts, 1).await?;
    let replica = stack
        .control_plane
        .replicas
        .first()
        .context("there is no replica")?;
    let port = *stack.control_plane.ports.first().context("there is no replica")?;
    let pid = run.supervisor.pid(replica).context("the replica does not run")?;
    let before = Usage::of(pid);
    let mut parked = JoinSet::new();
    for host in &hosts {
        let request = request(host)?;
        let stream = park(port, &request).await?;
        parked.spawn(wait_for_news(port, request, stream));
    }
    let name = |what: &str| format!("{agents} parked agents: {what}");
    // The last ones are still being read.
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(parked.try_join_next().is_none(), "an agent is not parked");
    let with_all = Usage::of(pid);
    let each = (with_all.memory_mib - before.memory_mib) * 1024.0 / f64::from(agents);
    figures.add(
        PART,
        &name("memory of the process for each"),
        Figure::cost(each, "KiB"),
    );

    let statements = database::transactions(stack).await?;
    tokio::time::sleep(REST).await;
    let rest = Usage::of(pid).since(with_all);
    let statements = database::transactions(stack).await? - statements;
    let seconds = REST.as_secs_f64();
    figures.add(
        PART,
        &name("processor while nothing happens"),
        Figure::cost(rest.cpu_seconds / seconds * 100.0, "% of a core"),
    );
    figures.add(
        PART,
        &name("transactions while nothing happens"),
        Figure::cost(statements / seconds, "a second"),
    );
    let mut took = probe(port).await?;
    figures.add(
        PART,
        &name("health, p99"),
        Figure::cost(percentile(&mut took, 99), "ms"),
    );

    let start = Instant::now();
    stack.api.create_rollout(&wanted).await?;
    let told = async {
        while let Some(told) = parked.join_next().await {
            told??;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LIMIT, told)
        .await
        .context("not all agents were told")??;
    let took = start.elapsed().as_secs_f64() * 1000.0;
    #[expect(
        clippy::disallowed_methods,
        reason = "it is compared with the clock of a server on this machine"
    )]
    let told_at = chrono::Utc::now().timestamp_micros() as f64 / 1e6;
    let decided_at = database::newest_decision(stack).await?;
    figures.add(
        PART,
        &name("one rollout told to all, from its start"),
        Figure::cost(took, "ms"),
    );
    figures.add(
        PART,
        &name("one rollout told to all, from the worker's decision"),
        Figure::cost((told_at - decided_at) * 1000.0, "ms"),
    );
    Ok(())
}

/// What an agent sees, as a request. By hand: a client for each of thousands would take more than the server.
fn request(host: &Agent) -> Result<Vec<u8>> {
    let body = serde_json::to_vec(&host.seen())?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\nprefer: wait={WAIT}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        route::AGENT_SYNC,
        host.token,
        body.len()
    );
    Ok([head.as_bytes(), &body].concat())
}

async fn park(port: u16, request: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(loopback(port)).await?;
    stream.write_all(request).await?;
    Ok(stream)
}

/// Asks again as often as it is told nothing, and ends when it is told to fetch.
async fn wait_for_news(port: u16, request: Vec<u8>, mut stream: TcpStream) -> Result<()> {
    loop {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        if answer.contains("\"stage\"") {
            return Ok(());
        }
        ensure!(
            answer.contains("\"idle\""),
            "an agent was told something else: {answer}"
        );
        stream = park(port, &request).await?;
    }
}

async fn probe(port: u16) -> Result<Vec<f64>> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut took = Vec::new();
    for _ in 0..PROBES {
        let start = Instant::now();
        let asked = http
            .get(format!("http://127.0.0.1:{port}{}", route::HEALTH))
            .send();
        asked.await?.error_for_status()?;
        took.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(took)
}
