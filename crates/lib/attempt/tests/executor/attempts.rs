//! One attempt from fetching to its end, and attempts after one another.

use std::time::Duration;

use slipway_attempt::ExecutorView;
use slipway_domain::agent::{ActivationPlan, Verdict};
use slipway_domain::{AttemptPhase, Instruction};
use slipway_host::testing::ClosureBehaviour;

use tokio_util::sync::CancellationToken;

use super::rig::{ExecutorRig, closure, plan};

#[tokio::test(start_paused = true)]
async fn a_good_closure_is_staged_activated_verified_and_committed() {
    let mut rig = ExecutorRig::new();
    let attempt = rig.stage("b");
    rig.reach(attempt, AttemptPhase::Staged).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    rig.activate(attempt, "b");
    let view = rig.reach(attempt, AttemptPhase::Verifying).await;
    assert_eq!(view.unsettled, Some(attempt));
    assert_eq!(view.report.unwrap().prior, Some(closure("a")));
    assert_eq!(rig.host.state().armed.get(&attempt), Some(&closure("a")));
    let view = rig.reach(attempt, AttemptPhase::Verified).await;
    assert_eq!(view.report.unwrap().verdict, Some(Verdict::Pass));
    // Invariant 3: the boot default is still the prior.
    assert_eq!(rig.now(), ExecutorRig::on("b", "a"));
    rig.commit(attempt);
    let view = rig.reach(attempt, AttemptPhase::Committed).await;
    assert_eq!(view.unsettled, None);
    assert_eq!(rig.now(), ExecutorRig::on("b", "b"));
    assert!(rig.host.state().armed.is_empty());
    let order: Vec<String> = rig.host.state().done.clone();
    let order: Vec<&str> = order.iter().map(|done| done.split(' ').next().unwrap()).collect();
    assert_eq!(order, ["arm", "test", "profile", "boot"]);
}

/// A commit begins with the word of the control plane, never without passing checks.
#[tokio::test(start_paused = true)]
async fn an_unverified_closure_is_never_committed() {
    let mut rig = ExecutorRig::new();
    rig.behave("b", |it| it.last_verdict = Verdict::Unknown);
    let attempt = rig.begin("b").await;
    rig.reach(attempt, AttemptPhase::Verifying).await;
    rig.commit(attempt);
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.count("profile"), 0);
}

#[tokio::test(start_paused = true)]
async fn failing_checks_put_the_prior_back() {
    let mut rig = ExecutorRig::new();
    rig.behave("b", |it| it.last_verdict = Verdict::Fail);
    let attempt = rig.begin("b").await;
    let view = rig.reach(attempt, AttemptPhase::Reverted).await;
    let report = view.report.unwrap();
    assert_eq!(report.verdict, Some(Verdict::Fail));
    assert!(
        report
            .message
            .as_ref()
            .unwrap()
            .starts_with("check web: answered 500; went back to /nix/store/"),
        "{report:?}"
    );
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    assert!(rig.host.state().armed.is_empty());
    assert_eq!(rig.count("profile"), 0);
}

/// Whoever watches can tell a service that is slow from one that fails.
#[tokio::test(start_paused = true)]
async fn failing_checks_are_told_before_they_end_anything() {
    let mut rig = ExecutorRig::new();
    rig.behave("b", |it| it.last_verdict = Verdict::Fail);
    let attempt = rig.begin("b").await;
    let (view, _) = rig.agent.as_mut().unwrap();
    let told = |view: &ExecutorView| {
        view.report
            .as_ref()
            .is_some_and(|report| report.phase == AttemptPhase::Verifying && report.message.is_some())
    };
    let report = view.wait_for(told).await.unwrap().report.clone().unwrap();
    assert_eq!((report.attempt, report.verdict), (attempt, None));
    assert_eq!(
        report.message.as_deref(),
        Some("the checks do not pass yet: check web: answered 500")
    );
    // What is said of them is in no journal, so that no check writes one each second.
    let kept = rig.store.peek().unwrap().current.unwrap();
    assert_eq!(kept.message, None);
}

