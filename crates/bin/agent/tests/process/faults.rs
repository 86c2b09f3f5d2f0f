//! SIGKILL at every step of an attempt. After every fault the host ends on the release or on its own prior (invariant
//! 2). The boot default never names a closure that was not verified (invariant 3).

use std::time::{Duration, Instant};

use crate::rig::runner;
use crate::{AgentRig, LATE, quick};
use slipway_domain::{AttemptPhase, StepState};

/// How an attempt ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AttemptEnd {
    OnTheRelease,
    OnThePrior,
}

/// Kills the agent at the place, starts it again, and looks how the host ends.
fn kill_at(place: &str, prepare: impl FnOnce(&AgentRig), ends: AttemptEnd) {
    let mut rig = AgentRig::new();
    prepare(&rig);
    rig.plane.release(&rig.v2, quick());
    let agent = rig.agent_with(&[("SLIPWAY_FAILPOINT", place)]);
    agent.died();
    let _agent = rig.agent();
    let v2 = rig.v2.clone();
    match ends {
        AttemptEnd::OnTheRelease => {
            rig.plane.reach(StepState::Committed);
            rig.assert_on(&v2, "v2");
            assert_eq!(rig.count("test v2"), 1, "{:?}", rig.log());
            rig.assert_boot_default_was_always_proven(Some(&v2));
        }
        AttemptEnd::OnThePrior => {
            rig.plane.reach(StepState::Reverted);
            let v1 = rig.v1.clone();
            rig.assert_on(&v1, "v1");
            rig.assert_boot_default_was_always_proven(None);
        }
    }
    rig.eventually("everything is disarmed", AgentRig::is_quiet);
    assert_eq!(rig.journal().unsettled_id(), None);
}

fn good(_: &AgentRig) {}

fn sick(rig: &AgentRig) {
    rig.sicken("v2");
}

macro_rules! invariants_2_and_3_hold_when_killed_at {
    ($($name:ident: $place:literal, $prepare:expr => $ends:ident;)+) => {
        $(#[test]
        fn $name() {
            kill_at($place, $prepare, AttemptEnd::$ends);
        })+
    };
}

invariants_2_and_3_hold_when_killed_at! {
    invariants_2_and_3_killed_with_the_activation_written: "activating-written", good => OnThePrior;
    invariants_2_and_3_killed_with_the_deadman_armed: "deadman-armed", good => OnThePrior;
    invariants_2_and_3_killed_with_the_switch_started: "switch-started", good => OnTheRelease;
    invariants_2_and_3_killed_with_the_switch_ended: "activated", good => OnTheRelease;
    invariants_2_and_3_killed_with_verifying_written: "verifying-written", good => OnTheRelease;
    invariants_2_and_3_killed_with_verified_written: "verified-written", good => OnTheRelease;
    invariants_2_and_3_killed_with_committing_written: "committing-written", good => OnTheRelease;
    invariants_2_and_3_killed_with_the_profile_moved: "profile-moved", good => OnTheRelease;
    invariants_2_and_3_killed_with_the_boot_job_started: "job-started", good => OnTheRelease;
    invariants_2_and_3_killed_with_the_boot_default_moved: "boot-moved", good => OnTheRelease;
    invariants_2_and_3_killed_with_the_deadman_disarmed: "deadman-disarmed", good => OnTheRelease;
    invariants_2_and_3_killed_with_committed_written: "committed-written", good => OnTheRelease;
    invariants_2_and_3_killed_with_the_revert_begun: "reverting", sick => OnThePrior;
    invariants_2_and_3_killed_with_the_revert_job_started: "job-started", sick => OnThePrior;
    invariants_2_and_3_killed_with_the_prior_switched: "prior-switched", sick => OnThePrior;
    invariants_2_and_3_killed_with_the_prior_back: "prior-back", sick => OnThePrior;
    invariants_2_and_3_killed_with_reverted_written: "reverted-written", sick => OnThePrior;
}

/// A committed host that is told to go back is killed with the profile back and the boot loader not.
#[test]
fn invariant_2_killed_with_the_profile_of_a_committed_attempt_back() {
    let rig = AgentRig::new();
    rig.plane.release(&rig.v2, quick());
    let agent = rig.agent();
    rig.plane.reach(StepState::Committed);
    agent.kill();
    rig.plane.abort();
    rig.agent_with(&[("SLIPWAY_FAILPOINT", "profile-back")]).died();
    assert_eq!(rig.boot().as_ref(), Some(&rig.v2));
    let _agent = rig.agent();
    rig.plane.reach(StepState::Reverted);
    rig.assert_on(&rig.v1, "v1");
}

