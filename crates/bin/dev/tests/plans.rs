//! People approve what changes: real agents fetch and say what a release would change, and go on only by that plan.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use common::rig::{Rig, reasons};
use slipway_dev::fleet::Variant;
use slipway_dev::stack::approval;
use slipway_dev::stack::hosts::strategy;
use slipway_domain::digest::Digest;
use slipway_domain::{RolloutState, StepState};

#[tokio::test]
async fn hosts_fetch_and_plan_before_an_approval_and_go_on_by_the_plan_that_was_approved() {
    let rig = Rig::new(2).await;
    let versions = [("v1", Variant::Works), ("v2", Variant::Works)];
    let closures = rig.publish(&versions).await;
    let done = rig.roll_out(&closures[0], strategy(0, 2)).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));
    approval::require(&rig.stack, true).await.unwrap();
    let ada = approval::approver(&rig.stack, "ada").await.unwrap();

    let begun = rig.start(&closures[1], strategy(0, 2)).await;
    let id = begun.summary.id;
    let plans = approval::planned(&rig.stack.api, id).await.unwrap();
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
    let refused = approval::approve(&ada, id, other).await.unwrap_err().to_string();
    assert!(
        refused.contains(&other.to_string()) && refused.contains(&plans.digest.to_string()),
        "{refused}"
    );
    assert_eq!(rig.versions().await, ["v1", "v1"]);

    approval::approve(&ada, id, plans.digest).await.unwrap();
    let done = rig.finish(begun).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));
    assert_eq!(rig.versions().await, ["v2", "v2"]);
    let after = rig.stack.api.rollout_host_plans(id).await.unwrap();
    assert_eq!((after.digest, after.approved), (plans.digest, Some(plans.digest)));
    assert!(rig.stack.api.verify_audit().await.unwrap().whole);
    rig.run.close().await.unwrap();
}
