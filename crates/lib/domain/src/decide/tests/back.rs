//! Going back.

use super::*;

/// One host failed by itself, and the other is put back because of it.
#[test]
fn a_host_that_is_put_back_with_its_rollout_did_not_fail() {
    use StepState as S;
    let mut s = snapshot(RolloutState::Reverting, &[S::Reverting, S::Committed]);
    s.rollout.reason = Some("web-0: a check failed".to_owned());
    s.steps[0].reason = Some("a check failed".to_owned());
    s.steps[1].prior = Some(path("old"));
    for _ in 0..4 {
        for step in s.steps.iter_mut().filter(|step| step.state == S::Reverting) {
            report(step, AttemptPhase::Reverted, None);
        }
        for change in decide(&s, now(), &mut AttemptId::random) {
            s.apply(&change, now()).unwrap();
        }
    }
    let ends: Vec<_> = s.steps.iter().map(|step| (step.state, step.failures)).collect();
    assert_eq!(ends, [(S::Reverted, 1), (S::Reverted, 0)]);
    assert_eq!(s.rollout.state, RolloutState::Reverted);
}