/// Fifty kills at times that nobody chose, through good and bad releases.
#[test]
fn invariants_2_and_3_killed_again_and_again() {
    let mut rig = AgentRig::new();
    // Slow enough that the kills come in between.
    for action in ["test", "boot"] {
        for version in ["v1", "v2"] {
            rig.knob(action, version, "sleep 0.3");
        }
    }
    rig.plane.release(&rig.v2, quick());
    let began = Instant::now();
    let mut kills: u64 = 0;
    while kills < 50 && began.elapsed() < Duration::from_secs(45) {
        let agent = rig.agent();
        std::thread::sleep(Duration::from_millis(30 + kills * 37 % 400));
        agent.kill();
        kills += 1;
    }
    let _agent = rig.agent();
    let settled = |step| matches!(step, Some(StepState::Committed | StepState::Reverted));
    rig.eventually("the end", |rig| settled(rig.plane.step()));
    if rig.plane.step() == Some(StepState::Committed) {
        let v2 = rig.v2.clone();
        rig.assert_on(&v2, "v2");
        rig.assert_boot_default_was_always_proven(Some(&v2));
    } else {
        let v1 = rig.v1.clone();
        rig.assert_on(&v1, "v1");
        rig.assert_boot_default_was_always_proven(None);
    }
    rig.eventually("everything is disarmed", AgentRig::is_quiet);
}

/// The agent stays dead: its dead-man puts the prior back by itself, in the middle of the switch and while verifying.
#[test]
fn the_deadman_puts_the_prior_back_when_the_agent_stays_dead() {
    for phase in [AttemptPhase::Activating, AttemptPhase::Verified] {
        let mut rig = AgentRig::new();
        let mut strategy = quick();
        strategy.limits.deadman_seconds = LATE;
        if phase == AttemptPhase::Activating {
            rig.knob("test", "v2", "sleep 1000");
        }
        rig.plane.release_until(&rig.v2, strategy, StepState::Verifying);
        let agent = rig.agent();
        rig.plane.hear(phase);
        rig.eventually("the switch began", |rig| rig.count("test v2") == 1);
        agent.kill();
        assert!(!rig.is_quiet());
        rig.eventually("the prior is back", |rig| {
            rig.live().as_ref() == Some(&rig.v1) && rig.is_quiet()
        });
        assert_eq!(rig.service_version(), "v1");
        let v1 = rig.v1.clone();
        rig.assert_boot_default_was_always_proven(None);
        // The agent that comes back agrees, and says so.
        let _agent = rig.agent();
        rig.plane.reach(StepState::Reverted);
        assert!(
            rig.plane.message().contains("dead-man"),
            "{}",
            rig.plane.message()
        );
        rig.assert_on(&v1, "v1");
    }
}

#[test]
fn the_deadman_does_nothing_after_the_commit() {
    let rig = AgentRig::new();
    let attempt = rig.plane.release(&rig.v2, quick());
    let agent = rig.agent();
    rig.plane.reach(StepState::Committed);
    // The watchdog itself is gone.
    rig.eventually("disarmed", AgentRig::is_quiet);
    agent.kill();
    // One that could not be disarmed would do this.
    let output = rig.output(&["deadman", &attempt.to_string(), "0", "--prior", rig.v1.as_str()]);
    assert!(output.status.success(), "{output:?}");
    let output = rig.output(&["revert", &attempt.to_string()]);
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap_or_default();
    assert!(
        printed.contains("nothing to do: the attempt is committed"),
        "{printed}"
    );
    rig.assert_on(&rig.v2, "v2");
}

/// A boot id that is not the journal's is a reboot; the machine came up with its boot default.
#[test]
fn a_reboot_before_the_commit_ends_on_the_prior() {
    let mut rig = AgentRig::new();
    rig.plane.release_until(&rig.v2, quick(), StepState::Verifying);
    let agent = rig.agent();
    rig.plane.hear(AttemptPhase::Verified);
    agent.kill();
    // What a power cut leaves: no process, the journal, and the boot default live.
    rig.end_helpers();
    let script = rig.v1.as_path().join("bin/switch-to-configuration");
    assert!(
        std::process::Command::new(script)
            .arg("test")
            .output()
            .is_ok_and(|output| output.status.success())
    );
    rig.edit_journal(|journal| {
        journal.current.as_mut().unwrap().boot_id = "00000000-0000-0000-0000-000000000000".to_owned();
    });
    let tests_before = rig.count("test v1");
    let _agent = rig.agent();
    rig.plane.reach(StepState::Reverted);
    assert!(
        rig.plane.message().contains("rebooted"),
        "{}",
        rig.plane.message()
    );
    let v1 = rig.v1.clone();
    rig.assert_on(&v1, "v1");
    // It booted into the prior: nothing was to be switched.
    assert_eq!(rig.count("test v1"), tests_before);
    rig.assert_boot_default_was_always_proven(None);
}