#[tokio::test(start_paused = true)]
async fn checks_without_a_verdict_revert_nothing_before_the_deadman() {
    let mut rig = ExecutorRig::new();
    rig.behave("b", |it| it.last_verdict = Verdict::Unknown);
    let attempt = rig.begin("b").await;
    let (view, _) = rig.agent.as_mut().unwrap();
    let unknown = |view: &ExecutorView| {
        view.report
            .as_ref()
            .is_some_and(|report| report.verdict == Some(Verdict::Unknown))
    };
    let report = view.wait_for(unknown).await.unwrap().report.clone().unwrap();
    assert_eq!(report.phase, AttemptPhase::Verifying);
    assert!(report.message.unwrap().contains("no descriptors"));
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(rig.now(), ExecutorRig::on("b", "a"));
    let message = rig.message(attempt, AttemptPhase::Reverted).await;
    assert!(message.contains("dead-man's deadline"));
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

/// Invariant 5: nobody says anything any more; it serves until the dead-man's deadline.
#[tokio::test(start_paused = true)]
async fn invariant_5_losing_the_control_plane_reverts_nothing_before_the_deadman() {
    let mut rig = ExecutorRig::new();
    let attempt = rig.release("b", false).await;
    rig.instructions.send_replace(Instruction::Idle);
    tokio::time::sleep(Duration::from_secs(250)).await;
    assert_eq!(rig.now(), ExecutorRig::on("b", "a"));
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_verified_closure_that_dies_is_taken_back_without_being_told() {
    let mut rig = ExecutorRig::new();
    let attempt = rig.release("b", false).await;
    rig.behave("b", |it| {
        it.rounds = vec![Verdict::Fail, Verdict::Pass];
        it.last_verdict = Verdict::Fail;
    });
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_fails_or_hangs_is_taken_back_with_the_reason() {
    for (test_exit, switch_seconds, expected) in [
        (4, 1, "exited with status 4"),
        (0, 1000, "did not end within 30 s"),
    ] {
        let mut rig = ExecutorRig::new();
        rig.behave("b", |it| {
            (it.test_exit, it.switch_seconds) = (test_exit, switch_seconds);
        });
        let attempt = rig.begin("b").await;
        let message = rig.message(attempt, AttemptPhase::Reverted).await;
        assert!(message.contains(expected), "{message}");
        assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    }
}

/// Whoever holds the control plane cannot have a switch ended in its middle by a bound of a second.
#[tokio::test(start_paused = true)]
async fn a_bound_below_the_hosts_own_floor_ends_no_switch() {
    for (floor, ends) in [(60, AttemptPhase::Verified), (0, AttemptPhase::Reverted)] {
        let mut rig = ExecutorRig::new();
        rig.kill().await;
        let (executor, view) = rig.executor();
        let executor = executor.with_least_switch_seconds(floor);
        let task = tokio::spawn(executor.run(CancellationToken::new()));
        rig.agent = Some((view, task));
        rig.behave("b", |it| it.switch_seconds = 20);
        let attempt = rig.stage("b");
        rig.reach(attempt, AttemptPhase::Staged).await;
        rig.instructions.send_replace(Instruction::Activate {
            attempt,
            closure: closure("b"),
            plan: ActivationPlan {
                activate_seconds: 1,
                ..plan()
            },
            approved_plan: None,
        });
        rig.reach(attempt, ends).await;
    }
}

/// As a NixOS system with a stack says it: the longest of its migrations and replicas.
#[tokio::test(start_paused = true)]
async fn a_switch_gets_the_time_that_its_closure_says_there_and_back() {
    let mut rig = ExecutorRig::new();
    for name in ["a", "b"] {
        rig.behave(name, |it| {
            (it.switch_seconds, it.switch_limit_seconds) = (80, Some(100));
        });
    }
    let attempt = rig.release("b", false).await;
    rig.revert(attempt, Some("a"));
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.count("test"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_may_outlast_the_deadman_is_not_begun() {
    let mut rig = ExecutorRig::new();
    rig.behave("b", |it| it.switch_limit_seconds = Some(5000));
    let attempt = rig.begin("b").await;
    let message = rig.message(attempt, AttemptPhase::StageFailed).await;
    assert!(
        message.contains("limits.deadman_seconds of more than"),
        "{message}"
    );
    assert_eq!(rig.count("test"), 0);
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_cannot_be_fetched_touches_nothing() {
    let mut rig = ExecutorRig::new();
    rig.behave("b", |it| it.fetch_fails = Some("no such path".to_owned()));
    let attempt = rig.stage("b");
    let message = rig.message(attempt, AttemptPhase::StageFailed).await;
    assert!(message.contains("no such path"));
    // A late word to activate it changes nothing.
    rig.activate(attempt, "b");
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(rig.host.state().done.is_empty());
}

/// A collection that had chosen it before it got its root.
#[tokio::test(start_paused = true)]
async fn a_closure_that_a_collection_takes_is_fetched_again() {
    for (vanishes, phase) in [(1, AttemptPhase::Staged), (1000, AttemptPhase::StageFailed)] {
        let mut rig = ExecutorRig::new();
        rig.behave("b", |it| it.vanishes = vanishes);
        let attempt = rig.stage("b");
        rig.reach(attempt, phase).await;
        assert!(rig.host.state().done.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_live_means_no_activation() {
    let mut rig = ExecutorRig::new();
    rig.host.state().live = None;
    let attempt = rig.begin("b").await;
    let view = rig.reach(attempt, AttemptPhase::StageFailed).await;
    let report = view.report.unwrap();
    assert!(report.message.unwrap().contains("activate one by hand first"));
    assert_eq!((report.prior, view.unsettled), (None, None));
    assert_eq!(rig.count("test"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_abort_works_in_every_phase() {
    for phase in [
        AttemptPhase::Staging,
        AttemptPhase::Staged,
        AttemptPhase::Activating,
        AttemptPhase::Verifying,
        AttemptPhase::Verified,
        AttemptPhase::Committed,
    ] {
        let mut rig = ExecutorRig::new();
        rig.behave("b", |it| {
            it.fetch_seconds = 20;
            it.switch_seconds = 20;
        });
        let attempt = rig.stage("b");
        if phase != AttemptPhase::Staging {
            rig.reach(attempt, AttemptPhase::Staged).await;
        }
        if !matches!(phase, AttemptPhase::Staging | AttemptPhase::Staged) {
            rig.activate(attempt, "b");
        }
        if phase == AttemptPhase::Committed {
            rig.reach(attempt, AttemptPhase::Verified).await;
            rig.commit(attempt);
        }
        rig.reach(attempt, phase).await;
        rig.revert(attempt, Some("a"));
        let before = tokio::time::Instant::now();
        let view = rig.reach(attempt, AttemptPhase::Reverted).await;
        assert!(before.elapsed() < Duration::from_secs(10), "{phase:?}");
        assert_eq!(view.unsettled, None);
        assert_eq!(rig.now(), ExecutorRig::on("a", "a"), "{phase:?}");
        assert!(rig.host.state().armed.is_empty(), "{phase:?}");
    }
}

/// Invariant 7, and comin's bug: a revert to what ran before is an activation like any other.
#[tokio::test(start_paused = true)]
async fn releasing_a_b_a_activates_a_again() {
    let mut rig = ExecutorRig::new();
    rig.release("b", true).await;
    rig.release("a", true).await;
    rig.release("b", true).await;
    assert_eq!(rig.now(), ExecutorRig::on("b", "b"));
    assert_eq!(rig.count("test"), 3);
}

/// deploy-rs' bug: an unchanged closure whose attempt is taken back went one generation too far.
#[tokio::test(start_paused = true)]
async fn reverting_an_unchanged_closure_stays_where_it_is() {
    let mut rig = ExecutorRig::new();
    rig.release("b", true).await;
    let again = rig.release("b", true).await;
    rig.revert(again, None);
    rig.reach(again, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("b", "b"));
}

/// deploy-rs' bug: what is left of an earlier attempt decided over the next one of the same closure.
#[tokio::test(start_paused = true)]
async fn an_earlier_attempts_word_counts_for_nothing() {
    let mut rig = ExecutorRig::new();
    let first = rig.release("b", false).await;
    rig.revert(first, None);
    rig.reach(first, AttemptPhase::Reverted).await;
    let second = rig.release("b", false).await;
    // Late words about the first one.
    rig.commit(first);
    tokio::time::sleep(Duration::from_secs(20)).await;
    rig.activate(first, "b");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(rig.now(), ExecutorRig::on("b", "a"));
    rig.commit(second);
    rig.reach(second, AttemptPhase::Committed).await;
    assert_eq!(rig.now(), ExecutorRig::on("b", "b"));
}

#[tokio::test(start_paused = true)]
async fn a_settled_attempt_is_not_begun_again_and_is_still_reported() {
    let mut rig = ExecutorRig::new();
    let first = rig.release("b", false).await;
    rig.revert(first, None);
    rig.reach(first, AttemptPhase::Reverted).await;
    rig.release("c", true).await;
    rig.activate(first, "b");
    let view = rig.reach(first, AttemptPhase::Reverted).await;
    assert_eq!(view.unsettled, None);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(rig.now(), ExecutorRig::on("c", "c"));
}

fn with_failed(rig: &ExecutorRig, before: &[&str]) {
    let before = before.iter().map(|&unit| unit.to_owned());
    rig.host.state().failed_units = Some(before.collect());
}

/// As NixOS' script: it ends with 4 over a failed unit.
fn fails(unit: &'static str) -> impl Fn(&mut ClosureBehaviour) {
    move |it| {
        (it.test_exit, it.failing_units) = (4, vec![unit]);
    }
}

/// NixOS' script ends with 4 whenever a unit is failed, also when it was so before.
#[tokio::test(start_paused = true)]
async fn a_unit_that_had_failed_before_does_not_count_against_a_release() {
    let mut rig = ExecutorRig::new();
    with_failed(&rig, &["acme-x.service"]);
    rig.behave("b", fails("acme-x.service"));
    rig.release("b", true).await;
    assert_eq!(rig.now(), ExecutorRig::on("b", "b"));
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_fails_with_the_release_counts_and_leaves_nobody_stuck() {
    let mut rig = ExecutorRig::new();
    with_failed(&rig, &["other.service"]);
    for name in ["a", "b"] {
        rig.behave(name, fails("acme-x.service"));
    }
    let attempt = rig.begin("b").await;
    let message = rig.message(attempt, AttemptPhase::Reverted).await;
    assert!(message.contains("exited with status 4"), "{message}");
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    assert_eq!(rig.count("test"), 2);
}

/// The prior's own checks decide: failed units are no excuse for a prior that does not serve.
#[tokio::test(start_paused = true)]
async fn a_prior_with_failed_units_is_back_once_its_checks_pass() {
    let mut rig = ExecutorRig::new();
    let attempt = rig.release("b", false).await;
    rig.behave("a", |it| {
        fails("web.service")(it);
        it.last_verdict = Verdict::Fail;
    });
    rig.revert(attempt, None);
    let message = rig.message(attempt, AttemptPhase::Stuck).await;
    assert!(message.contains("check web: answered 500"), "{message}");
    rig.behave("a", fails("web.service"));
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}
