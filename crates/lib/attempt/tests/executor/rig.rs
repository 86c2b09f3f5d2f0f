//! An executor on a machine in memory.

use std::sync::Arc;
use std::time::Duration;

use slipway_attempt::{Executor, ExecutorView, JournalStore, RevertOutcome};
use slipway_domain::agent::ActivationPlan;
use slipway_domain::strategy::{Reboot, Verify};
use slipway_domain::{AttemptId, AttemptPhase, Instruction, StorePath};
use slipway_host::testing::{ClosureBehaviour, FakeHost, TokioClock};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(super) fn closure(name: &str) -> StorePath {
    format!("/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-{name}")
        .parse()
        .unwrap()
}

pub(super) fn plan() -> ActivationPlan {
    ActivationPlan {
        activate_seconds: 30,
        deadman_seconds: 300,
        verify: Verify {
            passes: 2,
            interval_seconds: 1,
            timeout_seconds: 10,
        },
        bake_seconds: 5,
        revert_seconds: None,
        reboot: Reboot::Never,
        reboot_seconds: 0,
    }
}

pub(super) struct ExecutorRig {
    pub(super) host: Arc<FakeHost>,
    pub(super) clock: TokioClock,
    pub(super) store: JournalStore,
    pub(super) instructions: watch::Sender<Instruction>,
    pub(super) agent: Option<(watch::Receiver<ExecutorView>, JoinHandle<()>)>,
    pub(super) most_reboots: u32,
    pub(super) _dir: TempDir,
}

impl ExecutorRig {
    pub(super) fn new() -> Self {
        Self::running("a")
    }

    /// An agent on a machine that runs and boots this closure.
    pub(super) fn running(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut rig = Self {
            host: Arc::new(FakeHost::running(&closure(name))),
            clock: TokioClock::new(),
            store: JournalStore::open(dir.path()).unwrap(),
            instructions: watch::channel(Instruction::Idle).0,
            agent: None,
            most_reboots: u32::MAX,
            _dir: dir,
        };
        rig.start();
        rig
    }

    pub(super) fn executor(&self) -> (Executor<FakeHost, TokioClock>, watch::Receiver<ExecutorView>) {
        let (executor, view) = Executor::new(
            self.host.clone(),
            self.clock,
            self.store.clone(),
            3,
            self.instructions.subscribe(),
        );
        (executor.with_most_reboots_per_day(self.most_reboots), view)
    }

    pub(super) fn start(&mut self) {
        let (executor, view) = self.executor();
        let task = tokio::spawn(executor.run(CancellationToken::new()));
        self.agent = Some((view, task));
    }

    /// As a SIGKILL: nothing more is run, the lock is free.
    pub(super) async fn kill(&mut self) {
        if let Some((_, task)) = self.agent.take() {
            task.abort();
            let _ = task.await;
        }
        self.instructions.send_replace(Instruction::Idle);
    }

    pub(super) fn stage(&self, name: &str) -> AttemptId {
        let attempt = AttemptId::random();
        self.instructions.send_replace(Instruction::Stage {
            attempt,
            closure: closure(name),
            timeout_seconds: 60,
            origin: None,
            manifest: None,
        });
        attempt
    }

    pub(super) fn activate(&self, attempt: AttemptId, name: &str) {
        self.activate_by(attempt, name, plan());
    }

    pub(super) fn activate_by(&self, attempt: AttemptId, name: &str, plan: ActivationPlan) {
        self.instructions.send_replace(Instruction::Activate {
            attempt,
            closure: closure(name),
            plan,
            approved_plan: None,
        });
    }

    /// The power goes and comes back, or the machine boots again as it was asked to.
    pub(super) async fn reboot(&mut self) {
        self.kill().await;
        self.host.reboot();
        self.clock = self.clock.rebooted();
        self.start();
    }

    pub(super) fn revert(&self, attempt: AttemptId, prior: Option<&str>) {
        self.instructions.send_replace(Instruction::Revert {
            attempt,
            prior: prior.map(closure),
            timeout_seconds: 60,
        });
    }

    pub(super) fn commit(&self, attempt: AttemptId) {
        self.instructions.send_replace(Instruction::Commit { attempt });
    }

    /// The dead-man's revert, by its own process.
    pub(super) async fn run_deadman(&self, attempt: AttemptId) -> RevertOutcome {
        let (executor, _) = self.executor();
        executor
            .revert_attempt(attempt, Some(closure("a")), "deadline")
            .await
    }

    /// Makes the closure behave in this way from now on, and ordinarily otherwise.
    pub(super) fn behave(&self, name: &str, change: impl FnOnce(&mut ClosureBehaviour)) {
        let mut behaviour = ClosureBehaviour::default();
        change(&mut behaviour);
        self.host.set_behaviour(&closure(name), behaviour);
    }

    pub(super) async fn reach(&mut self, attempt: AttemptId, phase: AttemptPhase) -> ExecutorView {
        let (view, _) = self.agent.as_mut().unwrap();
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

    /// What is reported when the attempt reaches the phase.
    pub(super) async fn message(&mut self, attempt: AttemptId, phase: AttemptPhase) -> String {
        let view = self.reach(attempt, phase).await;
        view.report.unwrap().message.unwrap()
    }

    /// Stages and activates.
    pub(super) async fn begin(&mut self, name: &str) -> AttemptId {
        let attempt = self.stage(name);
        self.reach(attempt, AttemptPhase::Staged).await;
        self.activate(attempt, name);
        attempt
    }

    /// Stages, activates and verifies, and commits when asked to.
    pub(super) async fn release(&mut self, name: &str, commit: bool) -> AttemptId {
        let attempt = self.begin(name).await;
        self.reach(attempt, AttemptPhase::Verified).await;
        if commit {
            self.commit(attempt);
            self.reach(attempt, AttemptPhase::Committed).await;
        }
        attempt
    }

    /// An attempt whose prior cannot be switched to.
    pub(super) async fn stick(&mut self) -> AttemptId {
        let attempt = self.release("b", false).await;
        self.behave("a", |it| it.test_exit = 1);
        self.revert(attempt, None);
        self.reach(attempt, AttemptPhase::Stuck).await;
        attempt
    }

    /// Waits until a commit has moved the profile.
    pub(super) async fn profile_moved(&self) {
        while self.count("profile") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) fn now(&self) -> (String, String) {
        let state = self.host.state();
        let name = |path: &Option<StorePath>| path.as_ref().unwrap().base_name()[33..].to_owned();
        (name(&state.live), name(&state.boot_default))
    }

    pub(super) fn on(live: &str, boot: &str) -> (String, String) {
        (live.to_owned(), boot.to_owned())
    }

    pub(super) fn count(&self, what: &str) -> usize {
        let state = self.host.state();
        state.done.iter().filter(|done| done.starts_with(what)).count()
    }
}
