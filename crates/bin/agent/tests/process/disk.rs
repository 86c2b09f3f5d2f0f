//! A full disk under the state folder, real and small: a tmpfs in a mount namespace of the test's own.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use slipway_domain::{AttemptPhase, StepState};

use crate::{AgentRig, LATE, quick};

const INSIDE: &str = "SLIPWAY_TEST_IN_NAMESPACE";

/// Runs the test `name` again in a mount namespace, as root there. True inside.
fn in_namespace(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut unshare = Command::new("unshare");
    unshare.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    let output = unshare
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        // A unit of the machine's own systemd would see another disk.
        .env("SLIPWAY_TEST_RUNNER", "process")
        .output()
        .unwrap();
    let printed =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}"
    );
    false
}

/// A rig whose state folder is a disk of 2 MiB.
fn rig() -> AgentRig {
    let mut rig = AgentRig::new();
    let state = rig.state_dir();
    fs::create_dir_all(&state).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs"])
        .arg(&state)
        .status()
        .unwrap();
    assert!(mounted.success());
    rig.mounted = true;
    rig
}

/// Takes all the room there is.
fn fill(dir: &Path) -> PathBuf {
    let path = dir.join(format!("ballast-{}", fs::read_dir(dir).unwrap().count()));
    let mut file = File::create(&path).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    path
}

/// From now on nothing can be written to the state folder.
fn make_read_only(rig: &mut AgentRig) {
    let state = rig.state_dir();
    for arguments in [["--bind"].as_slice(), &["-o", "remount,bind,ro"]] {
        let mounted = Command::new("mount")
            .args(arguments)
            .arg(&state)
            .args((arguments == ["--bind"]).then_some(&state))
            .status()
            .unwrap();
        assert!(mounted.success());
    }
    rig.mounted = true;
    let refused = fs::write(state.join("x"), "").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}

/// The way back needs no byte written: by the agent's own evidence, when told to, and by one that starts on such a disk.
#[test]
fn a_read_only_state_folder_keeps_no_agent_from_going_back() {
    if !in_namespace("disk::a_read_only_state_folder_keeps_no_agent_from_going_back") {
        return;
    }
    for way in ["sick", "told", "started there"] {
        let mut rig = AgentRig::new();
        let mut agent = rig.agent();
        rig.plane.release_until(&rig.v2, quick(), StepState::Verifying);
        rig.plane.hear(AttemptPhase::Verified);
        make_read_only(&mut rig);
        match way {
            "sick" => rig.sicken("v2"),
            "told" => rig.plane.abort(),
            _ => {
                agent.kill();
                rig.sicken("v2");
                agent = rig.agent();
            }
        }
        rig.plane.reach(StepState::Reverted);
        assert_eq!(rig.live().as_ref(), Some(&rig.v1), "{way}");
        rig.assert_on(&rig.v1, "v1");
        let trouble = rig
            .plane
            .state()
            .observations
            .last()
            .unwrap()
            .journal_trouble
            .clone();
        assert!(
            trouble.is_some_and(|trouble| trouble.contains("Read-only")),
            "{way}"
        );
        drop(agent);
    }
}

#[test]
fn a_read_only_state_folder_keeps_no_deadman_from_going_back() {
    if !in_namespace("disk::a_read_only_state_folder_keeps_no_deadman_from_going_back") {
        return;
    }
    let mut rig = AgentRig::new();
    let mut strategy = quick();
    strategy.limits.deadman_seconds = LATE;
    rig.plane.release_until(&rig.v2, strategy, StepState::Verifying);
    let agent = rig.agent();
    rig.plane.hear(AttemptPhase::Verified);
    make_read_only(&mut rig);
    agent.kill();
    rig.eventually("the prior is back", |rig| {
        rig.live().as_ref() == Some(&rig.v1) && rig.is_quiet()
    });
    rig.assert_on(&rig.v1, "v1");
}

/// A journal that is damaged on a read-only disk: a running agent goes by its memory, a dead-man by its command line.
#[test]
fn a_damaged_journal_on_a_read_only_disk_keeps_nobody_from_going_back() {
    if !in_namespace("disk::a_damaged_journal_on_a_read_only_disk_keeps_nobody_from_going_back") {
        return;
    }
    for agent_lives in [true, false] {
        let mut rig = AgentRig::new();
        let mut strategy = quick();
        strategy.limits.deadman_seconds = if agent_lives { 300 } else { LATE };
        rig.plane.release_until(&rig.v2, strategy, StepState::Verifying);
        let agent = rig.agent();
        rig.plane.hear(AttemptPhase::Verified);
        if !agent_lives {
            agent.signal(rustix::process::Signal::STOP);
        }
        fs::write(rig.state_dir().join("journal.json"), "{").unwrap();
        make_read_only(&mut rig);
        if agent_lives {
            rig.plane.abort();
            rig.plane.reach(StepState::Reverted);
        } else {
            agent.kill();
            rig.eventually("the prior is back", |rig| rig.live().as_ref() == Some(&rig.v1));
        }
        rig.assert_on(&rig.v1, "v1");
    }
}

