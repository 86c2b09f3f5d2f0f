//! An executor on a machine in memory.

use std::sync::Arc;
use std::time::Duration;

use slipway_attempt::{Executor, JournalStore, View};
use slipway_domain::agent::ActivationPlan;
use slipway_domain::strategy::Verify;
use slipway_domain::{AttemptId, Instruction, Phase, StorePath};
use slipway_host::testing::{FakeHost, TokioClock};
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
    }
}

pub(super) struct Rig {
    pub(super) host: Arc<FakeHost>,
    pub(super) clock: TokioClock,
    pub(super) store: JournalStore,
    pub(super) told: watch::Sender<Instruction>,
    pub(super) agent: Option<(watch::Receiver<View>, CancellationToken, JoinHandle<()>)>,
    pub(super) _dir: TempDir,
}

impl Rig {
    pub(super) fn new() -> Self {
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

    pub(super) fn executor(&self) -> (Executor<FakeHost, TokioClock>, watch::Receiver<View>) {
        Executor::new(
            self.host.clone(),
            self.clock,
            self.store.clone(),
            3,
            self.told.subscribe(),
        )
    }

    pub(super) fn start(&mut self) {
        let (executor, view) = self.executor();
        let stop = CancellationToken::new();
        let task = tokio::spawn(executor.run(stop.clone()));
        self.agent = Some((view, stop, task));
    }

    /// As a SIGKILL: nothing more is run, the lock is free.
    pub(super) async fn kill(&mut self) {
        let (_, _, task) = self.agent.take().unwrap();
        task.abort();
        let _ = task.await;
        self.told.send_replace(Instruction::Idle);
    }

    pub(super) fn stage(&self, name: &str) -> AttemptId {
        let attempt = AttemptId::random();
        self.told.send_replace(Instruction::Stage {
            attempt,
            closure: closure(name),
            timeout_seconds: 60,
        });
        attempt
    }

    pub(super) fn activate(&self, attempt: AttemptId, name: &str) {
        self.told.send_replace(Instruction::Activate {
            attempt,
            closure: closure(name),
            plan: plan(),
        });
    }

    pub(super) fn revert(&self, attempt: AttemptId, prior: Option<&str>) {
        self.told.send_replace(Instruction::Revert {
            attempt,
            prior: prior.map(closure),
            timeout_seconds: 60,
        });
    }

    pub(super) async fn reach(&mut self, attempt: AttemptId, phase: Phase) -> View {
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
    pub(super) async fn release(&mut self, name: &str, commit: bool) -> AttemptId {
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
