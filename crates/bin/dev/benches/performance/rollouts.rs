//! Part `rollouts`: whole rollouts to hosts that obey at once. What is left is what the control plane takes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use slipway_client::Client;
use slipway_dev::run::Run;
use slipway_dev::say::say;
use slipway_dev::stack::DevStack;
use slipway_dev::{postgres, redis};
use slipway_domain::strategy::{Canary, Share};
use slipway_domain::{RolloutState, Strategy};
use slipway_wire::page::EnvironmentPageQuery;
use slipway_wire::rollout::RolloutSummary;

use crate::figures::{Figure, Figures};
use crate::process::Usage;
use crate::{database, fleet};

const PART: &str = "rollouts";
const BATCH: u32 = 50;
/// The other measurement has more environments and fewer hosts in each.
const ENVIRONMENTS: u32 = 100;
const HOSTS_OF_EACH: u32 = 10;
const LIMIT: Duration = Duration::from_mins(20);

/// Environments that are rolled out to at the same time.
struct Plan {
    /// What their names begin with.
    name: &'static str,
    environments: u32,
    hosts_of_each: u32,
    /// What the figures call it.
    words: String,
}

pub(crate) async fn measure(run: &Run, stack: &DevStack, hosts: u32, figures: &mut Figures) -> Result<()> {
    let one = Plan {
        name: "bench-rollouts",
        environments: 1,
        hosts_of_each: hosts,
        words: format!("{hosts} hosts in batches of {BATCH}"),
    };
    let many = Plan {
        name: "bench-many",
        environments: ENVIRONMENTS,
        hosts_of_each: HOSTS_OF_EACH,
        words: format!("{ENVIRONMENTS} environments of {HOSTS_OF_EACH} hosts at once"),
    };
    for plan in [one, many] {
        plan.measure(run, stack, figures).await?;
    }
    Ok(())
}

impl Plan {
    async fn measure(&self, run: &Run, stack: &DevStack, figures: &mut Figures) -> Result<()> {
        say(&format!("making hosts: {}", self.words));
        let mut agents = Vec::new();
        let mut wanted = Vec::new();
        for n in 0..self.environments {
            let name = format!("{}-{n}", self.name);
            let fleet = fleet::create(stack, &name, strategy(), self.hosts_of_each).await?;
            wanted.push(fleet::release(stack, &name, &fleet, 1).await?);
            agents.extend(fleet);
        }
        let running = fleet::start(&agents, &stack.control_plane.ports)?;
        tokio::time::timeout(LIMIT, self.all_online(&stack.api))
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
        let rollouts = try_join_all(wanted.iter().map(|wanted| stack.api.create_rollout(wanted))).await?;
        let ends = async {
            for rollout in rollouts {
                end(&stack.api, rollout.summary).await?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(LIMIT, ends)
            .await
            .context("not all rollouts end")??;
        let took = start.elapsed().as_secs_f64();
        drop(running);

        let name = |what: &str| format!("{}: {what}", self.words);
        figures.add(PART, &name("time"), Figure::cost(took, "s"));
        // The database counts a second late.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let transactions = database::transactions(stack).await? - transactions;
        let each = transactions / f64::from(self.environments * self.hosts_of_each);
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

    async fn all_online(&self, api: &Client) -> Result<()> {
        let all = usize::try_from(self.environments * self.hosts_of_each)?;
        loop {
            let hosts = api.all_hosts(None).await?;
            let online = hosts
                .iter()
                .filter(|host| host.online && host.environment.as_str().starts_with(self.name));
            if online.count() == all {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

fn strategy() -> Strategy {
    Strategy {
        canary: Canary::Number(1),
        batch: Share::Number(BATCH),
        max_unavailable: Share::Number(BATCH),
        bake_seconds: 0,
        ..Strategy::default()
    }
}

/// Waits for its end. The list without hosts is asked for, as the rollout itself grows with the fleet.
async fn end(api: &Client, rollout: RolloutSummary) -> Result<()> {
    let newest = EnvironmentPageQuery {
        environment: Some(rollout.environment),
        after: None,
        limit: Some(1),
    };
    loop {
        let page = api.rollouts(&newest).await?;
        let summary = page.items.first().context("the rollout is gone")?;
        ensure!(summary.id == rollout.id, "another rollout began");
        if summary.state.is_terminal() {
            ensure!(
                summary.state == RolloutState::Succeeded,
                "the rollout {}",
                summary.state
            );
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
