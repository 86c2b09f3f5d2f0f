//! Registering releases, starting rollouts and following them to their end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use slipway_client::Client;
use slipway_domain::{HostName, ReleaseId, RolloutId, StepState, Strategy};
use slipway_wire::audit::{Event, EventQuery};
use slipway_wire::page::MAX_LIMIT;
use slipway_wire::release::{CreateRelease, Source};
use slipway_wire::rollout::{CreateRollout, Rollout};

use super::story::Story;
use super::timeline::Timeline;
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
    /// What happened on the way.
    pub(super) story: Story,
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
            name: None,
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
            release: release.into(),
            strategy: Some(strategy),
            not_before: None,
            override_freeze: None,
            hosts: Vec::new(),
            reboot: false,
        };
        let rollout = self.api.create_rollout(&request).await;
        let mut rollout = rollout.with_context(|| format!("cannot roll {name} out"))?;
        let bar = self.timeline.bar(name, rollout.steps.len());
        let start = Instant::now();
        let mut states = BTreeMap::new();
        loop {
            self.tell(&rollout, &mut states);
            bar.set_position(settled(&rollout));
            bar.set_message(under_way(&rollout));
            if rollout.summary.state.is_terminal() {
                bar.finish_and_clear();
                let took = start.elapsed();
                let events = self.events(rollout.summary.id).await?;
                return Ok(Followed {
                    story: Story::of(&rollout, &events),
                    rollout,
                    took,
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

    async fn events(&self, id: RolloutId) -> Result<Vec<Event>> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let query = EventQuery {
                after: events.last().map(|event| event.number),
                limit: Some(MAX_LIMIT),
                ..EventQuery::default()
            };
            let page = self.api.rollout_events(id, &query, None).await?.items;
            if page.is_empty() {
                return Ok(events);
            }
            events.extend(page);
        }
    }
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
