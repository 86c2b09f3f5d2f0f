//! An environment whose rollouts need an approval, with a host that no agent serves.

use anyhow::{Context as _, Result};
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{ReleaseId, RolloutState};
use slipway_wire::fleet::{CreateEnvironment, CreateHost};
use slipway_wire::page::EnvironmentPageQuery;
use slipway_wire::release::{CreateRelease, Source};
use slipway_wire::rollout::{CreateCommand, CreateRollout};

use super::CAREFUL;
use crate::stack::DevStack;
use crate::stack::hosts::{DevHost, strategy};

const HOST: &str = "spare-1";

/// Makes it, with a release for its host.
pub(super) async fn create(stack: &DevStack) -> Result<ReleaseId> {
    let environment = CreateEnvironment {
        name: CAREFUL.parse()?,
        strategy: strategy(0, 1),
        approval_required: true,
        own_strategy_allowed: false,
        related_approval_allowed: false,
        windows: Vec::new(),
    };
    stack.api.create_environment(&environment).await?;
    let host = CreateHost {
        name: HOST.parse()?,
        environment: CAREFUL.parse()?,
        labels: std::collections::BTreeMap::new(),
    };
    stack.api.create_host(&host).await?;
    // It is never fetched: whose it is does not matter.
    let closure = stack.hosts.first().and_then(DevHost::profile_target);
    let closure = closure.context("the fleet has a host with a system")?;
    let release = CreateRelease {
        closures: [(HOST.to_owned(), closure.display().to_string())].into(),
        source: Source::default(),
        message: Some("waits for a person".to_owned()),
        name: None,
    };
    Ok(stack.api.create_release(&release).await?.id)
}

/// Starts a rollout that nobody approves.
pub(super) async fn start(stack: &DevStack, release: ReleaseId) -> Result<()> {
    let request = CreateRollout {
        environment: CAREFUL.parse()?,
        release: release.into(),
        strategy: None,
        not_before: None,
        override_freeze: None,
        hosts: Vec::new(),
        reboot: false,
    };
    let rollout = stack.api.create_rollout(&request).await?;
    anyhow::ensure!(
        rollout.summary.state == RolloutState::PendingApproval,
        "it needs no approval"
    );
    Ok(())
}

/// Aborts it.
pub(super) async fn abort(stack: &DevStack) -> Result<()> {
    let query = EnvironmentPageQuery {
        environment: Some(CAREFUL.parse()?),
        ..EnvironmentPageQuery::default()
    };
    let rollout = stack.api.rollouts(&query).await?.items.into_iter().next();
    let rollout = rollout.context("there is a rollout")?;
    let command = CreateCommand {
        command: CommandKind::Abort,
        reason: Some("the fault is over".to_owned()),
        plan: None,
    };
    stack.api.command_rollout(rollout.id, &command).await?;
    Ok(())
}
