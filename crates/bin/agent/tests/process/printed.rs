//! What scripts print reaches the control plane, whatever happens to the agent or to the way there.

use std::fs;

use slipway_domain::StepState;
use slipway_process::ProcessId;
use slipway_wire::output::OutputPiece;

use crate::hooks::{hook, with_hooks};
use crate::{AgentRig, quick};

fn of_job(rig: &AgentRig, job: &str) -> Vec<OutputPiece> {
    let state = rig.plane.state();
    let pieces = state.outputs.iter().filter(|piece| piece.job == job);
    pieces.cloned().collect()
}

fn text(rig: &AgentRig, job: &str) -> String {
    of_job(rig, job).into_iter().map(|piece| piece.text).collect()
}

#[test]
fn scripts_and_hooks_are_heard_while_they_run() {
    let rig = AgentRig::new();
    let before = hook(&rig, "migrate", "echo migrating; echo trouble >&2");
    let v3 = with_hooks(&rig, "v3", &[before], &[]);
    // Until the test has seen the first lines, the script waits.
    let lines = r#"printf '\033[1;31mstarting\033[0m\n\377bytes\n'; until [ -e "$host/seen" ]; do sleep 0.05; done; echo on"#;
    rig.knob("test", "v3", lines);
    let _agent = rig.agent();
    let attempt = rig.plane.release(&v3, quick());
    rig.eventually("the first lines", |rig| {
        text(rig, "activate-1") == "starting\n\u{fffd}bytes\n"
    });
    assert_eq!(text(&rig, "before-activate-1"), "migrating\ntrouble\n");
    fs::write(rig.host().join("seen"), "").unwrap();
    rig.plane.reach(StepState::Committed);
    rig.eventually("the last lines", |rig| {
        text(rig, "commit-1") == "boot of v3 done\n"
    });
    assert_eq!(
        text(&rig, "activate-1"),
        "starting\n\u{fffd}bytes\non\ntest of v3 done\n"
    );
    let state = rig.plane.state();
    assert!(
        state.outputs.iter().all(|piece| piece.attempt == attempt),
        "{:?}",
        state.outputs
    );
}

/// The agent dies in the middle of a script, and the one after it sends neither too little nor anything twice.
#[test]
fn an_agent_that_begins_again_goes_on_where_the_one_before_ended() {
    let rig = AgentRig::new();
    let lines =
        r#"for n in 1 2 3; do echo "line $n"; until [ -e "$host/seen-$n" ]; do sleep 0.05; done; done"#;
    rig.knob("test", "v2", lines);
    let mut agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    for n in 1..=3 {
        let last = format!("line {n}\n");
        rig.eventually("the next line", |rig| text(rig, "activate-1").ends_with(&last));
        agent.kill();
        fs::write(rig.host().join(format!("seen-{n}")), "").unwrap();
        agent = rig.agent();
    }
    rig.plane.reach(StepState::Committed);
    rig.eventually("the end", |rig| !text(rig, "commit-1").is_empty());
    assert_eq!(
        text(&rig, "activate-1"),
        "line 1\nline 2\nline 3\ntest of v2 done\n"
    );
    assert_eq!(text(&rig, "commit-1"), "boot of v2 done\n");
    drop(agent);
}

/// An earlier control plane has no such route: the agent asks once an attempt, and works as ever.
#[test]
fn a_control_plane_that_takes_no_output_is_left_alone() {
    let rig = AgentRig::new();
    rig.plane.change(|state| state.refuse_output = Some(404));
    rig.knob("test", "v2", "for n in 1 2 3 4 5 6; do echo $n; sleep 0.3; done");
    let _agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Committed);
    rig.assert_on(&rig.v2, "v2");
    assert_eq!(rig.plane.state().output_requests, 1);
}

/// Output that cannot be sent holds nothing up, and is sent once it can be.
#[test]
fn output_waits_for_a_control_plane_that_is_in_trouble() {
    let rig = AgentRig::new();
    rig.plane.change(|state| state.refuse_output = Some(500));
    rig.knob("test", "v2", "echo important");
    let _agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Committed);
    let tried = rig.plane.state().output_requests;
    assert!((1..20).contains(&tried), "{tried}");
    rig.plane.change(|state| state.refuse_output = None);
    rig.eventually("the output", |rig| !text(rig, "commit-1").is_empty());
    assert_eq!(text(&rig, "activate-1"), "important\ntest of v2 done\n");
}

/// 100 MB of output: the agent stays small and sends little, and the host ends where it should.
#[test]
fn a_script_that_prints_without_end_is_bounded() {
    let rig = AgentRig::new();
    rig.knob(
        "test",
        "v2",
        "yes 'one line of many' | head -c 100000000; echo 'the end'",
    );
    let agent = rig.agent();
    let mut slow = quick();
    slow.limits.activate_seconds = 120;
    rig.plane.release(&rig.v2, slow);
    rig.plane.reach(StepState::Committed);
    rig.eventually("the end", |rig| {
        text(rig, "activate-1").ends_with("the end\ntest of v2 done\n")
    });
    let pieces = of_job(&rig, "activate-1");
    let told: u64 = pieces.iter().map(|piece| piece.end - piece.start).sum();
    let skipped: u64 = pieces.iter().map(|piece| piece.skipped).sum();
    assert!(told <= 64 * 1024, "{told}");
    assert_eq!(
        told + skipped,
        100_000_000 + "the end\ntest of v2 done\n".len() as u64
    );
    let used: u64 = fs::read_dir(rig.state_dir().join("jobs"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(used < 1024 * 1024, "{used}");
    let id = agent.child.id();
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let most: u64 = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .unwrap();
    assert!(most < 200 * 1024, "the agent used {most} KiB");
    assert!(ProcessId::of(i32::try_from(id).unwrap()).is_some_and(|agent| agent.is_alive()));
}
