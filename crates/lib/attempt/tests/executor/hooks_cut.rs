//! Kills, reboots and dead-men in the middle of hooks.

use std::time::Duration;

use slipway_attempt::RevertOutcome;
use slipway_domain::{AttemptId, AttemptPhase};
use slipway_host::HostOperations;
use slipway_host::job::{JobId, JobKind};
use slipway_host::testing::FakeHook;

use super::hooks::rig_with;
use super::rig::{ExecutorRig, closure};

/// A hook that runs for a while.
fn slow(name: &'static str) -> FakeHook {
    FakeHook {
        seconds: 8,
        ..FakeHook::new(name)
    }
}

impl ExecutorRig {
    /// Waits until the hook was begun.
    async fn hook_begun(&self, line: &str) {
        for _ in 0..10_000 {
            if self.host.state().begun.iter().any(|begun| begun == line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{line} was not begun: {:?}", self.store.peek());
    }

    fn begun(&self, line: &str) -> usize {
        let state = self.host.state();
        state.begun.iter().filter(|begun| *begun == line).count()
    }
}

/// An agent that was killed while a hook before the switch ran.
async fn killed_before_the_switch() -> (ExecutorRig, AttemptId) {
    let mut rig = rig_with(vec![slow("lead-away"), FakeHook::new("standby")], vec![]);
    let attempt = rig.begin("b").await;
    rig.hook_begun("before-activate lead-away").await;
    rig.kill().await;
    (rig, attempt)
}

#[tokio::test(start_paused = true)]
async fn a_restart_waits_for_the_hook_that_runs() {
    let (mut rig, attempt) = killed_before_the_switch().await;
    rig.start();
    rig.reach(attempt, AttemptPhase::Verified).await;
    assert_eq!(rig.begun("before-activate lead-away"), 1);
    assert_eq!(rig.begun("before-activate standby"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_was_cut_short_runs_again() {
    let (mut rig, attempt) = killed_before_the_switch().await;
    let id = JobId::first(JobKind::BeforeActivate, attempt);
    rig.host.stop(id).await;
    rig.start();
    rig.reach(attempt, AttemptPhase::Verified).await;
    assert_eq!(rig.begun("before-activate lead-away"), 2);
    assert_eq!(rig.now(), ExecutorRig::on("b", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_reboot_before_the_switch_leaves_the_host_untouched() {
    let (mut rig, attempt) = killed_before_the_switch().await;
    rig.host.reboot();
    rig.start();
    let message = rig.message(attempt, AttemptPhase::StageFailed).await;
    assert!(
        message.starts_with("the host was rebooted before the switch"),
        "{message}"
    );
    rig.hooks_over().await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    assert_eq!(rig.done(), ["after_commit take-back-of-a"]);
}

#[tokio::test(start_paused = true)]
async fn the_deadman_ends_a_hook_and_puts_the_prior_back() {
    let (mut rig, attempt) = killed_before_the_switch().await;
    let outcome = rig.run_deadman(attempt).await;
    assert_eq!(outcome, RevertOutcome::Reverted(closure("a")));
    rig.start();
    rig.reach(attempt, AttemptPhase::Reverted).await;
    rig.hooks_over().await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    // The host never left the prior: there was nothing to hand over on the way back.
    assert_eq!(rig.done(), ["test a", "after_commit take-back-of-a"]);
}

#[tokio::test(start_paused = true)]
async fn hooks_after_a_commit_outlive_the_agent_and_a_power_cut_runs_them_again() {
    let mut rig = rig_with(vec![], vec![slow("take-back")]);
    let attempt = rig.release("b", true).await;
    rig.hook_begun("after-commit take-back").await;
    rig.kill().await;
    rig.start();
    rig.hooks_over().await;
    assert_eq!(rig.begun("after-commit take-back"), 1);

    let mut rig = rig_with(vec![], vec![slow("take-back")]);
    let again = rig.release("b", true).await;
    rig.hook_begun("after-commit take-back").await;
    rig.kill().await;
    rig.host.reboot();
    rig.start();
    rig.hooks_over().await;
    assert_eq!(rig.begun("after-commit take-back"), 2);
    let view = rig.reach(again, AttemptPhase::Committed).await;
    assert_eq!(view.report.unwrap().hooks, None);
    assert_eq!(rig.now(), ExecutorRig::on("b", "b"));
    assert_ne!(attempt, again);
}

#[tokio::test(start_paused = true)]
async fn a_kill_on_the_way_back_runs_no_hook_twice() {
    let mut rig = rig_with(vec![], vec![]);
    rig.behave("a", |it| it.before = vec![slow("hand-over-of-a")]);
    let attempt = rig.release("b", false).await;
    rig.revert(attempt, None);
    rig.hook_begun("before-revert hand-over-of-a").await;
    rig.kill().await;
    rig.start();
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.begun("before-revert hand-over-of-a"), 1);
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

/// What a journal says in between, and what an agent from before hooks makes of it.
#[tokio::test(start_paused = true)]
async fn an_older_agent_reads_the_journal_and_goes_back() {
    let (rig, _) = killed_before_the_switch().await;
    let mut journal = rig.store.peek().unwrap();
    let current = journal.current.as_mut().unwrap();
    assert_eq!(serde_json::to_value(current.phase).unwrap(), "activating");
    assert_eq!(current.prior, Some(closure("a")));
    // It knows no such field: what it reads is this.
    current.hooks = None;
    rig.store.save(&journal).unwrap();
    let mut rig = rig;
    rig.host.state().begun.clear();
    rig.start();
    rig.reach(journal.current.unwrap().id, AttemptPhase::Reverted)
        .await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}
