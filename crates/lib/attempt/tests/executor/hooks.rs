//! Hooks: when they run, what keeps a host from being touched, and what only gets noted.

use std::time::Duration;

use slipway_domain::agent::HookPoint;
use slipway_domain::{AttemptId, AttemptPhase};
use slipway_host::hooks::HookFailure;
use slipway_host::testing::FakeHook;

use super::rig::{ExecutorRig, closure};

/// A machine that runs `a`, with these hooks of `b`, and with one hook at either place of `a`.
pub(super) fn rig_with(before: Vec<FakeHook>, after: Vec<FakeHook>) -> ExecutorRig {
    let rig = ExecutorRig::new();
    rig.behave("a", |it| {
        it.before = vec![FakeHook::new("hand-over-of-a")];
        it.after = vec![FakeHook::new("take-back-of-a")];
    });
    rig.behave("b", |it| {
        it.before = before;
        it.after = after;
    });
    rig
}

pub(super) fn fails(name: &'static str, on_failure: HookFailure) -> FakeHook {
    FakeHook {
        exit: 3,
        on_failure,
        ..FakeHook::new(name)
    }
}

impl ExecutorRig {
    pub(super) fn done(&self) -> Vec<String> {
        let state = self.host.state();
        let ours = state.done.iter().filter(|done| !done.starts_with("arm "));
        ours.map(|done| done.replace("0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-", ""))
            .collect()
    }

