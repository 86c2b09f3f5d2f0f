//! Stuck hosts, late instructions, and attempts that nobody remembers.

use std::time::Duration;

use slipway_attempt::journal::JournalEntry;
use slipway_domain::{AttemptId, AttemptPhase};

use super::rig::{ExecutorRig, closure};

#[tokio::test(start_paused = true)]
async fn a_stuck_host_goes_on_trying_and_mends() {
    let mut rig = ExecutorRig::new();
    let attempt = rig.stick().await;
    let view = rig.reach(attempt, AttemptPhase::Stuck).await;
    assert_eq!(view.unsettled, Some(attempt));
    let message = view.report.unwrap().message.unwrap();
    assert!(
        message.contains("exited with status 1; it goes back because: told to"),
        "{message}"
    );
    tokio::time::sleep(Duration::from_mins(10)).await;
    rig.behave("a", |_| {});
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

/// The prior of an attempt over a stuck one is the stuck one's prior, not the half-switched live system.
#[tokio::test(start_paused = true)]
async fn an_attempt_over_a_stuck_one_goes_back_to_the_stuck_ones_prior() {
    let mut rig = ExecutorRig::new();
    let stuck = rig.stick().await;
    let next = rig.stage("c");
    let view = rig.reach(next, AttemptPhase::Staged).await;
    assert_eq!(view.unsettled, Some(stuck));
    rig.activate(next, "c");
    let view = rig.reach(next, AttemptPhase::Verified).await;
    assert_eq!(view.unsettled, Some(next));
    assert_eq!(view.report.unwrap().prior, Some(closure("a")));
    rig.behave("a", |_| {});
    rig.revert(next, None);
    rig.reach(next, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

/// The next closure cannot be fetched: the stuck attempt's prior is still to be put back.
#[tokio::test(start_paused = true)]
async fn a_stuck_attempt_is_tried_on_behind_a_failed_stage() {
    let mut rig = ExecutorRig::new();
    rig.stick().await;
    rig.behave("c", |it| it.fetch_fails = Some("no".to_owned()));
    let next = rig.stage("c");
    rig.reach(next, AttemptPhase::StageFailed).await;
    rig.behave("a", |_| {});
    let (view, _) = rig.agent.as_mut().unwrap();
    let view = view
        .wait_for(|view| view.unsettled.is_none())
        .await
        .unwrap()
        .clone();
    assert_eq!(view.report.unwrap().attempt, next);
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_new_attempt_takes_an_unsettled_one_back_first() {
    let mut rig = ExecutorRig::new();
    rig.release("b", false).await;
    let next = rig.release("c", true).await;
    assert_eq!(rig.now(), ExecutorRig::on("c", "c"));
    let journal = rig.store.peek().unwrap();
    let JournalEntry::Current(current) = journal.entry(next) else {
        panic!("{journal:?}")
    };
    assert_eq!(current.prior, Some(closure("a")));
}

#[tokio::test(start_paused = true)]
async fn a_revert_of_an_unknown_attempt_goes_to_the_prior_it_names() {
    let mut rig = ExecutorRig::new();
    rig.release("b", true).await;
    let unknown = AttemptId::random();
    rig.revert(unknown, Some("a"));
    rig.reach(unknown, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    let unknown = AttemptId::random();
    rig.revert(unknown, Some("a"));
    let view = rig.reach(unknown, AttemptPhase::Reverted).await;
    assert_eq!(
        view.report.unwrap().message.unwrap(),
        "nothing of this attempt is on this host"
    );
}

#[tokio::test(start_paused = true)]
async fn an_activation_of_what_was_never_staged_is_refused() {
    let mut rig = ExecutorRig::new();
    let attempt = AttemptId::random();
    rig.activate(attempt, "b");
    let message = rig.message(attempt, AttemptPhase::StageFailed).await;
    assert!(message.contains("was never staged on this host"), "{message}");
    assert!(rig.host.state().done.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_live_closure_that_no_journal_knows_of_is_taken_back() {
    let mut rig = ExecutorRig::new();
    rig.host.state().live = Some(closure("b"));
    let attempt = AttemptId::random();
    rig.activate(attempt, "b");
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_prior_that_only_the_control_plane_knows_is_not_run() {
    let mut rig = ExecutorRig::new();
    let unknown = AttemptId::random();
    rig.revert(unknown, Some("x"));
    let message = rig.message(unknown, AttemptPhase::Stuck).await;
    assert!(message.contains("knows no such system"), "{message}");
    tokio::time::sleep(Duration::from_mins(30)).await;
    assert!(rig.host.state().done.is_empty());
    // It stands in nobody's way, and its prior is not inherited.
    let attempt = rig.release("b", true).await;
    rig.revert(attempt, Some("x"));
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

/// A committed attempt's prior stays this host's own word when it is taken back, also after a restart.
#[tokio::test(start_paused = true)]
async fn a_recorded_prior_is_gone_back_to_without_the_profiles_word() {
    let mut rig = ExecutorRig::new();
    let first = rig.release("b", true).await;
    rig.release("c", true).await;
    rig.host.state().generations.clear();
    rig.kill().await;
    rig.start();
    rig.revert(first, None);
    rig.reach(first, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}
