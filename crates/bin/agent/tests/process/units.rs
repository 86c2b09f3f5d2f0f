//! Units that fail for reasons of their own. A program of the test plays systemd's part, since the machine that runs
//! the tests may have no systemd.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use slipway_domain::StepState;

use crate::rig::{AgentProcess, runner};
use crate::{AgentRig, quick};

/// The failed units of one host.
struct TestUnits {
    /// With a systemd of the machine's own, what fails for one test fails for all.
    alone: Option<File>,
    ours: String,
}

impl TestUnits {
    fn new(rig: &AgentRig) -> Self {
        let ours = rig.nix.dir().file_name().unwrap().to_string_lossy();
        let ours = ours.to_lowercase();
        let alone = (runner() == "systemd").then(|| {
            let lock = File::create(std::env::temp_dir().join("slipway-test-units.lock")).unwrap();
            lock.lock().unwrap();
            lock
        });
        Self { alone, ours }
    }

    fn name(&self, unit: &str) -> String {
        format!("{unit}-{}.service", self.ours)
    }

    /// A host whose systemd lists those units as failed that did.
    fn agent(&self, rig: &AgentRig) -> AgentProcess {
        if self.alone.is_some() {
            return rig.agent();
        }
        let folder = rig.nix.dir().join("programs");
        fs::create_dir(&folder).unwrap();
        let program = folder.join("systemctl");
        let list = rig.host().join("failed");
        fs::write(&list, "[]").unwrap();
        fs::write(&program, format!("#!/bin/sh\ncat {}\n", list.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let path = std::env::var_os("PATH")
            .unwrap_or_default()
            .into_string()
            .unwrap();
        rig.agent_with(&[("PATH", &format!("{}:{path}", folder.display()))])
    }

    /// Shell lines after which the unit has failed.
    fn fail(&self, rig: &AgentRig, unit: &str) -> String {
        let unit = self.name(unit);
        if self.alone.is_some() {
            return format!(
                "systemctl reset-failed {unit} 2>/dev/null || true
                 systemd-run --quiet --wait --unit={unit} false || true"
            );
        }
        let list = rig.host().join("failed");
        format!(r#"echo '[{{"unit":"{unit}"}}]' > {}"#, list.display())
    }

    /// A script that does its work, and ends as NixOS' does where a unit is failed.
    fn fail_with(&self, rig: &AgentRig, version: &str, unit: &str) {
        let lines = self.fail(rig, unit);
        let name = self.name(unit);
        rig.knob(
            "test",
            version,
            &format!("ends() {{\n{lines}\necho warning: the following units failed: {name} >&2\nexit 4\n}}\ntrap ends EXIT"),
        );
    }
}

impl Drop for TestUnits {
    fn drop(&mut self) {
        if self.alone.is_some() {
            let _ = Command::new("systemctl")
                .args(["reset-failed", &format!("*-{}.service", self.ours)])
                .status();
        }
    }
}

#[test]
fn units_that_had_failed_before_do_not_count_against_a_release() {
    let rig = AgentRig::new();
    let units = TestUnits::new(&rig);
    let _agent = units.agent(&rig);
    let failed = Command::new("sh")
        .args(["-c", &units.fail(&rig, "acme")])
        .status();
    assert!(failed.unwrap().success());
    units.fail_with(&rig, "v2", "acme");
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Committed);
    rig.assert_on(&rig.v2, "v2");
}

/// The unit fails on the prior as well: the host is on its prior, healthy, and not stuck.
#[test]
fn a_unit_that_fails_on_the_prior_too_leaves_nobody_stuck() {
    let rig = AgentRig::new();
    let units = TestUnits::new(&rig);
    let _agent = units.agent(&rig);
    for version in ["v1", "v2"] {
        units.fail_with(&rig, version, "acme");
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
    let rig = AgentRig::new();
    let units = TestUnits::new(&rig);
    let _agent = units.agent(&rig);
    rig.sicken("v2");
    rig.sicken("v1");
    units.fail_with(&rig, "v1", "web");
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
    let rig = AgentRig::new();
    let units = TestUnits::new(&rig);
    let _agent = units.agent(&rig);
    rig.sicken("v2");
    rig.knob("test", "v1", "trap 'exit 2' EXIT");
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Reverted);
    let message = rig.plane.message();
    assert!(message.contains("exited with status 2"), "{message}");
    rig.assert_on(&rig.v1, "v1");
    assert_eq!(rig.count("test v1"), 3);
}
