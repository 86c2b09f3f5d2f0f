//! Part `rollouts`: a whole rollout to hosts that obey at once. What is left is what the control plane takes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use slipway_client::Client;
use slipway_dev::run::Run;
use slipway_dev::say::say;
use slipway_dev::stack::DevStack;
use slipway_dev::{postgres, redis};
use slipway_domain::strategy::{Canary, Share};
use slipway_domain::{RolloutId, RolloutState, Strategy};
use slipway_wire::page::EnvironmentPageQuery;

use crate::figures::{Figure, Figures};
use crate::process::Usage;
use crate::{database, fleet};

const PART: &str = "rollouts";
const ENVIRONMENT: &str = "bench-rollouts";
const BATCH: u32 = 50;
const LIMIT: Duration = Duration::from_mins(20);

pub(crate) async fn measure(run: &Run, stack: &DevStack, hosts: u32, figures: &mut Figures) -> Result<()> {
    let strategy = Strategy {
        canary: Canary::Number(1),
        batch: Share::Number(BATCH),
        max_unavailable: Share::Number(BATCH),
        bake_seconds: 0,
        ..Strategy::default()
    };
    say(&format!("making {hosts} hosts"));
    let agents = fleet::create(stack, ENVIRONMENT, strategy, hosts).await?;
    let wanted = fleet::release(stack, ENVIRONMENT, &agents, 1).await?;
    let running = fleet::start(&agents, &stack.control_plane.ports)?;
    let all_online = async {
        while !online(&stack.api, hosts).await? {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LIMIT, all_online)
        .await
        .context("not all agents are heard of")??;

    let plane = &stack.control_plane;
    let kinds: [(&str, Vec<&str>); 4] = [
        (
            "the three api processes",
            plane.replicas.iter().map(String::as_str).collect(),
        ),
        (
            "the two workers",
            plane.workers.iter().map(String::as_str).collect(),
        ),
        ("Postgres", vec![postgres::NAME]),
        ("Redis", vec![redis::NAME]),
    ];
    let usage = |names: &[&str]| {
        let pids = names.iter().filter_map(|name| run.supervisor.pid(name));
        pids.map(Usage::of).fold(Usage::default(), |sum, one| Usage {
            cpu_seconds: sum.cpu_seconds + one.cpu_seconds,
            memory_mib: sum.memory_mib + one.memory_mib,
        })
    };
    let before: Vec<Usage> = kinds.iter().map(|(_, names)| usage(names)).collect();
    let transactions = database::transactions(stack).await?;
    let start = Instant::now();
    let rollout = stack.api.create_rollout(&wanted).await?.summary.id;
    let ended = tokio::time::timeout(LIMIT, end(&stack.api, rollout)).await;
    let state = ended.context("the rollout does not end")??;
    let took = start.elapsed().as_secs_f64();
    ensure!(state == RolloutState::Succeeded, "the rollout {state}");
    drop(running);

    let name = |what: &str| format!("{hosts} hosts in batches of {BATCH}: {what}");
    figures.add(PART, &name("time"), Figure::cost(took, "s"));
    // The database counts a second late.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let transactions = database::transactions(stack).await? - transactions;
    let each = transactions / f64::from(hosts);
    figures.add(PART, &name("transactions for each host"), Figure::cost(each, ""));
    for ((kind, names), before) in kinds.iter().zip(before) {
        let now = usage(names).since(before);
        figures.add(
            PART,
            &name(&format!("processor of {kind}")),
            Figure::cost(now.cpu_seconds, "s"),
        );
        figures.add(
            PART,
            &name(&format!("memory of {kind}")),
            Figure::cost(now.memory_mib, "MiB"),
        );
    }
    Ok(())
}

async fn online(api: &Client, hosts: u32) -> Result<bool> {
    let all = api.all_hosts(Some(&ENVIRONMENT.parse()?)).await?;
    Ok(all.iter().filter(|host| host.online).count() == usize::try_from(hosts)?)
}

/// How it ended. The list without hosts is asked for, as the rollout itself grows with the fleet.
async fn end(api: &Client, rollout: RolloutId) -> Result<RolloutState> {
    let newest = EnvironmentPageQuery {
        environment: Some(ENVIRONMENT.parse()?),
        after: None,
        limit: Some(1),
    };
    loop {
        let page = api.rollouts(&newest).await?;
        let summary = page.items.first().context("the rollout is gone")?;
        ensure!(summary.id == rollout, "another rollout began");
        if summary.state.is_terminal() {
            return Ok(summary.state);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