    /// Waits until no hook is left to run.
    pub(super) async fn hooks_over(&self) {
        for _ in 0..10_000 {
            let journal = self.store.peek().unwrap();
            if journal.current.is_none_or(|current| current.hooks.is_none()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("hooks do not end: {:?}", self.store.peek());
    }

    /// Waits until this hook runs, and gives the point that is reported.
    async fn hook_runs(&mut self, name: &str) -> HookPoint {
        let (view, _) = self.agent.as_mut().unwrap();
        let hook = |view: &slipway_attempt::ExecutorView| {
            let report = view.report.clone()?;
            report.hooks?.running.filter(|hook| hook.name == name)
        };
        let view = view.wait_for(|view| hook(view).is_some());
        let Ok(view) = tokio::time::timeout(Duration::from_mins(10), view).await else {
            panic!("{name} does not run: {:?}", self.store.peek());
        };
        let view = view.unwrap().clone();
        let found = hook(&view).unwrap();
        found.when
    }

    async fn ends_untouched(&mut self, attempt: AttemptId, phase: AttemptPhase) -> String {
        let view = self.reach(attempt, phase).await;
        let report = view.report.unwrap();
        assert_eq!(report.prior, None, "whoever has a prior counts as touched");
        assert_eq!(view.unsettled, None);
        assert_eq!(self.now(), Self::on("a", "a"));
        assert_eq!(self.count("test"), 0);
        self.hooks_over().await;
        assert!(self.host.state().armed.is_empty());
        report.message.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_run_in_order_around_the_switch_and_the_commit() {
    let mut rig = rig_with(
        vec![FakeHook::new("lead-away"), FakeHook::new("standby")],
        vec![FakeHook::new("take-back")],
    );
    let attempt = rig.begin("b").await;
    assert_eq!(rig.hook_runs("lead-away").await, HookPoint::BeforeActivate);
    let view = rig.reach(attempt, AttemptPhase::Activating).await;
    let report = view.report.unwrap();
    assert_eq!(report.prior, None, "nothing was touched yet");
    assert_eq!(
        report.message.unwrap(),
        "runs the hook `lead-away` before the switch"
    );
    assert_eq!(view.unsettled, Some(attempt), "the host counts as out");
    assert_eq!(rig.host.state().armed.get(&attempt), Some(&closure("a")));
    let view = rig.reach(attempt, AttemptPhase::Verified).await;
    assert_eq!(view.report.unwrap().prior, Some(closure("a")));
    rig.commit(attempt);
    assert_eq!(rig.hook_runs("take-back").await, HookPoint::AfterCommit);
    rig.hooks_over().await;
    assert_eq!(
        rig.done(),
        [
            "before_activate lead-away",
            "before_activate standby",
            "test b",
            "profile b",
            "boot b",
            "after_commit take-back"
        ]
    );
    let view = rig.reach(attempt, AttemptPhase::Committed).await;
    assert_eq!(view.report.unwrap().hooks, None);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_must_not_fail_leaves_the_host_untouched() {
    let mut rig = rig_with(
        vec![fails("lead-away", HookFailure::Fail), FakeHook::new("never")],
        vec![],
    );
    let attempt = rig.begin("b").await;
    let message = rig.ends_untouched(attempt, AttemptPhase::StageFailed).await;
    assert_eq!(
        message,
        "the hook `lead-away` (before_activate) exited with status 3; nothing was activated"
    );
    // What its hooks took away, the closure that stays gets back.
    assert_eq!(
        rig.done(),
        ["before_activate lead-away", "after_commit take-back-of-a"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_hangs_is_ended_and_counts_as_failed() {
    let hangs = FakeHook {
        seconds: 10_000,
        ..FakeHook::new("hangs")
    };
    let mut rig = rig_with(vec![hangs], vec![]);
    let attempt = rig.begin("b").await;
    let message = rig.ends_untouched(attempt, AttemptPhase::StageFailed).await;
    assert!(
        message.contains("`hangs` (before_activate) did not end within 10 s and was killed"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_may_fail_is_noted_to_the_end() {
    let mut rig = rig_with(
        vec![fails("warn", HookFailure::Continue), FakeHook::new("lead-away")],
        vec![
            fails("first", HookFailure::Continue),
            fails("second", HookFailure::Fail),
            FakeHook::new("never"),
        ],
    );
    let attempt = rig.release("b", true).await;
    rig.hooks_over().await;
    let view = rig.reach(attempt, AttemptPhase::Committed).await;
    let report = view.report.unwrap();
    let trouble = "the hook `warn` (before_activate) exited with status 3; the hook `first` (after_commit) exited with status 3; the hook `second` (after_commit) exited with status 3";
    assert_eq!(report.hooks.unwrap().trouble.as_deref(), Some(trouble));
    assert!(report.message.unwrap().ends_with(trouble));
    // A commit stays one.
    assert_eq!(rig.now(), ExecutorRig::on("b", "b"));
    assert!(!rig.done().contains(&"after_commit never".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_priors_hooks_run_around_the_way_back_and_cannot_keep_it_away() {
    for hook in [
        FakeHook::new("hand-over-of-a"),
        fails("hand-over-of-a", HookFailure::Fail),
        FakeHook {
            seconds: 10_000,
            timeout_seconds: 3600,
            ..FakeHook::new("hand-over-of-a")
        },
    ] {
        let mut rig = rig_with(vec![], vec![]);
        rig.behave("a", |it| {
            it.before = vec![hook.clone()];
            it.after = vec![FakeHook::new("take-back-of-a")];
        });
        let attempt = rig.release("b", false).await;
        let began = tokio::time::Instant::now();
        rig.revert(attempt, None);
        rig.reach(attempt, AttemptPhase::Reverted).await;
        // The bound of going back is 60 s; hooks get half of it.
        assert!(began.elapsed() < Duration::from_mins(1), "{hook:?}");
        rig.hooks_over().await;
        assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
        let hooks = [
            "before_activate hand-over-of-a",
            "test a",
            "after_commit take-back-of-a",
        ];
        assert_eq!(rig.done()[1..], hooks, "{hook:?}");
        let trouble = rig.store.peek().unwrap().current.unwrap().hook_trouble;
        assert_eq!(trouble.is_some(), hook != FakeHook::new("hand-over-of-a"));
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_that_do_not_fit_before_the_deadman_begin_nothing() {
    let long = FakeHook {
        timeout_seconds: 280,
        ..FakeHook::new("long")
    };
    let mut rig = rig_with(vec![long], vec![]);
    let attempt = rig.begin("b").await;
    let message = rig.ends_untouched(attempt, AttemptPhase::StageFailed).await;
    assert!(
        message.contains("the hooks before the switch may take 290 s")
            && message.contains("limits.deadman_seconds of more than 335"),
        "{message}"
    );
    assert_eq!(rig.done(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_word_to_go_back_ends_the_hooks_and_touches_nothing() {
    let slow = FakeHook {
        seconds: 9,
        ..FakeHook::new("slow")
    };
    let mut rig = rig_with(vec![slow, FakeHook::new("never")], vec![]);
    let attempt = rig.begin("b").await;
    rig.hook_runs("slow").await;
    rig.revert(attempt, None);
    let message = rig.ends_untouched(attempt, AttemptPhase::Reverted).await;
    assert!(message.starts_with("taken back by the control plane while hooks ran"));
    assert_eq!(rig.done(), ["after_commit take-back-of-a"]);
}

#[tokio::test(start_paused = true)]
async fn the_next_attempt_waits_for_the_hooks_of_the_one_before() {
    let slow = FakeHook {
        seconds: 8,
        ..FakeHook::new("slow")
    };
    let mut rig = rig_with(vec![], vec![slow]);
    rig.release("b", true).await;
    let next = rig.stage("c");
    rig.reach(next, AttemptPhase::Staged).await;
    assert!(rig.done().contains(&"after_commit slow".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_stuck_attempt_keeps_its_way_back_when_hooks_end_the_next() {
    let mut rig = ExecutorRig::new();
    rig.behave("c", |it| it.before = vec![fails("no", HookFailure::Fail)]);
    rig.stick().await;
    let next = rig.begin("c").await;
    let view = rig.reach(next, AttemptPhase::StageFailed).await;
    assert!(view.unsettled.is_some(), "the stuck one is forgotten");
    rig.behave("a", |_| {});
    for _ in 0..10_000 {
        if rig.store.peek().unwrap().unsettled_id().is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

/// On a stuck host the prior is not live, and the hooks change nothing about that.
#[tokio::test(start_paused = true)]
async fn a_release_with_hooks_mends_a_stuck_host() {
    let mut rig = ExecutorRig::new();
    rig.behave("c", |it| it.before = vec![FakeHook::new("first")]);
    rig.stick().await;
    let next = rig.begin("c").await;
    let view = rig.reach(next, AttemptPhase::Verified).await;
    assert_eq!(view.report.unwrap().prior, Some(closure("a")));
    assert!(rig.done().contains(&"before_activate first".to_owned()));
    rig.behave("a", |_| {});
    rig.revert(next, None);
    rig.reach(next, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}
