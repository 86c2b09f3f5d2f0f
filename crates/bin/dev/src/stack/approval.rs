//! Rollouts that wait for a person, who approves what the hosts plan.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use slipway_client::Client;
use slipway_domain::digest::Digest;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{Role, RolloutId};
use slipway_wire::access::{CreatePrincipal, CreateToken};
use slipway_wire::fleet::UpdateEnvironment;
use slipway_wire::plan::RolloutHostPlans;
use slipway_wire::rollout::CreateCommand;

use super::{DevStack, ENVIRONMENT, client};

/// The longest wait for the plans of all hosts: each fetches its closure first.
const PLANNED: Duration = Duration::from_mins(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Has the rollouts of the environment wait for an approval, or no longer.
pub async fn require(stack: &DevStack, required: bool) -> Result<()> {
    let change = UpdateEnvironment {
        approval_required: Some(required),
        // The admin starts the rollouts, and made the approver.
        related_approval_allowed: Some(required),
        ..UpdateEnvironment::default()
    };
    stack
        .api
        .update_environment(&ENVIRONMENT.parse()?, &change)
        .await?;
    Ok(())
}

/// Makes an approver of this name, and signs them in.
pub async fn approver(stack: &DevStack, name: &str) -> Result<Client> {
    let token = approver_token(stack, name).await?;
    client(&stack.nginx, Some(token.into()))
}

/// Makes an approver of this name; their token.
pub async fn approver_token(stack: &DevStack, name: &str) -> Result<String> {
    let principal = CreatePrincipal {
        name: name.parse()?,
        role: Role::Approver,
        environment_roles: slipway_domain::EnvironmentRoles::default(),
    };
    stack.api.create_principal(&principal).await?;
    let token = CreateToken {
        principal: Some(principal.name),
        label: "slipway-dev".to_owned(),
        expires_in_days: None,
        limits: slipway_domain::TokenLimits::default(),
        session: false,
    };
    let token = stack.api.create_token(&token).await?.token;
    Ok(token.expose().to_owned())
}

/// What the hosts of a rollout plan, once all of them have said so.
pub async fn planned(api: &Client, rollout: RolloutId) -> Result<RolloutHostPlans> {
    let start = Instant::now();
    loop {
        let plans = api.rollout_host_plans(rollout).await?;
        if plans.unknown.is_empty() {
            return Ok(plans);
        }
        if start.elapsed() > PLANNED {
            bail!("not all hosts have a plan after {PLANNED:?}: {:?}", plans.unknown);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Approves a rollout as this plan.
pub async fn approve(approver: &Client, rollout: RolloutId, plan: Digest) -> Result<()> {
    let command = CreateCommand {
        command: CommandKind::Approve,
        reason: None,
        plan: Some(plan),
    };
    approver.command_rollout(rollout, &command).await?;
    Ok(())
}
