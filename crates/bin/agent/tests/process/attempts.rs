//! Whole attempts by a real agent process: good, bad, and told otherwise.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::{AgentRig, quick};
use slipway_domain::{AttemptPhase, StepState};
use slipway_host::job::{JobExit, JobFiles, JobState};

#[test]
fn a_release_is_committed_and_its_successor_too() {
    let mut rig = AgentRig::new();
    let _agent = rig.agent();
    let attempt = rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Committed);
    let v2 = rig.v2.clone();
    rig.assert_on(&v2, "v2");
    rig.assert_boot_default_was_always_proven(Some(&v2));
    assert_eq!(rig.log()[2..], ["test v2", "boot v2"]);
    let report = rig.plane.report().expect("a report");
    assert_eq!((report.attempt, report.prior), (attempt, Some(rig.v1.clone())));
    rig.eventually("the watchdog is gone", AgentRig::is_quiet);

    // A, B, A: v1 is activated again.
    rig.plane.release(&rig.v1, quick());
    rig.plane.reach(StepState::Committed);
    rig.assert_on(&rig.v1, "v1");
    assert_eq!(rig.count("test v1"), 2);

    // And the same once more: an unchanged closure.
    rig.plane.release(&rig.v1, quick());
    rig.plane.reach(StepState::Committed);
    rig.assert_on(&rig.v1, "v1");
    // Both stay where a collection cannot take them.
    rig.nix.collect_garbage();
    rig.assert_on(&rig.v1, "v1");
    assert!(rig.v2.as_path().exists());
}

#[test]
fn a_sick_release_is_taken_back_by_the_agent_itself() {
    let mut rig = AgentRig::new();
    rig.sicken("v2");
    let _agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Reverted);
    let message = rig.plane.message();
    assert!(
        message.starts_with("check service: /bin/sh exited with status 1; went back to "),
        "{message}"
    );
    let v1 = rig.v1.clone();
    rig.assert_on(&v1, "v1");
    assert_eq!(rig.count("boot v2") + rig.count("boot v1"), 1, "{:?}", rig.log());
    rig.assert_boot_default_was_always_proven(None);
}

#[test]
fn a_switch_that_fails_hangs_or_lies_is_taken_back_with_its_last_words() {
    for (lines, expected) in [
        (
            "echo cannot do this >&2; exit 4",
            "exited with status 4: cannot do this",
        ),
        (
            "echo so far; sleep 1000",
            "did not end within 2 s and was killed: so far",
        ),
        ("kill -SEGV $$", "was killed by signal 11"),
        ("exit 0", "but the live link names"),
    ] {
        let rig = AgentRig::new();
        rig.knob("test", "v2", lines);
        let _agent = rig.agent();
        let mut strategy = quick();
        strategy.limits.activate_seconds = 2;
        rig.plane.release(&rig.v2, strategy);
        rig.plane.reach(StepState::Reverted);
        let message = rig.plane.message();
        assert!(message.contains(expected), "{message}");
        rig.assert_on(&rig.v1, "v1");
    }
}

#[test]
fn an_unfit_closure_touches_nothing() {
    let rig = AgentRig::new();
    let _agent = rig.agent();
    let no_script = rig.closure("v3", |spec| spec.script_mode = None);
    let bad_checks = rig.closure("v4", |spec| spec.checks = Some("{}".to_owned()));
    let bad_hooks = rig.closure("v5", |spec| {
        spec.hooks = Some(r#"{"before_activate":[{"name":"a","command":["a"]}]}"#.to_owned());
    });
    for (closure, expected) in [
        (
            &bad_hooks,
            "hooks.json is malformed: before_activate: hook `a`: command must be a list",
        ),
        (&no_script, "bin/switch-to-configuration is missing"),
        (&bad_checks, "checks.json is malformed: missing field `checks`"),
    ] {
        rig.plane.release(closure, quick());
        rig.plane.reach(StepState::Reverted);
        let message = rig.plane.message();
        assert!(
            message.starts_with(closure.as_str()) && message.contains(expected),
            "{message}"
        );
    }
    rig.assert_on(&rig.v1, "v1");
    assert_eq!(rig.log().len(), 2);
}

#[test]
fn a_host_without_a_live_system_is_not_activated() {
    let rig = AgentRig::new();
    fs::remove_file(rig.host().join("live")).expect("the link is there");
    let _agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Reverted);
    let message = rig.plane.message();
    assert!(message.contains("no live system to go back to"), "{message}");
    assert_eq!(rig.count("test v2"), 0);
}

#[test]
fn an_abort_while_the_switch_hangs_goes_back_at_once() {
    let rig = AgentRig::new();
    rig.knob("test", "v2", "sleep 1000");
    let _agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    rig.plane.hear(AttemptPhase::Activating);
    rig.eventually("the script runs", |rig| rig.count("test v2") == 1);
    let began = Instant::now();
    rig.plane.abort();
    rig.plane.reach(StepState::Reverted);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    rig.assert_on(&rig.v1, "v1");
    rig.eventually("the script is gone", AgentRig::is_quiet);
}

