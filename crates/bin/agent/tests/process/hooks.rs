//! Hooks as real processes: what they see, what they leave behind, what keeps a host from being touched.

use std::fs;
use std::time::{Duration, Instant};

use slipway_domain::agent::HookPoint;
use slipway_domain::{AttemptPhase, StepState, StorePath};
use slipway_process::ProcessId;

use crate::{AgentRig, quick};

/// One hook that runs this in a shell, with `$host` as the host's folder.
pub(crate) fn hook(rig: &AgentRig, name: &str, lines: &str) -> serde_json::Value {
    let lines = format!("host='{}'; {lines}", rig.host().display());
    serde_json::json!({
        "name": name, "command": ["/bin/sh", "-c", lines], "timeout_seconds": 20, "on_failure": "fail",
    })
}

/// A release with these hooks.
pub(crate) fn with_hooks(
    rig: &AgentRig,
    version: &str,
    before: &[serde_json::Value],
    after: &[serde_json::Value],
) -> StorePath {
    let hooks = serde_json::json!({"before_activate": before, "after_commit": after}).to_string();
    rig.closure(version, |spec| spec.hooks = Some(hooks))
}

/// Appends the hook's name to what the scripts log.
pub(crate) const LOG: &str = r#"echo "hook $SLIPWAY_HOOK" >> "$host/log""#;

fn hooks_of(rig: &AgentRig) -> Option<slipway_domain::agent::HooksReport> {
    rig.plane.report().and_then(|report| report.hooks)
}

#[test]
fn hooks_run_around_the_switch_and_know_the_attempt() {
    let rig = AgentRig::new();
    let env = r#"env > "$host/env"; readlink -f "$host/live" > "$host/live-then"; "#;
    let before = hook(&rig, "hand over", &format!("{env}{LOG}"));
    let after = hook(&rig, "take back", LOG);
    let v3 = with_hooks(&rig, "v3", &[before], &[after]);
    let _agent = rig.agent();
    let attempt = rig.plane.release(&v3, quick());
    rig.plane.reach(StepState::Committed);
    rig.eventually("the last hook", |rig| rig.count("hook take back") == 1);
    assert_eq!(
        rig.log()[2..],
        ["hook hand over", "test v3", "boot v3", "hook take back"]
    );
    rig.assert_on(&v3, "v3");
    // A host that is said to be committed is not done before its last hook is.
    let committed: Vec<bool> = {
        let state = rig.plane.state();
        let reports = state.observations.iter().filter_map(|seen| seen.report.as_ref());
        reports
            .filter(|report| report.phase == AttemptPhase::Committed)
            .map(|report| report.hooks.as_ref().is_some_and(|hooks| hooks.running.is_some()))
            .collect()
    };
    assert_eq!(committed.first(), Some(&true), "{committed:?}");
    let live_then = fs::read_to_string(rig.host().join("live-then")).unwrap_or_default();
    assert_eq!(live_then.trim(), rig.v1.as_str(), "the prior was live");
    let env = fs::read_to_string(rig.host().join("env")).unwrap_or_default();
    for line in [
        "SLIPWAY_HOOK=hand over".to_owned(),
        format!("SLIPWAY_ATTEMPT={attempt}"),
        format!("SLIPWAY_CLOSURE={v3}"),
        format!("SLIPWAY_PRIOR={}", rig.v1),
    ] {
        assert!(env.lines().any(|seen| seen == line), "{line} is not in {env}");
    }
    assert!(!env.contains("AGENT_TOKEN") && !env.contains("slw_"), "{env}");
    rig.eventually("everything is quiet", AgentRig::is_quiet);
}

#[test]
fn a_hook_that_fails_leaves_the_host_untouched_and_says_why() {
    let mut rig = AgentRig::new();
    let before = [
        hook(&rig, "lead away", "echo no standby is in sync >&2; exit 3"),
        hook(&rig, "never", LOG),
    ];
    let v3 = with_hooks(&rig, "v3", &before, &[]);
    let _agent = rig.agent();
    rig.plane.release(&v3, quick());
    rig.plane.reach(StepState::Reverted);
    assert_eq!(
        rig.plane.message(),
        "the hook `lead away` (before_activate) exited with status 3: no standby is in sync; nothing was activated"
    );
    let report = rig.plane.report().unwrap();
    assert_eq!((report.phase, report.prior), (AttemptPhase::StageFailed, None));
    let v1 = rig.v1.clone();
    rig.assert_on(&v1, "v1");
    assert_eq!(rig.log().len(), 2, "{:?}", rig.log());
    rig.eventually("everything is disarmed", AgentRig::is_quiet);
    rig.assert_boot_default_was_always_proven(None);
}

