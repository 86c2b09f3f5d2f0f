//! Hosts that run hooks.

use super::*;
use crate::agent::{HookPoint, HooksReport, RunningHook};

/// Hooks as an agent reports them.
fn with_hooks(step: &mut StepSnapshot, seconds: Option<u32>, trouble: Option<&str>) {
    let running = seconds.map(|seconds| RunningHook {
        name: "take back".to_owned(),
        when: HookPoint::AfterCommit,
        seconds,
    });
    step.observed.report.as_mut().unwrap().hooks = Some(HooksReport {
        running,
        trouble: trouble.map(ToOwned::to_owned),
    });
}

#[test]
fn a_host_counts_as_out_until_the_hooks_after_its_commit_are_over() {
    let mut s = snapshot(RolloutState::Rolling, &[StepState::Verified, StepState::Staged]);
    s.rollout.strategy.max_unavailable = Share::Number(1);
    s.steps[0].activated = Some(now());
    report(&mut s.steps[0], AttemptPhase::Committed, Some(Verdict::Pass));
    with_hooks(&mut s.steps[0], Some(120), None);
    assert_eq!(round(&s), Vec::<String>::new());
    with_hooks(
        &mut s.steps[0],
        None,
        Some("the hook `take back` exited with status 1"),
    );
    let made = decide(&s, now(), &mut AttemptId::random);
    s.apply(&made[0], now()).unwrap();
    assert_eq!(s.steps[0].state, StepState::Committed);
    assert_eq!(
        s.steps[0].reason.as_deref(),
        Some("the hook `take back` exited with status 1")
    );
}

#[test]
fn hooks_after_a_commit_keep_nobody_waiting_beyond_their_bound() {
    let mut s = snapshot(RolloutState::Rolling, &[StepState::Verified]);
    report(&mut s.steps[0], AttemptPhase::Committed, Some(Verdict::Pass));
    let deadman = s.rollout.strategy.limits.deadman_seconds;
    for (said, bound) in [(120, 120), (u32::MAX, 3600)] {
        with_hooks(&mut s.steps[0], Some(said), None);
        let ago = |seconds: u32| Some(now() - TimeDelta::seconds(seconds.into()));
        s.steps[0].activated = ago(deadman + bound + 59);
        assert_eq!(round(&s), Vec::<String>::new(), "{said}");
        s.steps[0].activated = ago(deadman + bound + 60);
        assert_eq!(round(&s).len(), 1, "{said}");
    }
}

/// A hook before the switch ended the attempt: the host was not touched, so there is nothing to take back.
#[test]
fn a_host_that_its_hook_kept_is_a_failed_one_that_was_not_touched() {
    for (retries, ends) in [(0, "rollout:failed"), (1, "web-0:waiting")] {
        let mut s = snapshot(RolloutState::Rolling, &[StepState::Activating]);
        s.steps[0].prior = None;
        s.rollout.strategy.retries = retries;
        report(&mut s.steps[0], AttemptPhase::StageFailed, None);
        s.steps[0].observed.report.as_mut().unwrap().message = Some("the hook `a` failed".to_owned());
        let made = decide(&s, now(), &mut AttemptId::random);
        for change in &made {
            s.apply(change, now()).unwrap();
        }
        let step = &s.steps[0];
        assert_eq!(step.state, StepState::Reverted);
        assert_eq!(step.reason.as_deref(), Some("the hook `a` failed"));
        assert!(!step.is_out() && !step.was_touched());
        assert!(round(&s).contains(&ends.to_owned()), "{:?}", round(&s));
    }
}
