//! Nothing is run but what passes the door, whatever the control plane says.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use slipway_domain::{AttemptPhase, StepState, StorePath};
use slipway_host::testing::ClosureSpec;

use crate::{AgentRig, quick};

/// A folder that looks like a system and leaves a trace when it is run.
fn trap(rig: &AgentRig, folder: &str) -> StorePath {
    let path: StorePath = format!("{folder}/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-trap")
        .parse()
        .unwrap();
    let bin = path.as_path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let script = bin.join("switch-to-configuration");
    fs::write(
        &script,
        format!("#!/bin/sh\ntouch {}/sprung\n", rig.host().display()),
    )
    .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn sprung(rig: &AgentRig) -> bool {
    rig.host().join("sprung").exists()
}

/// Told to go back to `prior` in an attempt that this host never heard of.
fn stuck_with(rig: &AgentRig, prior: &StorePath) -> String {
    rig.plane.take_over(&rig.v2, prior, StepState::Reverting);
    rig.plane.hear(AttemptPhase::Stuck);
    rig.plane.message()
}

#[test]
fn a_revert_runs_no_file_outside_the_store() {
    let rig = AgentRig::new();
    let _agent = rig.agent();
    let outside = trap(&rig, &rig.nix.dir().join("elsewhere").display().to_string());
    let message = stuck_with(&rig, &outside);
    assert!(message.contains("is not in the store"), "{message}");
    assert!(!sprung(&rig));
    rig.assert_on(&rig.v1, "v1");
}

#[test]
fn a_revert_runs_no_folder_that_only_lies_in_the_store() {
    let rig = AgentRig::new();
    let _agent = rig.agent();
    let planted = trap(&rig, rig.nix.store_dir().as_str());
    let message = stuck_with(&rig, &planted);
    assert!(message.contains("this host knows no such system"), "{message}");
    // Not even when root once put it into the profile: Nix does not know it.
    std::os::unix::fs::symlink(planted.as_path(), rig.profile().with_file_name("system-99-link")).unwrap();
    rig.eventually("it says why", |rig| {
        rig.plane.message().contains("is not in the Nix database")
    });
    assert!(!sprung(&rig));
    rig.assert_on(&rig.v1, "v1");
}

/// Signed and all: but nobody on this host ever went there, and the control plane alone cannot send it.
#[test]
fn a_revert_runs_no_system_that_this_host_does_not_know() {
    let rig = AgentRig::new();
    let _agent = rig.agent();
    let message = stuck_with(&rig, &rig.v2);
    assert!(message.contains("this host knows no such system"), "{message}");
    assert_eq!(rig.count("test v2"), 0);
    rig.assert_on(&rig.v1, "v1");
    // A release goes through over it, and goes back to what was live.
    rig.sicken("v2");
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Reverted);
    rig.assert_on(&rig.v1, "v1");
}

/// A generation of the profile is this host's own word, also without a journal.
#[test]
fn a_revert_to_a_generation_of_the_profile_works_without_a_journal() {
    let rig = AgentRig::new();
    let agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Committed);
    agent.kill();
    fs::remove_file(rig.state_dir().join("journal.json")).unwrap();
    let _agent = rig.agent();
    rig.plane.take_over(&rig.v2, &rig.v1, StepState::Reverting);
    rig.plane.reach(StepState::Reverted);
    rig.assert_on(&rig.v1, "v1");
}

/// What a local user puts into the store is no release: neither by its content nor by building it.
#[test]
fn an_unsigned_closure_that_is_in_the_store_already_is_not_activated() {
    let rig = AgentRig::new();
    let _agent = rig.agent();
    let folder = ClosureSpec::new("v3", &rig.host()).write(rig.nix.dir());
    for closure in [rig.nix.add_unsigned(&folder), rig.nix.build(&folder)] {
        rig.plane.release(&closure, quick());
        rig.plane.reach(StepState::Reverted);
        let message = rig.plane.message();
        assert!(
            message.starts_with(&format!("{closure} lacks a signature by a trusted key")),
            "{message}"
        );
        assert_eq!(rig.count("test v3"), 0);
        rig.assert_on(&rig.v1, "v1");
    }
}