#[test]
fn a_full_disk_keeps_an_attempt_from_beginning() {
    if !in_namespace("disk::a_full_disk_keeps_an_attempt_from_beginning") {
        return;
    }
    let rig = rig();
    let _agent = rig.agent();
    rig.eventually("it serves", |rig| !rig.plane.state().observations.is_empty());
    let ballast = fill(&rig.state_dir());
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Reverted);
    let message = rig.plane.message();
    assert!(
        message.contains("the attempt was not begun: the disk under"),
        "{message}"
    );
    assert!(message.contains("is full: free some space"), "{message}");
    rig.assert_on(&rig.v1, "v1");
    assert_eq!(rig.log().len(), 2);
    // With room again, the next one goes through.
    fs::remove_file(ballast).unwrap();
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Committed);
    rig.assert_on(&rig.v2, "v2");
}

#[test]
fn a_disk_that_fills_between_staging_and_activating_costs_nothing() {
    if !in_namespace("disk::a_disk_that_fills_between_staging_and_activating_costs_nothing") {
        return;
    }
    let rig = rig();
    let _agent = rig.agent();
    rig.plane.release_until(&rig.v2, quick(), StepState::Staged);
    rig.plane.hear(AttemptPhase::Staged);
    // The reserve as well.
    fs::remove_file(rig.state_dir().join("reserve")).unwrap();
    fill(&rig.state_dir());
    rig.plane.go_on();
    rig.plane.reach(StepState::Reverted);
    let message = rig.plane.message();
    assert!(message.contains("the activation was not begun"), "{message}");
    rig.assert_on(&rig.v1, "v1");
    assert_eq!(rig.count("test v2"), 0);
}

#[test]
fn a_disk_that_fills_while_verifying_stops_neither_commit_nor_revert() {
    if !in_namespace("disk::a_disk_that_fills_while_verifying_stops_neither_commit_nor_revert") {
        return;
    }
    for sick in [false, true] {
        let rig = rig();
        let _agent = rig.agent();
        rig.plane.release_until(&rig.v2, quick(), StepState::Verifying);
        rig.plane.hear(AttemptPhase::Verifying);
        fill(&rig.state_dir());
        if sick {
            rig.sicken("v2");
            rig.plane.reach(StepState::Reverted);
            rig.assert_on(&rig.v1, "v1");
            // Written down, from the reserve.
            assert_eq!(rig.journal().unsettled_id(), None);
        } else {
            rig.plane.go_on();
            rig.plane.reach(StepState::Committed);
            rig.assert_on(&rig.v2, "v2");
        }
    }
}

/// Even the reserve is taken: nothing can be written any more.
#[test]
fn a_disk_without_a_byte_left_still_ends_on_the_prior() {
    if !in_namespace("disk::a_disk_without_a_byte_left_still_ends_on_the_prior") {
        return;
    }
    let mut rig = rig();
    let agent = rig.agent();
    rig.plane.release_until(&rig.v2, quick(), StepState::Verifying);
    rig.plane.hear(AttemptPhase::Verified);
    fs::remove_file(rig.state_dir().join("reserve")).unwrap();
    let ballast = fill(&rig.state_dir());
    // It cannot be committed, and says so.
    rig.plane.go_on();
    rig.eventually("the trouble is told", |rig| {
        rig.plane.message().contains("cannot commit yet")
    });
    assert_eq!(rig.profile_target().as_ref(), Some(&rig.v1));
    // It can be taken back.
    rig.plane.abort();
    rig.plane.reach(StepState::Reverted);
    let v1 = rig.v1.clone();
    rig.assert_on(&v1, "v1");
    // An agent that starts on that disk comes to the same end.
    agent.kill();
    let _agent = rig.agent();
    std::thread::sleep(std::time::Duration::from_secs(2));
    fs::remove_file(ballast).unwrap();
    rig.eventually("it is written down", |rig| rig.journal().unsettled_id().is_none());
    rig.assert_on(&v1, "v1");
    rig.assert_boot_default_was_always_proven(None);
}
