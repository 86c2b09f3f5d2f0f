//! What a switch would change: computed from closures in a real store, sent once, and held to when it was approved.

use std::process::Command;

use slipway_domain::digest::{Digest, Digester};
use slipway_domain::host_plan::section;
use slipway_domain::{AttemptPhase, HostPlan, PlanReport, StepState};

use crate::hooks::{LOG, hook, with_hooks};
use crate::{AgentRig, quick};

/// What the agent reported, and the entries that it sent.
fn planned(rig: &AgentRig) -> (PlanReport, Vec<HostPlan>) {
    rig.plane.hear(AttemptPhase::Staged);
    let report = rig.plane.report().unwrap().plan.expect("a plan is reported");
    let state = rig.plane.state();
    let sent = state.observations.iter().filter_map(|seen| seen.plan.clone());
    (report, sent.collect())
}

impl AgentRig {
    fn approve(&self, plan: Digest) {
        self.plane.change(|state| {
            state.hold_at = None;
            if let Some(step) = &mut state.assignment {
                step.approved_plan = Some(plan);
            }
        });
    }
}

#[test]
fn a_plan_is_computed_in_staging_sent_once_and_carried_out_when_approved() {
    let rig = AgentRig::new();
    let v3 = with_hooks(&rig, "v3", &[hook(&rig, "drain", LOG)], &[]);
    let _agent = rig.agent();
    rig.plane.release_until(&v3, quick(), StepState::Staged);
    let (report, sent) = planned(&rig);
    assert_eq!(report.from, rig.v1);
    assert!(
        report.bytes_new > 0 && report.bytes_after >= report.bytes_new,
        "{report:?}"
    );
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0].digest(), report.digest);
    let hooks = sent[0].entries(section::HOOKS);
    assert_eq!(hooks.len(), 1);
    assert_eq!(hooks[0].name, "before_activate: drain");
    // The check of every version names the version.
    assert_eq!(sent[0].entries(section::CHECKS).len(), 1);
    rig.assert_on(&rig.v1, "v1");
    rig.approve(report.digest);
    rig.plane.reach(StepState::Committed);
    rig.assert_on(&v3, "v3");
    let state = rig.plane.state();
    let sent = state.observations.iter().filter(|seen| seen.plan.is_some());
    assert_eq!(sent.count(), 1);
}

#[test]
fn a_host_that_was_switched_by_hand_since_the_approval_is_not_touched() {
    let rig = AgentRig::new();
    let v3 = with_hooks(&rig, "v3", &[hook(&rig, "drain", LOG)], &[]);
    let _agent = rig.agent();
    rig.plane.release_until(&v3, quick(), StepState::Staged);
    let (report, _) = planned(&rig);
    // The plan from v2 is another one: v2 has hooks of its own.
    let v2 = with_hooks(&rig, "v2b", &[hook(&rig, "other", LOG)], &[]);
    let script = v2.as_path().join("bin/switch-to-configuration");
    assert!(Command::new(script).arg("test").status().unwrap().success());
    rig.approve(report.digest);
    rig.plane.reach(StepState::Reverted);
    let message = rig.plane.message();
    assert!(
        message.contains(&format!("the approved plan is {}", report.digest)),
        "{message}"
    );
    assert!(message.contains("nothing was touched"), "{message}");
    assert_eq!(rig.live(), Some(v2));
    assert_eq!(rig.count("test v3") + rig.count("hook drain"), 0);
}

#[test]
fn another_approved_plan_than_the_hosts_is_not_carried_out() {
    let rig = AgentRig::new();
    let _agent = rig.agent();
    rig.plane.release_until(&rig.v2, quick(), StepState::Staged);
    let (report, _) = planned(&rig);
    let other = Digester::new("another").finish();
    assert_ne!(other, report.digest);
    rig.approve(other);
    rig.plane.reach(StepState::Reverted);
    let message = rig.plane.message();
    for digest in [other, report.digest] {
        assert!(message.contains(&digest.to_string()), "{message}");
    }
    rig.assert_on(&rig.v1, "v1");
    assert_eq!(rig.count("test v2"), 0);
}

#[test]
fn an_agent_that_was_killed_after_staging_sends_its_plan_again() {
    let rig = AgentRig::new();
    let agent = rig.agent();
    rig.plane.release_until(&rig.v2, quick(), StepState::Staged);
    let (report, _) = planned(&rig);
    drop(agent);
    rig.plane.change(|state| state.observations.clear());
    let _agent = rig.agent();
    let (again, sent) = planned(&rig);
    assert_eq!(again, report);
    assert_eq!(
        sent.iter().map(HostPlan::digest).collect::<Vec<_>>(),
        [report.digest]
    );
}
