//! Units that fail for reasons of their own. systemd's part is played by a program of the test: the machine that tests run
//! on need not have one.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use slipway_domain::StepState;

use crate::rig::Agent;
use crate::{Rig, quick};

/// A host whose `systemctl` lists the units in the file `failed` as failed.
fn agent(rig: &Rig) -> Agent {
    let folder = rig.nix.dir().join("programs");
    fs::create_dir(&folder).unwrap();
    let program = folder.join("systemctl");
    let list = rig.host().join("failed");
    fs::write(&list, "").unwrap();
    fs::write(&program, format!("#!/bin/sh\ncat {}\n", list.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var_os("PATH")
        .unwrap_or_default()
        .into_string()
        .unwrap();
    rig.agent_with(&[("PATH", &format!("{}:{path}", folder.display()))])
}

/// Lines of a script that does its work, and ends as NixOS' does where units are failed.
fn fail_units(rig: &Rig, version: &str, units: &[&str]) {
    let lines: Vec<String> = units
        .iter()
        .map(|unit| format!("{unit} loaded failed failed It\\n"))
        .collect();
    let list = lines.concat();
    let failed = rig.host().join("failed");
    rig.knob(
        "test",
        version,
        &format!(
            "trap 'printf \"{list}\" > {}; echo warning: the following units failed: {} >&2; exit 4' EXIT",
            failed.display(),
            units.join(", ")
        ),
    );
}

#[test]
fn units_that_had_failed_before_do_not_count_against_a_release() {
    let rig = Rig::new();
    let _agent = agent(&rig);
    fs::write(
        rig.host().join("failed"),
        "acme-x.service loaded failed failed It\n",
    )
    .unwrap();
    fail_units(&rig, "v2", &["acme-x.service"]);
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Committed);
    rig.assert_on(&rig.v2, "v2");
}

/// The unit fails on the prior as well: the host is on its prior, healthy, and not stuck.
#[test]
fn a_unit_that_fails_on_the_prior_too_leaves_nobody_stuck() {
    let rig = Rig::new();
    let _agent = agent(&rig);
    for version in ["v1", "v2"] {
        fail_units(&rig, version, &["acme-x.service"]);
    }
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Reverted);
    let message = rig.plane.message();
    assert!(message.contains("exited with status 4"), "{message}");
    assert!(message.contains("live and healthy, though"), "{message}");
    rig.assert_on(&rig.v1, "v1");
    assert_eq!(rig.count("test v1"), 2, "one try is enough");
}

/// Exit 4 is no excuse for a prior that does not work.
#[test]
fn a_prior_with_failed_units_and_failing_checks_is_stuck() {
    let rig = Rig::new();
    let _agent = agent(&rig);
    rig.sicken("v2");
    rig.sicken("v1");
    fail_units(&rig, "v1", &["web.service"]);
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Stuck);
    let message = rig.plane.message();
    assert!(message.contains("exited with status 4"), "{message}");
    assert!(message.contains("check service"), "{message}");
    // Healthy again, it is back.
    fs::remove_file(rig.host().join("sick-v1")).unwrap();
    rig.plane.reach(StepState::Reverted);
    rig.assert_on(&rig.v1, "v1");
}

/// A script that fails in another way is tried again; what is live and healthy in the end is not called stuck.
#[test]
fn a_live_and_healthy_prior_whose_script_fails_is_reverted() {
    let rig = Rig::new();
    let _agent = agent(&rig);
    rig.sicken("v2");
    rig.knob("test", "v1", "trap 'exit 2' EXIT");
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Reverted);
    let message = rig.plane.message();
    assert!(message.contains("exited with status 2"), "{message}");
    rig.assert_on(&rig.v1, "v1");
    assert_eq!(rig.count("test v1"), 3);
}
