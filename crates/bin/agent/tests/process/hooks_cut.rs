//! SIGKILL at every step of hooks. After every fault the host ends on the release or on its own prior (invariant 2), and
//! before the switch it was never touched.

use slipway_domain::StepState;

use crate::hooks::{LOG, hook, with_hooks};
use crate::{AgentRig, quick};

/// Kills the agent at the place of a release with hooks, starts it again, and the release is committed.
fn goes_on_after(place: &str) {
    let mut rig = AgentRig::new();
    let v3 = with_hooks(
        &rig,
        "v3",
        &[hook(&rig, "one", LOG), hook(&rig, "two", LOG)],
        &[hook(&rig, "after", LOG)],
    );
    rig.plane.release(&v3, quick());
    rig.agent_with(&[("SLIPWAY_FAILPOINT", place)]).died();
    let _agent = rig.agent();
    rig.plane.reach(StepState::Committed);
    rig.eventually("the last hook", |rig| rig.count("hook after") == 1);
    rig.eventually("everything is quiet", AgentRig::is_quiet);
    assert_eq!(
        rig.log()[2..],
        ["hook one", "hook two", "test v3", "boot v3", "hook after"],
        "each once"
    );
    rig.assert_on(&v3, "v3");
    rig.assert_boot_default_was_always_proven(Some(&v3));
}

#[test]
fn invariant_2_killed_with_a_hook_written() {
    goes_on_after("hook-written");
}

#[test]
fn invariant_2_killed_with_a_hook_started() {
    goes_on_after("hook-started");
}

#[test]
fn invariant_2_killed_with_the_hooks_over() {
    goes_on_after("hooks-over");
}

/// Kills the agent at the place, starts it again, and the host was not touched.
fn is_untouched_after(place: &str, lines: &str) {
    let mut rig = AgentRig::new();
    let v3 = with_hooks(&rig, "v3", &[hook(&rig, "one", lines)], &[]);
    rig.plane.release(&v3, quick());
    rig.agent_with(&[("SLIPWAY_FAILPOINT", place)]).died();
    let _agent = rig.agent();
    rig.plane.reach(StepState::Reverted);
    rig.eventually("everything is quiet", AgentRig::is_quiet);
    assert_eq!(rig.count("test v3") + rig.count("test v1"), 1, "{:?}", rig.log());
    let v1 = rig.v1.clone();
    rig.assert_on(&v1, "v1");
    let report = rig.plane.report().unwrap();
    assert_eq!(report.prior, None);
    assert_eq!(rig.journal().unsettled_id(), None);
    rig.assert_boot_default_was_always_proven(None);
}

#[test]
fn invariant_2_killed_before_the_deadman_of_hooks_is_armed() {
    is_untouched_after("activating-written", LOG);
}

#[test]
fn invariant_2_killed_once_the_deadman_of_hooks_is_armed() {
    is_untouched_after("deadman-armed", LOG);
}

#[test]
fn invariant_2_killed_with_an_attempt_ended_by_its_hook() {
    is_untouched_after("hooks-ended", "exit 1");
}

/// The dead-man is armed and every hook is over; the switch is not begun. As without hooks it goes back.
#[test]
fn invariant_2_killed_between_the_hooks_and_the_switch() {
    let mut rig = AgentRig::new();
    let v3 = with_hooks(&rig, "v3", &[hook(&rig, "one", LOG)], &[]);
    rig.plane.release(&v3, quick());
    rig.agent_with(&[("SLIPWAY_FAILPOINT", "hooks-done")]).died();
    let _agent = rig.agent();
    rig.plane.reach(StepState::Reverted);
    let v1 = rig.v1.clone();
    rig.assert_on(&v1, "v1");
    assert_eq!(rig.count("test v3"), 0, "{:?}", rig.log());
    rig.eventually("everything is quiet", AgentRig::is_quiet);
    rig.assert_boot_default_was_always_proven(None);
}

/// A hook outlives the agent: the one that comes back waits for it.
#[test]
fn a_hook_that_runs_while_the_agent_is_dead_is_not_run_again() {
    let rig = AgentRig::new();
    let v3 = with_hooks(
        &rig,
        "v3",
        &[hook(
            &rig,
            "slow",
            &format!("{LOG}; sleep 3; echo done >> \"$host/log\""),
        )],
        &[],
    );
    rig.plane.release(&v3, quick());
    let agent = rig.agent();
    rig.eventually("the hook", |rig| rig.count("hook slow") == 1);
    agent.kill();
    let _agent = rig.agent();
    rig.plane.reach(StepState::Committed);
    assert_eq!(rig.log()[2..], ["hook slow", "done", "test v3", "boot v3"]);
}

/// Without its supervisor a hook leaves no record. It keeps its bound all the same, and is run again.
#[test]
fn a_hook_whose_supervisor_was_killed_runs_again() {
    let rig = AgentRig::new();
    let once = format!("{LOG}; test -e \"$host/again\" || {{ touch \"$host/again\"; sleep 1000; }}");
    let mut once = hook(&rig, "once", &once);
    once["timeout_seconds"] = 3.into();
    let v3 = with_hooks(&rig, "v3", &[once], &[]);
    rig.plane.release(&v3, quick());
    let _agent = rig.agent();
    rig.eventually("the hook", |rig| rig.count("hook once") == 1);
    rig.kill_supervisor("before-activate");
    rig.plane.reach(StepState::Committed);
    assert_eq!(rig.count("hook once"), 2, "{:?}", rig.log());
    rig.assert_on(&v3, "v3");
    rig.eventually("the first one is gone", AgentRig::is_quiet);
}

/// The hooks of the prior on the way back, with the agent killed while one runs.
#[test]
fn invariant_2_killed_with_a_hook_on_the_way_back_started() {
    let rig = AgentRig::new();
    let v3 = with_hooks(&rig, "v3", &[hook(&rig, "hand over", LOG)], &[]);
    let agent = rig.agent();
    rig.plane.release(&v3, quick());
    rig.plane.reach(StepState::Committed);
    agent.kill();
    rig.sicken("v2");
    rig.plane.release(&rig.v2, quick());
    rig.agent_with(&[("SLIPWAY_FAILPOINT", "hook-back-started")])
        .died();
    let _agent = rig.agent();
    rig.plane.reach(StepState::Reverted);
    rig.assert_on(&v3, "v3");
    assert_eq!(rig.count("hook hand over"), 2, "{:?}", rig.log());
    rig.eventually("everything is quiet", AgentRig::is_quiet);
}