/// The supervisor bounds the script; when it is killed, the agent does. A unit ends with its supervisor at once.
#[test]
fn a_switch_script_whose_supervisor_was_killed_keeps_its_bound() {
    let rig = AgentRig::new();
    rig.knob("test", "v2", "sleep 1000");
    let mut strategy = quick();
    strategy.limits.activate_seconds = 3;
    rig.plane.release(&rig.v2, strategy);
    let _agent = rig.agent();
    rig.eventually("the switch began", |rig| rig.count("test v2") == 1);
    rig.kill_supervisor("activate");
    rig.plane.reach(StepState::Reverted);
    let message = rig.plane.message();
    let told = match runner().as_str() {
        "systemd" => "was cut short",
        _ => "lost its supervisor and did not end within 3 s",
    };
    assert!(message.contains(told), "{message}");
    rig.assert_on(&rig.v1, "v1");
    rig.eventually("the script is gone", AgentRig::is_quiet);
}

/// The same for the way back.
#[test]
fn a_revert_script_whose_supervisor_was_killed_keeps_its_bound() {
    let rig = AgentRig::new();
    rig.sicken("v2");
    rig.knob("test", "v1", "sleep 1000");
    let mut strategy = quick();
    strategy.limits.revert_seconds = 3;
    strategy.limits.activate_seconds = 3;
    rig.plane.release(&rig.v2, strategy);
    let _agent = rig.agent();
    rig.eventually("going back began", |rig| rig.count("test v1") == 2);
    rig.clear_knob("test", "v1");
    rig.kill_supervisor("revert");
    // The second try; it comes after the bound of the first, not a minute later.
    rig.plane.reach(StepState::Reverted);
    rig.assert_on(&rig.v1, "v1");
}

/// A later process finds a script by the note of its process. No script runs without such a note.
#[test]
fn a_script_whose_supervisor_is_killed_before_it_is_noted_never_runs() {
    for place in ["gate-started", "script-noted"] {
        let rig = AgentRig::new();
        rig.knob("test", "v2", "sleep 1000");
        rig.plane.release(&rig.v2, quick());
        // The failpoint is in the supervisor, which inherits it.
        let agent = rig.agent_with(&[("SLIPWAY_FAILPOINT", place)]);
        rig.eventually("the supervisor is killed", |rig| {
            rig.supervisor("activate")
                .is_some_and(|supervisor| !supervisor.is_alive())
        });
        agent.kill();
        let _agent = rig.agent();
        rig.plane.reach(StepState::Reverted);
        let message = rig.plane.message();
        assert!(message.contains("was cut short"), "{place}: {message}");
        rig.assert_on(&rig.v1, "v1");
        rig.eventually("nothing of it is left", AgentRig::is_quiet);
        assert_eq!(rig.count("test v2"), 0, "{place}");
    }
}

/// The dead-man is tried again until it has worked.
#[test]
fn a_deadman_that_could_not_act_tries_again() {
    let rig = AgentRig::new();
    let mut strategy = quick();
    strategy.limits.deadman_seconds = 10;
    rig.plane.release(&rig.v2, strategy);
    rig.agent_with(&[("SLIPWAY_FAILPOINT", "switch-started")]).died();
    let (lock, away) = (rig.state_dir().join("journal.lock"), rig.state_dir().join("away"));
    std::fs::rename(&lock, &away).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let attempt = rig.journal().current.unwrap().id;
    rig.eventually("it fails", |rig| {
        rig.deadman_said(attempt).contains("cannot lock")
    });
    rig.eventually("the switch ends", |rig| rig.live().as_ref() == Some(&rig.v2));
    std::fs::remove_dir(&lock).unwrap();
    std::fs::rename(&away, &lock).unwrap();
    rig.eventually("the prior is back", |rig| {
        rig.live().as_ref() == Some(&rig.v1) && rig.is_quiet()
    });
    rig.assert_on(&rig.v1, "v1");
}