#[test]
fn a_hook_that_hangs_is_ended_with_everything_that_it_started() {
    let rig = AgentRig::new();
    let lines = r#"trap '' TERM; (trap '' TERM; echo begun; sleep 1000) & echo $! > "$host/child"; echo waiting; wait"#;
    let mut hangs = hook(&rig, "hangs", lines);
    hangs["timeout_seconds"] = 2.into();
    let v3 = with_hooks(&rig, "v3", &[hangs], &[]);
    let _agent = rig.agent();
    rig.plane.release(&v3, quick());
    rig.plane.reach(StepState::Reverted);
    let message = rig.plane.message();
    assert!(
        message.contains("`hangs` (before_activate) did not end within 2 s and was killed: ")
            && message.contains("waiting"),
        "{message}"
    );
    let child = fs::read_to_string(rig.host().join("child")).unwrap_or_default();
    let child = ProcessId::of(child.trim().parse().unwrap());
    assert!(!child.is_some_and(|child| child.is_alive()));
    rig.assert_on(&rig.v1, "v1");
}

#[test]
fn a_program_that_is_not_there_and_a_flood_of_output_are_failures_in_few_words() {
    let rig = AgentRig::new();
    let missing = serde_json::json!({"name": "gone", "command": ["/no/such/program"]});
    let flood = hook(
        &rig,
        "flood",
        "head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo the end; exit 1",
    );
    for (version, hook, said) in [
        (
            "v3",
            missing,
            "the hook `gone` (before_activate) could not be started: /no/such/program: No such file",
        ),
        ("v4", flood, "the end; nothing was activated"),
    ] {
        let closure = with_hooks(&rig, version, &[hook], &[]);
        let agent = rig.agent();
        rig.plane.release(&closure, quick());
        rig.plane.reach(StepState::Reverted);
        let message = rig.plane.message();
        assert!(message.contains(said), "{message}");
        assert!(message.chars().count() < 1600, "{}", message.len());
        agent.kill();
    }
    rig.assert_on(&rig.v1, "v1");
}

#[test]
fn a_hook_after_the_commit_that_fails_undoes_nothing_and_is_told() {
    let mut rig = AgentRig::new();
    let mut warns = hook(&rig, "warns", "exit 7");
    warns["on_failure"] = "continue".into();
    let after = [
        hook(&rig, "take back", "echo the address stays there; exit 5"),
        hook(&rig, "never", LOG),
    ];
    let v3 = with_hooks(&rig, "v3", &[warns], &after);
    let _agent = rig.agent();
    rig.plane.release(&v3, quick());
    rig.plane.reach(StepState::Committed);
    let trouble = "the hook `warns` (before_activate) exited with status 7; the hook `take back` (after_commit) exited with status 5: the address stays there";
    rig.eventually("the trouble is told", |rig| {
        hooks_of(rig)
            .is_some_and(|hooks| hooks.running.is_none() && hooks.trouble.as_deref() == Some(trouble))
    });
    assert!(rig.plane.message().ends_with(trouble), "{}", rig.plane.message());
    rig.assert_on(&v3, "v3");
    assert_eq!(rig.count("hook never"), 0);
    rig.assert_boot_default_was_always_proven(Some(&v3));
}

#[test]
fn the_hook_that_runs_is_reported_and_an_abort_ends_it() {
    let rig = AgentRig::new();
    let v3 = with_hooks(
        &rig,
        "v3",
        &[hook(&rig, "slow", &format!("{LOG}; sleep 1000"))],
        &[],
    );
    let _agent = rig.agent();
    rig.plane.release(&v3, quick());
    rig.eventually("the hook", |rig| rig.count("hook slow") == 1);
    let running = hooks_of(&rig).and_then(|hooks| hooks.running).unwrap();
    assert_eq!(
        (running.name.as_str(), running.when),
        ("slow", HookPoint::BeforeActivate)
    );
    assert_eq!(running.seconds, 30);
    assert_eq!(rig.plane.message(), "runs the hook `slow` before the switch");
    assert!(
        rig.plane
            .state()
            .observations
            .last()
            .is_some_and(|seen| seen.unsettled.is_some())
    );
    let began = Instant::now();
    rig.plane.abort();
    rig.plane.reach(StepState::Reverted);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    rig.assert_on(&rig.v1, "v1");
    assert_eq!(rig.count("test v3") + rig.count("test v1"), 1, "{:?}", rig.log());
    rig.eventually("everything is quiet", AgentRig::is_quiet);
}

#[test]
fn the_priors_hooks_frame_the_way_back() {
    let rig = AgentRig::new();
    let v3 = with_hooks(
        &rig,
        "v3",
        &[hook(
            &rig,
            "hand over",
            &format!("{LOG}; test ! -e \"$host/stubborn\""),
        )],
        &[hook(&rig, "take back", LOG)],
    );
    let _agent = rig.agent();
    rig.plane.release(&v3, quick());
    rig.plane.reach(StepState::Committed);
    rig.eventually("the last hook", |rig| rig.count("hook take back") == 1);
    rig.sicken("v2");
    fs::write(rig.host().join("stubborn"), "").unwrap();
    let before = rig.log().len();
    rig.plane.release(&rig.v2, quick());
    rig.plane.reach(StepState::Reverted);
    rig.eventually("the last hook", |rig| rig.count("hook take back") == 2);
    assert_eq!(
        rig.log()[before..],
        ["test v2", "hook hand over", "test v3", "hook take back"]
    );
    rig.assert_on(&v3, "v3");
    let message = rig.plane.message();
    assert!(
        message.contains("check service: ")
            && message.ends_with("the hook `hand over` (before_activate) exited with status 1"),
        "{message}"
    );
}
