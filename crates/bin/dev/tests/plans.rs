//! People approve what changes: real agents fetch and say what a release would change, and go on only by that plan.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::time::{Duration, Instant};

use common::rig::{Rig, reasons};
use slipway_client::Client;
use slipway_dev::fleet::Variant;
use slipway_dev::stack::hosts::strategy;
use slipway_dev::stack::{ENVIRONMENT, client};
use slipway_domain::digest::Digest;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{Role, RolloutId, RolloutState, StepState};
use slipway_wire::access::{CreatePrincipal, CreateToken};
use slipway_wire::fleet::UpdateEnvironment;
use slipway_wire::plan::RolloutHostPlans;
use slipway_wire::rollout::CreateCommand;

const BOUND: Duration = Duration::from_mins(2);

/// Somebody who may approve what the admin starts.
async fn approver(rig: &Rig) -> Client {
    let api = &rig.stack.api;
    let change = UpdateEnvironment {
        approval_required: Some(true),
        // The admin made them both.
        related_approval_allowed: Some(true),
        ..UpdateEnvironment::default()
    };
    api.update_environment(&ENVIRONMENT.parse().unwrap(), &change)
        .await
        .unwrap();
    let principal = CreatePrincipal {
        name: "ada".parse().unwrap(),
        role: Role::Approver,
    };
    api.create_principal(&principal).await.unwrap();
    let token = CreateToken {
        principal: Some(principal.name),
        label: "test".to_owned(),
        expires_in_days: None,
    };
    let token = api.create_token(&token).await.unwrap().token;
    client(&rig.stack.nginx, Some(token.expose().into())).unwrap()
}

/// What the hosts plan, once all of them have said so.
async fn planned(rig: &Rig, rollout: RolloutId) -> RolloutHostPlans {
    let start = Instant::now();
    loop {
        let plans = rig.stack.api.rollout_host_plans(rollout).await.unwrap();
        if plans.unknown.is_empty() {
            return plans;
        }
        assert!(start.elapsed() < BOUND, "not all hosts have a plan: {plans:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn approval(plan: Digest) -> CreateCommand {
    CreateCommand {
        command: CommandKind::Approve,
        reason: None,
        plan: Some(plan),
    }
}

#[tokio::test]
async fn hosts_fetch_and_plan_before_an_approval_and_go_on_by_the_plan_that_was_approved() {
    let rig = Rig::new(2).await;
    let versions = [("v1", Variant::Works), ("v2", Variant::Works)];
    let closures = rig.publish(&versions).await;
    let done = rig.roll_out(&closures[0], strategy(0, 2)).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));
    let ada = approver(&rig).await;

    let begun = rig.start(&closures[1], strategy(0, 2)).await;
    let id = begun.summary.id;
    let plans = planned(&rig, id).await;
    assert_eq!(
        (plans.state, plans.approved),
        (RolloutState::PendingApproval, None)
    );
    let planned: usize = plans.plans.iter().map(|shared| shared.hosts.len()).sum();
    assert_eq!(planned, 2, "{plans:?}");
    for (host, closure) in rig.stack.hosts.iter().zip(&closures[0]) {
        let all = plans.plans.iter().flat_map(|shared| &shared.hosts);
        let its = all.into_iter().find(|one| one.host == host.name).unwrap();
        assert_eq!(its.report.from.as_path(), closure);
    }
    let waits = rig.stack.api.rollout(id).await.unwrap();
    let untouched = |state| matches!(state, StepState::Staging | StepState::Staged);
    assert!(waits.steps.iter().all(|step| untouched(step.state)), "{waits:?}");
    assert_eq!(
        rig.versions().await,
        ["v1", "v1"],
        "a host was touched before the approval"
    );

    let other = Digest::of_bytes(b"another plan");
    let refused = ada
        .command_rollout(id, &approval(other))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains(&other.to_string()) && refused.contains(&plans.digest.to_string()),
        "{refused}"
    );
    assert_eq!(rig.versions().await, ["v1", "v1"]);

    ada.command_rollout(id, &approval(plans.digest)).await.unwrap();
    let done = rig.finish(begun).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));
    assert_eq!(rig.versions().await, ["v2", "v2"]);
    let after = rig.stack.api.rollout_host_plans(id).await.unwrap();
    assert_eq!((after.digest, after.approved), (plans.digest, Some(plans.digest)));
    assert!(rig.stack.api.verify_audit().await.unwrap().whole);
    rig.run.close().await.unwrap();
}