#[test]
fn a_switch_whose_supervisor_is_killed_is_taken_back() {
    let rig = AgentRig::new();
    rig.knob("test", "v2", "sleep 3");
    let _agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    rig.eventually("the script runs", |rig| rig.count("test v2") == 1);
    rig.kill_supervisor("activate");
    rig.plane.reach(StepState::Reverted);
    let message = rig.plane.message();
    assert!(message.contains("was cut short"), "{message}");
    rig.assert_on(&rig.v1, "v1");
}

/// Ends a script under supervision, and gives how it ended.
fn supervised(rig: &AgentRig, script: &[&str]) -> JobExit {
    let state = rig.state_dir();
    let options = ["supervise", "--name", "job", "--seconds", "60", "--state-dir"];
    let arguments = [&options, [state.to_str().unwrap(), "--"].as_slice(), script].concat();
    let _ = rig.output(&arguments);
    match JobFiles::open(&state).unwrap().state("job") {
        JobState::Ended(exit) => exit,
        state => panic!("{state:?}"),
    }
}

#[test]
fn a_script_that_cannot_be_started_is_told() {
    let exit = supervised(&AgentRig::new(), &["/no/such", "test"]);
    assert_eq!(
        exit.to_string(),
        "could not be started: /no/such: No such file or directory (os error 2)"
    );
}

/// The gate's channel is a socket; what we hold open ourselves comes from whoever started the test.
#[test]
fn a_script_gets_no_input_and_not_the_gates_channel() {
    let script = "readlink /proc/$$/fd/0; for fd in /proc/$$/fd/*; do readlink $fd; done; true";
    let exit = supervised(&AgentRig::new(), &["/bin/sh", "-c", script]);
    assert!(exit.is_success(), "{exit}");
    let open: Vec<&str> = exit.tail.lines().collect();
    assert_eq!(open[0], "/dev/null");
    let own = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let own: Vec<_> = own.filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
    let mut sockets = open.iter().filter(|file| file.starts_with("socket:"));
    assert!(
        sockets.all(|file| own.iter().any(|ours| ours.as_os_str() == *file)),
        "{open:?}"
    );
}

#[test]
fn a_committed_attempt_is_taken_back_when_told() {
    let rig = AgentRig::new();
    let _agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Committed);
    rig.plane.abort();
    rig.plane.reach(StepState::Reverted);
    rig.assert_on(&rig.v1, "v1");
}

/// deploy-rs goes one generation too far here.
#[test]
fn an_unchanged_closure_that_is_taken_back_stays() {
    let rig = AgentRig::new();
    let _agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Committed);
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Committed);
    rig.plane.abort();
    rig.plane.reach(StepState::Reverted);
    rig.assert_on(&rig.v2, "v2");
}

#[test]
fn a_stuck_host_says_so_goes_on_trying_and_mends() {
    let rig = AgentRig::new();
    rig.sicken("v2");
    rig.knob("test", "v1", "echo no >&2; exit 1");
    let _agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Stuck);
    let message = rig.plane.message();
    assert!(
        message.contains("switch-to-configuration test of") && message.contains("exited with status 1: no"),
        "{message}"
    );
    assert!(message.contains("check service"), "{message}");
    rig.clear_knob("test", "v1");
    rig.plane.reach(StepState::Reverted);
    rig.assert_on(&rig.v1, "v1");
}

/// Invariant 5.
#[test]
fn losing_the_control_plane_reverts_nothing() {
    let rig = AgentRig::new();
    let agent = rig.agent();
    rig.plane.release_until(&rig.v2, quick(), StepState::Verifying);
    rig.plane.hear(AttemptPhase::Verified);
    rig.plane.change(|state| state.refuse = Some(503));
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(rig.live().as_ref(), Some(&rig.v2));
    // Also when the agent is started in the middle of the outage.
    agent.kill();
    let _agent = rig.agent();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(rig.live().as_ref(), Some(&rig.v2));
    rig.plane.change(|state| state.refuse = None);
    rig.plane.go_on();
    rig.plane.reach(StepState::Committed);
    rig.assert_on(&rig.v2, "v2");
}

#[test]
fn a_token_that_is_refused_is_told_with_the_cure_and_never_shown() {
    let rig = AgentRig::new();
    rig.plane.change(|state| state.refuse = Some(401));
    let mut agent = rig.agent();
    rig.eventually("the log says it", |rig| {
        rig.agent_log().contains("slipway host token")
    });
    assert!(agent.child.try_wait().expect("a child").is_none(), "it goes on");
    assert!(!rig.agent_log().contains(crate::plane::TOKEN));
}

#[test]
fn sigterm_leaves_an_activation_alone() {
    let rig = AgentRig::new();
    rig.knob("test", "v2", "sleep 2");
    let mut agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    rig.eventually("the script runs", |rig| rig.count("test v2") == 1);
    let began = Instant::now();
    agent.signal(rustix::process::Signal::TERM);
    let status = agent.wait(Duration::from_secs(5));
    assert!(status.success(), "{status}");
    assert!(
        began.elapsed() < Duration::from_millis(1500),
        "{:?}",
        began.elapsed()
    );
    rig.eventually("the switch ends", |rig| rig.live().as_ref() == Some(&rig.v2));
    let _agent = rig.agent();
    rig.plane.reach(StepState::Committed);
    assert_eq!(rig.count("test v2"), 1);
}

