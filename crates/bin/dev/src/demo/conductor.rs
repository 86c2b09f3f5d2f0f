//! Registering releases, starting rollouts and following them to their end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use slipway_client::Client;
use slipway_domain::{HostName, ReleaseId, StepState, Strategy};
use slipway_wire::audit::EventQuery;
use slipway_wire::release::{CreateRelease, Source};
use slipway_wire::rollout::{CreateRollout, Rollout, Step};

use super::timeline::Timeline;
use super::watcher::Verified;
use crate::stack::ENVIRONMENT;

/// How often a rollout is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Speaks with the api as an operator would.
#[derive(Debug)]
pub(super) struct Conductor<'a> {
    /// The admin's client.
    pub(super) api: &'a Client,
    /// Where it tells what happens.
    pub(super) timeline: &'a Timeline,
}

/// A rollout that is over, and what was seen on its way.
#[derive(Debug)]
pub(super) struct Followed {
    /// As it ended.
    pub(super) rollout: Rollout,
    /// The most hosts that were out at once.
    pub(super) most_out: usize,
    /// Hosts in the order in which they went out.
    pub(super) order: Vec<HostName>,
    /// Whether no other host went out before every canary had committed.
    pub(super) canary_alone: bool,
    /// How long it took.
    pub(super) took: Duration,
}

impl Conductor<'_> {
    /// Registers `closures` as a release.
    pub(super) async fn register(&self, name: &str, closures: &[(HostName, PathBuf)]) -> Result<ReleaseId> {
        let text = |(host, path): &(HostName, PathBuf)| (host.to_string(), path.display().to_string());
        let request = CreateRelease {
            closures: closures.iter().map(text).collect(),
            source: Source::default(),
            message: Some(name.to_owned()),
        };
        let release = self.api.create_release(&request).await;
        Ok(release
            .with_context(|| format!("cannot register the release {name}"))?
            .id)
    }

    /// Rolls a release out and follows it. `meanwhile` sees every look at it.
    pub(super) async fn roll_out(
        &self,
        name: &str,
        release: ReleaseId,
        strategy: Strategy,
        bound: Duration,
        mut meanwhile: impl AsyncFnMut(&Rollout) -> Result<()>,
    ) -> Result<Followed> {
        let request = CreateRollout {
            environment: ENVIRONMENT.parse()?,
            release,
            strategy: Some(strategy),
        };
        let rollout = self.api.create_rollout(&request).await;
        let mut rollout = rollout.with_context(|| format!("cannot roll {name} out"))?;
        let bar = self.timeline.bar(name, rollout.steps.len());
        let (start, mut most_out, mut order) = (Instant::now(), 0, Vec::new());
        let mut states = BTreeMap::new();
        let mut canary_alone = true;
        loop {
            self.tell(&rollout, &mut states);
            for step in rollout.steps.iter().filter(|step| step.state.is_out()) {
                if !order.contains(&step.host) {
                    order.push(step.host.clone());
                }
            }
            most_out = most_out.max(rollout.steps.iter().filter(|step| step.state.is_out()).count());
            canary_alone &= !others_are_early(&rollout);
            bar.set_position(settled(&rollout));
            bar.set_message(under_way(&rollout));
            if rollout.summary.state.is_terminal() {
                bar.finish_and_clear();
                return Ok(Followed {
                    rollout,
                    most_out,
                    order,
                    canary_alone,
                    took: start.elapsed(),
                });
            }
            meanwhile(&rollout).await?;
            if start.elapsed() > bound {
                bail!(
                    "{name} is {} after {bound:?}: {}",
                    rollout.summary.state,
                    under_way(&rollout)
                );
            }
            tokio::time::sleep(INTERVAL).await;
            rollout = self.api.rollout(rollout.summary.id).await?;
        }
    }

    fn tell(&self, rollout: &Rollout, states: &mut BTreeMap<HostName, StepState>) {
        for step in &rollout.steps {
            let known = states.insert(step.host.clone(), step.state);
            let worth_a_line =
                step.state.is_settled() || matches!(step.state, StepState::Activating | StepState::Reverting);
            if known != Some(step.state) && worth_a_line {
                // Why one host is left out is another host's reason, which was told already.
                let reason = step
                    .reason
                    .as_deref()
                    .filter(|_| step.state != StepState::Skipped);
                let reason = reason.map(|text| format!(": {text}")).unwrap_or_default();
                self.timeline
                    .say(&format!("    {} {}{reason}", step.host, step.state));
            }
        }
    }

    /// What the control plane noted as verified in a rollout, from its events.
    pub(super) async fn verified(&self, rollout: &Rollout) -> Result<Vec<Verified>> {
        let closures: BTreeMap<&str, &Path> = rollout
            .steps
            .iter()
            .map(|step| (step.host.as_str(), step.closure.as_path()))
            .collect();
        let mut found = Vec::new();
        let mut query = EventQuery {
            after: None,
            limit: Some(500),
        };
        loop {
            let page = self.api.rollout_events(rollout.summary.id, &query, None).await?;
            let Some(last) = page.items.last() else {
                return Ok(found);
            };
            query.after = Some(last.number);
            for event in page.items {
                if event.event.to.as_deref() == Some(StepState::Verified.as_str())
                    && let Some(host) = event.host_name
                    && let Some(closure) = closures.get(host.as_str())
                {
                    found.push(Verified {
                        closure: closure.to_path_buf(),
                        host,
                        at: event.at,
                    });
                }
            }
        }
    }
}

fn others_are_early(rollout: &Rollout) -> bool {
    let canary = |step: &&Step| step.wave == 0;
    let open = rollout
        .steps
        .iter()
        .filter(canary)
        .any(|step| step.state != StepState::Committed);
    open && rollout
        .steps
        .iter()
        .any(|step| !canary(&step) && step.state.is_out())
}

fn settled(rollout: &Rollout) -> u64 {
    let count = rollout
        .steps
        .iter()
        .filter(|step| step.state.is_settled())
        .count();
    u64::try_from(count).unwrap_or_default()
}

fn under_way(rollout: &Rollout) -> String {
    let open = rollout.steps.iter().filter(|step| !step.state.is_settled());
    open.map(|step| format!("{} {}", step.host, step.state))
        .collect::<Vec<_>>()
        .join(", ")
}
