//! Restarts, reboots, dead-men and damaged journals.

use std::time::Duration;

use slipway_attempt::RevertOutcome;
use slipway_attempt::journal::JournalPhase;
use slipway_domain::{AttemptId, AttemptPhase};
use slipway_host::HostOperations;

use super::rig::{ExecutorRig, closure};

/// In these phases the new closure may be live, and only the prior would boot.
const UNCOMMITTED: [AttemptPhase; 3] = [
    AttemptPhase::Activating,
    AttemptPhase::Verifying,
    AttemptPhase::Verified,
];

/// A host whose agent was killed in this phase of an attempt.
async fn killed_in(phase: AttemptPhase) -> (ExecutorRig, AttemptId) {
    let mut rig = ExecutorRig::new();
    rig.behave("b", |it| it.switch_seconds = 10);
    let attempt = rig.begin("b").await;
    rig.reach(attempt, phase).await;
    rig.kill().await;
    (rig, attempt)
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_the_journal_ends() {
    for phase in [
        AttemptPhase::Staging,
        AttemptPhase::Activating,
        AttemptPhase::Verifying,
        AttemptPhase::Verified,
    ] {
        let mut rig = ExecutorRig::new();
        rig.behave("b", |it| {
            it.fetch_seconds = 10;
            it.switch_seconds = 10;
        });
        let attempt = rig.stage("b");
        if phase != AttemptPhase::Staging {
            rig.reach(attempt, AttemptPhase::Staged).await;
            rig.activate(attempt, "b");
        }
        rig.reach(attempt, phase).await;
        rig.kill().await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        rig.start();
        if phase == AttemptPhase::Staging {
            rig.reach(attempt, AttemptPhase::Staged).await;
            continue;
        }
        rig.reach(attempt, AttemptPhase::Verified).await;
        rig.commit(attempt);
        rig.reach(attempt, AttemptPhase::Committed).await;
        assert_eq!(rig.now(), ExecutorRig::on("b", "b"), "{phase:?}");
        assert_eq!(rig.count("test"), 1, "{phase:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reboot_before_the_commit_ends_on_the_prior() {
    for phase in UNCOMMITTED {
        let (mut rig, attempt) = killed_in(phase).await;
        rig.host.reboot();
        rig.start();
        let message = rig.message(attempt, AttemptPhase::Reverted).await;
        assert!(message.contains("rebooted"), "{phase:?}");
        assert_eq!(rig.now(), ExecutorRig::on("a", "a"), "{phase:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_while_committing_ends_with_the_commit() {
    let mut rig = ExecutorRig::new();
    let attempt = rig.release("b", false).await;
    rig.behave("b", |it| it.switch_seconds = 10);
    rig.commit(attempt);
    rig.profile_moved().await;
    rig.kill().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    rig.start();
    rig.reach(attempt, AttemptPhase::Committed).await;
    assert_eq!(rig.now(), ExecutorRig::on("b", "b"));
    assert_eq!(rig.count("boot"), 1);
}

/// The power went between the profile and the boot loader: the prior came up.
#[tokio::test(start_paused = true)]
async fn a_reboot_into_the_prior_while_committing_ends_on_the_prior() {
    let mut rig = ExecutorRig::new();
    let attempt = rig.release("b", false).await;
    rig.behave("b", |it| it.switch_seconds = 10);
    rig.commit(attempt);
    rig.profile_moved().await;
    rig.kill().await;
    rig.host.state().boot_default = Some(closure("a"));
    rig.host.reboot();
    rig.host.state().boot_default = Some(closure("b"));
    rig.start();
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_boot_loader_fails_is_taken_back() {
    let mut rig = ExecutorRig::new();
    rig.behave("b", |it| it.boot_exit = 1);
    let attempt = rig.release("b", false).await;
    rig.commit(attempt);
    let message = rig.message(attempt, AttemptPhase::Reverted).await;
    assert!(message.contains("switch-to-configuration boot of"), "{message}");
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn the_deadman_puts_the_prior_back_when_the_agent_stays_dead() {
    for phase in UNCOMMITTED {
        let (mut rig, attempt) = killed_in(phase).await;
        tokio::time::sleep(Duration::from_mins(5)).await;
        let outcome = rig.run_deadman(attempt).await;
        assert_eq!(outcome, RevertOutcome::Reverted(closure("a")), "{phase:?}");
        assert_eq!(rig.now(), ExecutorRig::on("a", "a"), "{phase:?}");
        // The agent comes back, and agrees.
        rig.start();
        rig.reach(attempt, AttemptPhase::Reverted).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadman_does_nothing_once_committed_or_for_another_attempt() {
    let mut rig = ExecutorRig::new();
    let attempt = rig.release("b", true).await;
    rig.kill().await;
    let outcome = rig.run_deadman(attempt).await;
    assert_eq!(outcome, RevertOutcome::Settled(JournalPhase::Committed));
    let other = AttemptId::random();
    let outcome = rig.run_deadman(other).await;
    assert_eq!(outcome, RevertOutcome::Unknown);
    assert_eq!(rig.now(), ExecutorRig::on("b", "b"));
}

#[tokio::test(start_paused = true)]
async fn the_deadman_acts_on_a_lost_journal_when_the_machine_bears_it_out() {
    let mut rig = ExecutorRig::new();
    let attempt = rig.release("b", false).await;
    rig.kill().await;
    std::fs::write(rig.store.path(), "damaged").unwrap();
    let outcome = rig.run_deadman(attempt).await;
    assert_eq!(outcome, RevertOutcome::Reverted(closure("a")));
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_running_agent_sees_what_the_deadman_did() {
    let mut rig = ExecutorRig::new();
    let attempt = rig.release("b", false).await;
    rig.executor()
        .0
        .revert_attempt(attempt, None, "a person said so")
        .await;
    let message = rig.message(attempt, AttemptPhase::Reverted).await;
    assert!(message.starts_with("a person said so"));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_journal_is_told_of_and_nothing_is_touched() {
    let mut rig = ExecutorRig::new();
    rig.release("b", true).await;
    rig.kill().await;
    std::fs::write(rig.store.path(), "{\"version\":1,").unwrap();
    let done = rig.host.state().done.len();
    rig.start();
    let (view, _) = rig.agent.as_mut().unwrap();
    let view = view
        .wait_for(|view| view.trouble.is_some())
        .await
        .unwrap()
        .clone();
    assert!(view.trouble.unwrap().contains("journal.corrupt-1"));
    assert_eq!(view.report, None);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(rig.host.state().done.len(), done);
    // It can be used again, and a commit ends the trouble.
    rig.release("c", true).await;
    assert_eq!(rig.store.peek().unwrap().lost, None);
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_is_damaged_under_a_running_agent_is_written_anew() {
    let mut rig = ExecutorRig::new();
    let attempt = rig.release("b", false).await;
    std::fs::write(rig.store.path(), "").unwrap();
    rig.commit(attempt);
    rig.reach(attempt, AttemptPhase::Committed).await;
    assert_eq!(rig.now(), ExecutorRig::on("b", "b"));
}

#[tokio::test(start_paused = true)]
async fn only_what_may_be_needed_again_stays_protected() {
    let mut rig = ExecutorRig::new();
    for name in ["b", "c", "d", "e", "f"] {
        rig.release(name, true).await;
    }
    // The last three, and the prior of the last.
    let names: Vec<String> = rig
        .host
        .protected()
        .iter()
        .map(|path| path.base_name()[33..].to_owned())
        .collect();
    assert_eq!(names, ["d", "e", "f"]);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_switch_is_no_success() {
    let mut rig = ExecutorRig::new();
    let attempt = rig.release("b", false).await;
    rig.host.state().live = Some(closure("x"));
    rig.commit(attempt);
    let message = rig.message(attempt, AttemptPhase::Reverted).await;
    assert!(
        message.contains("not live any more") || message.contains("something else switched"),
        "{message}"
    );
    assert_eq!(rig.host.observe().boot_default, Some(closure("a")));
}