#[test]
fn a_second_agent_is_refused() {
    let rig = AgentRig::new();
    let _agent = rig.agent();
    rig.eventually("it serves", |rig| !rig.plane.state().observations.is_empty());
    let output = rig.output(&["run"]);
    assert!(!output.status.success());
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        printed.contains("is another agent running?") && printed.contains("agent.lock"),
        "{printed}"
    );
}

#[test]
fn a_person_can_take_an_uncommitted_attempt_back() {
    let rig = AgentRig::new();
    let _agent = rig.agent();
    let attempt = rig.plane.release_until(&rig.v2, quick(), StepState::Verifying);
    rig.plane.hear(AttemptPhase::Verified);
    // With nothing but the host's own settings.
    let mut command = rig.command(&["revert", &attempt.to_string()]);
    for name in ["AGENT_API_URL", "AGENT_TOKEN", "AGENT_HOST"] {
        command.env_remove(name);
    }
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains(&format!("{} is back", rig.v1)), "{printed}");
    rig.plane.reach(StepState::Reverted);
    rig.assert_on(&rig.v1, "v1");
}

#[test]
fn status_tells_people_and_scripts() {
    let rig = AgentRig::new();
    let _agent = rig.agent();
    let attempt = rig.plane.release_until(&rig.v2, quick(), StepState::Verifying);
    rig.plane.hear(AttemptPhase::Verified);
    let text = String::from_utf8(rig.output(&["status"]).stdout).expect("text");
    assert!(text.contains(&format!("live          {}", rig.v2)), "{text}");
    assert!(text.contains(&format!("boot default  {}", rig.v1)), "{text}");
    assert!(text.contains("phase         verified"), "{text}");
    let json: serde_json::Value =
        serde_json::from_slice(&rig.output(&["status", "--json"]).stdout).expect("JSON");
    assert_eq!(json["journal"]["current"]["id"], attempt.to_string());
    assert_eq!(json["live"], rig.v2.to_string());
    fs::write(rig.state_dir().join("journal.json"), "{").expect("writable");
    let output = rig.output(&["status"]);
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("the journal is damaged"),
        "{output:?}"
    );
}

#[test]
fn config_shows_no_secret() {
    let rig = AgentRig::new();
    let output = rig.output(&["config"]);
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("AGENT_HOST=web-1"), "{text}");
    assert!(!text.contains(crate::plane::TOKEN), "{text}");
}

#[test]
fn wrong_settings_are_told_all_at_once() {
    let rig = AgentRig::new();
    let output = rig
        .command(&["run"])
        .env("AGENT_HOST", "Not A Name")
        .env("AGENT_KEEP_RELEASES", "0")
        .env_remove("AGENT_TOKEN")
        .output()
        .expect("it runs");
    assert!(!output.status.success());
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    for name in ["AGENT_HOST", "AGENT_KEEP_RELEASES", "AGENT_TOKEN"] {
        assert!(printed.contains(name), "{name} is not in {printed}");
    }
}

/// Neither in a file of the agent nor on a command line nor in the environment of what it starts.
#[test]
fn the_token_is_nowhere() {
    let rig = AgentRig::new();
    rig.knob("test", "v2", "env > \"$host/env\"; sleep 1");
    let agent = rig.agent();
    rig.plane.release(&rig.v2, quick());
    rig.plane.hear(AttemptPhase::Activating);
    for helper in rig.helpers() {
        let read = |file: &str| fs::read(format!("/proc/{}/{file}", helper.pid)).unwrap_or_default();
        for file in ["cmdline", "environ"] {
            let text = String::from_utf8_lossy(&read(file)).into_owned();
            assert!(!text.contains("slw_"), "{file} of {}: {text}", helper.pid);
        }
    }
    let cmdline = fs::read(format!("/proc/{}/cmdline", agent.child.id())).expect("a child");
    assert!(!String::from_utf8_lossy(&cmdline).contains("slw_"));
    rig.plane.reach(StepState::Committed);
    let env = fs::read_to_string(rig.host().join("env")).expect("the script wrote it");
    assert!(env.contains("AGENT_STATE_DIR=") && !env.contains("slw_"), "{env}");
    assert!(!rig.agent_log().contains("slw_"));
    let state = rig.state_dir();
    assert_eq!(
        fs::metadata(&state).expect("a folder").permissions().mode() & 0o777,
        0o700
    );
    for entry in fs::read_dir(&state)
        .expect("a folder")
        .chain(fs::read_dir(state.join("jobs")).expect("a folder"))
    {
        let entry = entry.expect("an entry");
        let meta = entry.metadata().expect("an entry");
        assert_eq!(meta.permissions().mode() & 0o077, 0, "{}", entry.path().display());
        if meta.is_file() {
            let text = fs::read(entry.path()).expect("readable");
            assert!(
                !String::from_utf8_lossy(&text).contains("slw_"),
                "{}",
                entry.path().display()
            );
        }
    }
}
