//! The executor on a machine in memory, with time moved by the test.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::time::Duration;

use slipway_domain::agent::{ActivationPlan, Verdict};
use slipway_domain::strategy::Verify;
use slipway_domain::{AttemptId, Instruction, Phase, StorePath};
use slipway_host::journal::{JournalPhase, Known};
use slipway_host::testing::{FakeHost, Fate, TokioClock};
use slipway_host::{Executor, Fired, Host, JournalStore, View};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

fn closure(name: &str) -> StorePath {
    format!("/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-{name}")
        .parse()
        .unwrap()
}

fn plan() -> ActivationPlan {
    ActivationPlan {
        activate_seconds: 30,
        deadman_seconds: 300,
        verify: Verify {
            passes: 2,
            interval_seconds: 1,
            timeout_seconds: 10,
        },
        bake_seconds: 5,
    }
}

struct Rig {
    host: Arc<FakeHost>,
    clock: TokioClock,
    store: JournalStore,
    told: watch::Sender<Instruction>,
    agent: Option<(watch::Receiver<View>, CancellationToken, JoinHandle<()>)>,
    _dir: TempDir,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut rig = Self {
            host: Arc::new(FakeHost::running(&closure("a"))),
            clock: TokioClock::new(),
            store: JournalStore::open(dir.path()).unwrap(),
            told: watch::channel(Instruction::Idle).0,
            agent: None,
            _dir: dir,
        };
        rig.start();
        rig
    }

    fn executor(&self) -> (Executor<FakeHost, TokioClock>, watch::Receiver<View>) {
        Executor::new(
            self.host.clone(),
            self.clock,
            self.store.clone(),
            3,
            self.told.subscribe(),
        )
    }

    fn start(&mut self) {
        let (executor, view) = self.executor();
        let stop = CancellationToken::new();
        let task = tokio::spawn(executor.run(stop.clone()));
        self.agent = Some((view, stop, task));
    }

    /// As a SIGKILL: nothing more is run, the lock is free.
    async fn kill(&mut self) {
        let (_, _, task) = self.agent.take().unwrap();
        task.abort();
        let _ = task.await;
        self.told.send_replace(Instruction::Idle);
    }

    fn stage(&self, name: &str) -> AttemptId {
        let attempt = AttemptId::random();
        self.told.send_replace(Instruction::Stage {
            attempt,
            closure: closure(name),
            timeout_seconds: 60,
        });
        attempt
    }

    fn activate(&self, attempt: AttemptId, name: &str) {
        self.told.send_replace(Instruction::Activate {
            attempt,
            closure: closure(name),
            plan: plan(),
        });
    }

    fn revert(&self, attempt: AttemptId, prior: Option<&str>) {
        self.told.send_replace(Instruction::Revert {
            attempt,
            prior: prior.map(closure),
            timeout_seconds: 60,
        });
    }

    async fn reach(&mut self, attempt: AttemptId, phase: Phase) -> View {
        let (view, ..) = self.agent.as_mut().unwrap();
        let there = view.wait_for(|view| {
            view.report
                .as_ref()
                .is_some_and(|report| report.attempt == attempt && report.phase == phase)
        });
        let Ok(view) = tokio::time::timeout(Duration::from_secs(2000), there).await else {
            panic!("{phase:?} is not reached: {:?}", self.store.peek());
        };
        view.unwrap().clone()
    }

    /// Stages, activates and verifies, and commits when asked to.
    async fn release(&mut self, name: &str, commit: bool) -> AttemptId {
        let attempt = self.stage(name);
        self.reach(attempt, Phase::Staged).await;
        self.activate(attempt, name);
        self.reach(attempt, Phase::Verified).await;
        if commit {
            self.told.send_replace(Instruction::Commit { attempt });
            self.reach(attempt, Phase::Committed).await;
        }
        attempt
    }

    fn now(&self) -> (String, String) {
        let state = self.host.state();
        let name = |path: &Option<StorePath>| path.as_ref().unwrap().base_name()[33..].to_owned();
        (name(&state.live), name(&state.boot_default))
    }

    fn on(live: &str, boot: &str) -> (String, String) {
        (live.to_owned(), boot.to_owned())
    }

    fn count(&self, what: &str) -> usize {
        let state = self.host.state();
        state.done.iter().filter(|done| done.starts_with(what)).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_closure_is_staged_activated_verified_and_committed() {
    let mut rig = Rig::new();
    let attempt = rig.stage("b");
    rig.reach(attempt, Phase::Staged).await;
    assert_eq!(rig.now(), Rig::on("a", "a"));
    rig.activate(attempt, "b");
    let view = rig.reach(attempt, Phase::Verifying).await;
    assert_eq!(view.unsettled, Some(attempt));
    assert_eq!(view.report.unwrap().prior, Some(closure("a")));
    assert_eq!(rig.host.state().armed.get(&attempt), Some(&closure("a")));
    let view = rig.reach(attempt, Phase::Verified).await;
    assert_eq!(view.report.unwrap().verdict, Some(Verdict::Pass));
    // Invariant 3: the boot default is still the prior.
    assert_eq!(rig.now(), Rig::on("b", "a"));
    rig.told.send_replace(Instruction::Commit { attempt });
    let view = rig.reach(attempt, Phase::Committed).await;
    assert_eq!(view.unsettled, None);
    assert_eq!(rig.now(), Rig::on("b", "b"));
    assert!(rig.host.state().armed.is_empty());
    let order: Vec<String> = rig.host.state().done.clone();
    let order: Vec<&str> = order.iter().map(|done| done.split(' ').next().unwrap()).collect();
    assert_eq!(order, ["arm", "test", "profile", "boot"]);
}

/// A commit begins with the word of the control plane, never without passing checks.
#[tokio::test(start_paused = true)]
async fn an_unverified_closure_is_never_committed() {
    let mut rig = Rig::new();
    rig.host.set_fate(
        &closure("b"),
        Fate {
            then: Verdict::Unknown,
            ..Fate::default()
        },
    );
    let attempt = rig.stage("b");
    rig.reach(attempt, Phase::Staged).await;
    rig.activate(attempt, "b");
    rig.reach(attempt, Phase::Verifying).await;
    rig.told.send_replace(Instruction::Commit { attempt });
    rig.reach(attempt, Phase::Reverted).await;
    assert_eq!(rig.count("profile"), 0);
}

#[tokio::test(start_paused = true)]
async fn failing_checks_put_the_prior_back() {
    let mut rig = Rig::new();
    rig.host.set_fate(
        &closure("b"),
        Fate {
            then: Verdict::Fail,
            ..Fate::default()
        },
    );
    let attempt = rig.stage("b");
    rig.reach(attempt, Phase::Staged).await;
    rig.activate(attempt, "b");
    let view = rig.reach(attempt, Phase::Reverted).await;
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
    assert_eq!(rig.now(), Rig::on("a", "a"));
    assert!(rig.host.state().armed.is_empty());
    assert_eq!(rig.count("profile"), 0);
}

#[tokio::test(start_paused = true)]
async fn checks_without_a_verdict_revert_nothing_before_the_deadman() {
    let mut rig = Rig::new();
    rig.host.set_fate(
        &closure("b"),
        Fate {
            then: Verdict::Unknown,
            ..Fate::default()
        },
    );
    let attempt = rig.stage("b");
    rig.reach(attempt, Phase::Staged).await;
    rig.activate(attempt, "b");
    let (view, ..) = rig.agent.as_mut().unwrap();
    let unknown = |view: &View| {
        view.report
            .as_ref()
            .is_some_and(|report| report.verdict == Some(Verdict::Unknown))
    };
    let report = view.wait_for(unknown).await.unwrap().report.clone().unwrap();
    assert_eq!(report.phase, Phase::Verifying);
    assert!(report.message.unwrap().contains("no descriptors"));
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(rig.now(), Rig::on("b", "a"));
    let view = rig.reach(attempt, Phase::Reverted).await;
    assert!(
        view.report
            .unwrap()
            .message
            .unwrap()
            .contains("dead-man's deadline")
    );
    assert_eq!(rig.now(), Rig::on("a", "a"));
}

/// Invariant 5: nobody says anything any more; it serves until the dead-man's deadline.
#[tokio::test(start_paused = true)]
async fn losing_the_control_plane_reverts_nothing_before_the_deadman() {
    let mut rig = Rig::new();
    let attempt = rig.release("b", false).await;
    rig.told.send_replace(Instruction::Idle);
    tokio::time::sleep(Duration::from_secs(250)).await;
    assert_eq!(rig.now(), Rig::on("b", "a"));
    rig.reach(attempt, Phase::Reverted).await;
    assert_eq!(rig.now(), Rig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_verified_closure_that_dies_is_taken_back_without_being_told() {
    let mut rig = Rig::new();
    let attempt = rig.release("b", false).await;
    rig.host.set_fate(
        &closure("b"),
        Fate {
            rounds: vec![Verdict::Fail, Verdict::Pass],
            then: Verdict::Fail,
            ..Fate::default()
        },
    );
    rig.reach(attempt, Phase::Reverted).await;
    assert_eq!(rig.now(), Rig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_fails_or_hangs_is_taken_back_with_the_reason() {
    for (fate, said) in [
        (
            Fate {
                test_exit: 4,
                ..Fate::default()
            },
            "exited with status 4",
        ),
        (
            Fate {
                switch_seconds: 1000,
                ..Fate::default()
            },
            "did not end within 30 s",
        ),
    ] {
        let mut rig = Rig::new();
        rig.host.set_fate(&closure("b"), fate);
        let attempt = rig.stage("b");
        rig.reach(attempt, Phase::Staged).await;
        rig.activate(attempt, "b");
        let view = rig.reach(attempt, Phase::Reverted).await;
        let message = view.report.unwrap().message.unwrap();
        assert!(message.contains(said), "{message}");
        assert_eq!(rig.now(), Rig::on("a", "a"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_cannot_be_fetched_touches_nothing() {
    let mut rig = Rig::new();
    rig.host.set_fate(
        &closure("b"),
        Fate {
            fetch_fails: Some("no such path".to_owned()),
            ..Fate::default()
        },
    );
    let attempt = rig.stage("b");
    let view = rig.reach(attempt, Phase::StageFailed).await;
    assert!(view.report.unwrap().message.unwrap().contains("no such path"));
    // A late word to activate it changes nothing.
    rig.activate(attempt, "b");
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(rig.host.state().done.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_live_means_no_activation() {
    let mut rig = Rig::new();
    rig.host.state().live = None;
    let attempt = rig.stage("b");
    rig.reach(attempt, Phase::Staged).await;
    rig.activate(attempt, "b");
    let view = rig.reach(attempt, Phase::StageFailed).await;
    let report = view.report.unwrap();
    assert!(report.message.unwrap().contains("activate one by hand first"));
    assert_eq!((report.prior, view.unsettled), (None, None));
    assert_eq!(rig.count("test"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_abort_works_in_every_phase() {
    for phase in [
        Phase::Staging,
        Phase::Staged,
        Phase::Activating,
        Phase::Verifying,
        Phase::Verified,
        Phase::Committed,
    ] {
        let mut rig = Rig::new();
        rig.host.set_fate(
            &closure("b"),
            Fate {
                fetch_seconds: 20,
                switch_seconds: 20,
                ..Fate::default()
            },
        );
        let attempt = rig.stage("b");
        if phase != Phase::Staging {
            rig.reach(attempt, Phase::Staged).await;
        }
        if !matches!(phase, Phase::Staging | Phase::Staged) {
            rig.activate(attempt, "b");
        }
        if phase == Phase::Committed {
            rig.reach(attempt, Phase::Verified).await;
            rig.told.send_replace(Instruction::Commit { attempt });
        }
        rig.reach(attempt, phase).await;
        rig.revert(attempt, Some("a"));
        let before = tokio::time::Instant::now();
        let view = rig.reach(attempt, Phase::Reverted).await;
        assert!(before.elapsed() < Duration::from_secs(10), "{phase:?}");
        assert_eq!(view.unsettled, None);
        assert_eq!(rig.now(), Rig::on("a", "a"), "{phase:?}");
        assert!(rig.host.state().armed.is_empty(), "{phase:?}");
    }
}

/// Invariant 7, and comin's bug: a revert to what ran before is an activation like any other.
#[tokio::test(start_paused = true)]
async fn releasing_a_b_a_activates_a_again() {
    let mut rig = Rig::new();
    rig.release("b", true).await;
    rig.release("a", true).await;
    rig.release("b", true).await;
    assert_eq!(rig.now(), Rig::on("b", "b"));
    assert_eq!(rig.count("test"), 3);
}

/// deploy-rs' bug: an unchanged closure whose attempt is taken back went one generation too far.
#[tokio::test(start_paused = true)]
async fn reverting_an_unchanged_closure_stays_where_it_is() {
    let mut rig = Rig::new();
    rig.release("b", true).await;
    let again = rig.release("b", true).await;
    rig.revert(again, None);
    rig.reach(again, Phase::Reverted).await;
    assert_eq!(rig.now(), Rig::on("b", "b"));
}

/// deploy-rs' bug: what is left of an earlier attempt decided over the next one of the same closure.
#[tokio::test(start_paused = true)]
async fn an_earlier_attempts_word_counts_for_nothing() {
    let mut rig = Rig::new();
    let first = rig.release("b", false).await;
    rig.revert(first, None);
    rig.reach(first, Phase::Reverted).await;
    let second = rig.release("b", false).await;
    // Late words about the first one.
    rig.told.send_replace(Instruction::Commit { attempt: first });
    tokio::time::sleep(Duration::from_secs(20)).await;
    rig.activate(first, "b");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(rig.now(), Rig::on("b", "a"));
    rig.told.send_replace(Instruction::Commit { attempt: second });
    rig.reach(second, Phase::Committed).await;
    assert_eq!(rig.now(), Rig::on("b", "b"));
}

#[tokio::test(start_paused = true)]
async fn a_settled_attempt_is_not_begun_again_and_is_still_reported() {
    let mut rig = Rig::new();
    let first = rig.release("b", false).await;
    rig.revert(first, None);
    rig.reach(first, Phase::Reverted).await;
    rig.release("c", true).await;
    rig.activate(first, "b");
    let view = rig.reach(first, Phase::Reverted).await;
    assert_eq!(view.unsettled, None);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(rig.now(), Rig::on("c", "c"));
}

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
async fn a_restart_goes_on_where_the_journal_ends() {
    for phase in [
        Phase::Staging,
        Phase::Activating,
        Phase::Verifying,
        Phase::Verified,
    ] {
        let mut rig = Rig::new();
        rig.host.set_fate(
            &closure("b"),
            Fate {
                fetch_seconds: 10,
                switch_seconds: 10,
                ..Fate::default()
            },
        );
        let attempt = rig.stage("b");
        if phase != Phase::Staging {
            rig.reach(attempt, Phase::Staged).await;
            rig.activate(attempt, "b");
        }
        rig.reach(attempt, phase).await;
        rig.kill().await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        rig.start();
        if phase == Phase::Staging {
            rig.reach(attempt, Phase::Staged).await;
            continue;
        }
        rig.reach(attempt, Phase::Verified).await;
        rig.told.send_replace(Instruction::Commit { attempt });
        rig.reach(attempt, Phase::Committed).await;
        assert_eq!(rig.now(), Rig::on("b", "b"), "{phase:?}");
        assert_eq!(rig.count("test"), 1, "{phase:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reboot_before_the_commit_ends_on_the_prior() {
    for phase in [Phase::Activating, Phase::Verifying, Phase::Verified] {
        let mut rig = Rig::new();
        rig.host.set_fate(
            &closure("b"),
            Fate {
                switch_seconds: 10,
                ..Fate::default()
            },
        );
        let attempt = rig.stage("b");
        rig.reach(attempt, Phase::Staged).await;
        rig.activate(attempt, "b");
        rig.reach(attempt, phase).await;
        rig.kill().await;
        rig.host.reboot();
        rig.start();
        let view = rig.reach(attempt, Phase::Reverted).await;
        assert!(
            view.report.unwrap().message.unwrap().contains("rebooted"),
            "{phase:?}"
        );
        assert_eq!(rig.now(), Rig::on("a", "a"), "{phase:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_while_committing_ends_with_the_commit() {
    let mut rig = Rig::new();
    let attempt = rig.release("b", false).await;
    rig.host.set_fate(
        &closure("b"),
        Fate {
            switch_seconds: 10,
            ..Fate::default()
        },
    );
    rig.told.send_replace(Instruction::Commit { attempt });
    while rig.count("profile") == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rig.kill().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    rig.start();
    rig.reach(attempt, Phase::Committed).await;
    assert_eq!(rig.now(), Rig::on("b", "b"));
    assert_eq!(rig.count("boot"), 1);
}

/// The power went between the profile and the boot loader: the prior came up.
#[tokio::test(start_paused = true)]
async fn a_reboot_into_the_prior_while_committing_ends_on_the_prior() {
    let mut rig = Rig::new();
    let attempt = rig.release("b", false).await;
    rig.host.set_fate(
        &closure("b"),
        Fate {
            switch_seconds: 10,
            ..Fate::default()
        },
    );
    rig.told.send_replace(Instruction::Commit { attempt });
    while rig.count("profile") == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rig.kill().await;
    rig.host.state().boot_default = Some(closure("a"));
    rig.host.reboot();
    rig.host.state().boot_default = Some(closure("b"));
    rig.start();
    rig.reach(attempt, Phase::Reverted).await;
    assert_eq!(rig.now(), Rig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_boot_loader_fails_is_taken_back() {
    let mut rig = Rig::new();
    rig.host.set_fate(
        &closure("b"),
        Fate {
            boot_exit: 1,
            ..Fate::default()
        },
    );
    let attempt = rig.release("b", false).await;
    rig.told.send_replace(Instruction::Commit { attempt });
    let view = rig.reach(attempt, Phase::Reverted).await;
    let message = view.report.unwrap().message.unwrap();
    assert!(message.contains("switch-to-configuration boot of"), "{message}");
    assert_eq!(rig.now(), Rig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn the_deadman_puts_the_prior_back_when_the_agent_stays_dead() {
    for phase in [Phase::Activating, Phase::Verifying, Phase::Verified] {
        let mut rig = Rig::new();
        rig.host.set_fate(
            &closure("b"),
            Fate {
                switch_seconds: 10,
                ..Fate::default()
            },
        );
        let attempt = rig.stage("b");
        rig.reach(attempt, Phase::Staged).await;
        rig.activate(attempt, "b");
        rig.reach(attempt, phase).await;
        rig.kill().await;
        tokio::time::sleep(Duration::from_mins(5)).await;
        let fired = rig
            .executor()
            .0
            .fire(attempt, Some(closure("a")), "deadline")
            .await
            .unwrap();
        assert_eq!(fired, Fired::Reverted(closure("a")), "{phase:?}");
        assert_eq!(rig.now(), Rig::on("a", "a"), "{phase:?}");
        // The agent comes back, and agrees.
        rig.start();
        rig.reach(attempt, Phase::Reverted).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadman_does_nothing_once_committed_or_for_another_attempt() {
    let mut rig = Rig::new();
    let attempt = rig.release("b", true).await;
    rig.kill().await;
    let fired = rig
        .executor()
        .0
        .fire(attempt, Some(closure("a")), "deadline")
        .await
        .unwrap();
    assert_eq!(fired, Fired::Settled(JournalPhase::Committed));
    let other = AttemptId::random();
    let fired = rig
        .executor()
        .0
        .fire(other, Some(closure("a")), "deadline")
        .await
        .unwrap();
    assert_eq!(fired, Fired::Unknown);
    assert_eq!(rig.now(), Rig::on("b", "b"));
}

#[tokio::test(start_paused = true)]
async fn the_deadman_acts_on_a_lost_journal_when_the_machine_bears_it_out() {
    let mut rig = Rig::new();
    let attempt = rig.release("b", false).await;
    rig.kill().await;
    std::fs::write(rig.store.path(), "damaged").unwrap();
    let fired = rig
        .executor()
        .0
        .fire(attempt, Some(closure("a")), "deadline")
        .await
        .unwrap();
    assert_eq!(fired, Fired::Reverted(closure("a")));
    assert_eq!(rig.now(), Rig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_running_agent_sees_what_the_deadman_did() {
    let mut rig = Rig::new();
    let attempt = rig.release("b", false).await;
    rig.executor()
        .0
        .fire(attempt, None, "a person said so")
        .await
        .unwrap();
    let view = rig.reach(attempt, Phase::Reverted).await;
    assert!(
        view.report
            .unwrap()
            .message
            .unwrap()
            .starts_with("a person said so")
    );
}

#[tokio::test(start_paused = true)]
async fn a_damaged_journal_is_told_of_and_nothing_is_touched() {
    let mut rig = Rig::new();
    rig.release("b", true).await;
    rig.kill().await;
    std::fs::write(rig.store.path(), "{\"version\":1,").unwrap();
    let done = rig.host.state().done.len();
    rig.start();
    let (view, ..) = rig.agent.as_mut().unwrap();
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
    let mut rig = Rig::new();
    let attempt = rig.release("b", false).await;
    std::fs::write(rig.store.path(), "").unwrap();
    rig.told.send_replace(Instruction::Commit { attempt });
    rig.reach(attempt, Phase::Committed).await;
    assert_eq!(rig.now(), Rig::on("b", "b"));
}

#[tokio::test(start_paused = true)]
async fn only_what_may_be_needed_again_stays_protected() {
    let mut rig = Rig::new();
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
    let mut rig = Rig::new();
    let attempt = rig.release("b", false).await;
    rig.host.state().live = Some(closure("x"));
    rig.told.send_replace(Instruction::Commit { attempt });
    let view = rig.reach(attempt, Phase::Reverted).await;
    let message = view.report.unwrap().message.unwrap();
    assert!(
        message.contains("not live any more") || message.contains("something else switched"),
        "{message}"
    );
    assert_eq!(rig.host.observe().boot_default, Some(closure("a")));
}
