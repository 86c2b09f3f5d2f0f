//! Stuck hosts, late instructions, and attempts that nobody remembers.

use std::time::Duration;

use slipway_attempt::journal::Known;
use slipway_domain::{AttemptId, Phase};
use slipway_host::testing::Fate;

use super::rig::{Rig, closure};

#[tokio::test(start_paused = true)]
async fn a_stuck_host_goes_on_trying_and_mends() {
    let mut rig = Rig::new();
    let attempt = rig.release("b", false).await;
    rig.host.set_fate(
        &closure("a"),
        Fate {
            test_exit: 1,
            ..Fate::default()
        },
    );
    rig.revert(attempt, None);
    let view = rig.reach(attempt, Phase::Stuck).await;
    let message = view.report.unwrap().message.unwrap();
    assert!(
        message.contains("exited with status 1; it goes back because: told to"),
        "{message}"
    );
    assert_eq!(view.unsettled, Some(attempt));
    tokio::time::sleep(Duration::from_mins(10)).await;
    rig.host.set_fate(&closure("a"), Fate::default());
    rig.reach(attempt, Phase::Reverted).await;
    assert_eq!(rig.now(), Rig::on("a", "a"));
}

/// The prior of an attempt over a stuck one is the stuck one's prior, not the half-switched live system.
#[tokio::test(start_paused = true)]
async fn an_attempt_over_a_stuck_one_goes_back_to_the_stuck_ones_prior() {
    let mut rig = Rig::new();
    let stuck = rig.release("b", false).await;
    rig.host.set_fate(
        &closure("a"),
        Fate {
            test_exit: 1,
            ..Fate::default()
        },
    );
    rig.revert(stuck, None);
    rig.reach(stuck, Phase::Stuck).await;
    let next = rig.stage("c");
    let view = rig.reach(next, Phase::Staged).await;
    assert_eq!(view.unsettled, Some(stuck));
    rig.activate(next, "c");
    let view = rig.reach(next, Phase::Verified).await;
    assert_eq!(view.unsettled, Some(next));
    assert_eq!(view.report.unwrap().prior, Some(closure("a")));
    rig.host.set_fate(&closure("a"), Fate::default());
    rig.revert(next, None);
    rig.reach(next, Phase::Reverted).await;
    assert_eq!(rig.now(), Rig::on("a", "a"));
}

/// The next closure cannot be fetched: the stuck attempt's prior is still to be put back.
#[tokio::test(start_paused = true)]
async fn a_stuck_attempt_is_tried_on_behind_a_failed_stage() {
    let mut rig = Rig::new();
    let stuck = rig.release("b", false).await;
    rig.host.set_fate(
        &closure("a"),
        Fate {
            test_exit: 1,
            ..Fate::default()
        },
    );
    rig.revert(stuck, None);
    rig.reach(stuck, Phase::Stuck).await;
    rig.host.set_fate(
        &closure("c"),
        Fate {
            fetch_fails: Some("no".to_owned()),
            ..Fate::default()
        },
    );
    let next = rig.stage("c");
    rig.reach(next, Phase::StageFailed).await;
    rig.host.set_fate(&closure("a"), Fate::default());
    let (view, ..) = rig.agent.as_mut().unwrap();
    let view = view
        .wait_for(|view| view.unsettled.is_none())
        .await
        .unwrap()
        .clone();
    assert_eq!(view.report.unwrap().attempt, next);
    assert_eq!(rig.now(), Rig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_new_attempt_takes_an_unsettled_one_back_first() {
    let mut rig = Rig::new();
    rig.release("b", false).await;
    let next = rig.release("c", true).await;
    assert_eq!(rig.now(), Rig::on("c", "c"));
    let journal = rig.store.peek().unwrap();
    let Known::Current(current) = journal.know(next) else {
        panic!("{journal:?}")
    };
    assert_eq!(current.prior, Some(closure("a")));
}

#[tokio::test(start_paused = true)]
async fn a_revert_of_an_unknown_attempt_goes_to_the_prior_it_names() {
    let mut rig = Rig::new();
    rig.release("b", true).await;
    let unknown = AttemptId::random();
    rig.revert(unknown, Some("a"));
    rig.reach(unknown, Phase::Reverted).await;
    assert_eq!(rig.now(), Rig::on("a", "a"));
    let unknown = AttemptId::random();
    rig.revert(unknown, Some("a"));
    let view = rig.reach(unknown, Phase::Reverted).await;
    assert_eq!(
        view.report.unwrap().message.unwrap(),
        "nothing of this attempt is on this host"
    );
}

#[tokio::test(start_paused = true)]
async fn an_activation_of_what_was_never_staged_is_refused() {
    let mut rig = Rig::new();
    let attempt = AttemptId::random();
    rig.activate(attempt, "b");
    let view = rig.reach(attempt, Phase::StageFailed).await;
    let message = view.report.unwrap().message.unwrap();
    assert!(message.contains("was never staged on this host"), "{message}");
    assert!(rig.host.state().done.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_live_closure_that_no_journal_knows_of_is_taken_back() {
    let mut rig = Rig::new();
    rig.host.state().live = Some(closure("b"));
    let attempt = AttemptId::random();
    rig.activate(attempt, "b");
    rig.reach(attempt, Phase::Reverted).await;
    assert_eq!(rig.now(), Rig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_prior_that_only_the_control_plane_knows_is_not_run() {
    let mut rig = Rig::new();
    let unknown = AttemptId::random();
    rig.revert(unknown, Some("x"));
    let view = rig.reach(unknown, Phase::Stuck).await;
    let message = view.report.unwrap().message.unwrap();
    assert!(message.contains("knows no such system"), "{message}");
    tokio::time::sleep(Duration::from_mins(30)).await;
    assert!(rig.host.state().done.is_empty());
    // It stands in nobody's way, and its prior is not inherited.
    let attempt = rig.release("b", true).await;
    rig.revert(attempt, Some("x"));
    rig.reach(attempt, Phase::Reverted).await;
    assert_eq!(rig.now(), Rig::on("a", "a"));
}

/// A committed attempt's prior stays this host's own word when it is taken back, also after a restart.
#[tokio::test(start_paused = true)]
async fn a_recorded_prior_is_gone_back_to_without_the_profiles_word() {
    let mut rig = Rig::new();
    let first = rig.release("b", true).await;
    rig.release("c", true).await;
    rig.host.state().generations.clear();
    rig.kill().await;
    rig.start();
    rig.revert(first, None);
    rig.reach(first, Phase::Reverted).await;
    assert_eq!(rig.now(), Rig::on("a", "a"));
}
