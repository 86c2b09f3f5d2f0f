//! Random fates, kills, reboots, outages and aborts, on a machine in memory whose dead-man works. Whatever happens, the
//! host ends on a release or on its own prior (invariant 2), and its boot default was verified (invariant 3).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use slipway_attempt::{Executor, JournalStore, View};
use slipway_domain::agent::{Assignment, Verdict, instruct};
use slipway_domain::{AttemptId, Instruction, Phase, StepState, StorePath, Strategy as Rollout};
use slipway_host::testing::{FakeHost, Fate, TokioClock};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

fn closure(name: &str) -> StorePath {
    format!("/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-{name}")
        .parse()
        .unwrap()
}

#[derive(Debug, Clone)]
enum Happening {
    Pass(u64),
    Kill,
    Reboot,
    Outage(u64),
    Abort,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        5 => (50_u64..8000).prop_map(Happening::Pass),
        3 => Just(Happening::Kill),
        1 => Just(Happening::Reboot),
        1 => (1000_u64..90_000).prop_map(Happening::Outage),
        1 => Just(Happening::Abort),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    let verdict = prop_oneof![
        4 => Just(Verdict::Pass),
        1 => Just(Verdict::Fail),
        1 => Just(Verdict::Unknown)
    ];
    let exit = || prop_oneof![5 => Just(0), 1 => Just(1)];
    (
        0_u64..3,
        0_u64..4,
        exit(),
        exit(),
        prop::collection::vec(verdict.clone(), 0..6),
        verdict,
    )
        .prop_map(
            |(fetch_seconds, switch_seconds, test_exit, boot_exit, rounds, then)| Fate {
                fetch_seconds,
                switch_seconds,
                test_exit,
                boot_exit,
                rounds,
                then,
                ..Fate::default()
            },
        )
}

fn rollout() -> Rollout {
    let mut rollout = Rollout {
        bake_seconds: 2,
        ..Rollout::default()
    };
    rollout.verify.passes = 2;
    rollout.verify.interval_seconds = 1;
    rollout.verify.timeout_seconds = 5;
    rollout.limits.activate_seconds = 10;
    rollout.limits.deadman_seconds = 60;
    rollout.limits.revert_seconds = 20;
    rollout
}

struct World {
    host: Arc<FakeHost>,
    clock: TokioClock,
    store: JournalStore,
    told: watch::Sender<Instruction>,
    view: Arc<Mutex<watch::Receiver<View>>>,
    agent: Option<(CancellationToken, JoinHandle<()>)>,
    assignment: Arc<Mutex<Option<Assignment>>>,
    outage: Arc<Mutex<Instant>>,
    proven: BTreeSet<StorePath>,
    _dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut world = Self {
            host: Arc::new(FakeHost::running(&closure("v0"))),
            clock: TokioClock::new(),
            store: JournalStore::open(dir.path()).unwrap(),
            told: watch::channel(Instruction::Idle).0,
            view: Arc::new(Mutex::new(watch::channel(View::default()).1)),
            agent: None,
            assignment: Arc::default(),
            outage: Arc::new(Mutex::new(Instant::now())),
            proven: BTreeSet::from([closure("v0")]),
            _dir: dir,
        };
        world.start();
        world
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
        *self.view.lock().unwrap() = view;
        let stop = CancellationToken::new();
        self.agent = Some((stop.clone(), tokio::spawn(executor.run(stop))));
    }

    async fn kill(&mut self) {
        if let Some((_, task)) = self.agent.take() {
            task.abort();
            let _ = task.await;
        }
        self.told.send_replace(Instruction::Idle);
        *self.view.lock().unwrap() = watch::channel(View::default()).1;
    }

    /// A tenth of a second: the control plane and the dead-man do what they do.
    async fn tick(&mut self) -> Result<(), TestCaseError> {
        sleep(Duration::from_millis(100)).await;
        let due: Vec<(AttemptId, StorePath)> = {
            let state = self.host.state();
            let due = state.deadlines.iter().filter(|(_, at)| **at <= Instant::now());
            due.map(|(id, _)| (*id, state.armed[id].clone())).collect()
        };
        for (attempt, prior) in due {
            self.host.state().deadlines.remove(&attempt);
            tokio::spawn(self.executor().0.fire(attempt, Some(prior), "deadline"));
        }
        self.sync();
        let boot_default = self.host.state().boot_default.clone().unwrap();
        prop_assert!(
            self.proven.contains(&boot_default),
            "invariant 3: {boot_default} would boot; {:?}",
            self.store.peek()
        );
        Ok(())
    }

    fn sync(&mut self) {
        if *self.outage.lock().unwrap() > Instant::now() {
            return;
        }
        let report = self.view.lock().unwrap().borrow().report.clone();
        let mut assignment = self.assignment.lock().unwrap();
        let Some(step) = assignment.as_mut() else { return };
        if let Some(report) = report
            .as_ref()
            .filter(|report| Some(report.attempt) == step.attempt)
        {
            use {Phase as P, StepState as S};
            if step.prior.is_none() {
                step.prior.clone_from(&report.prior);
            }
            step.state = match (step.state, report.phase) {
                (S::Committed | S::Reverted, _) => step.state,
                (_, P::Reverted | P::StageFailed) => S::Reverted,
                (S::Staging, P::Staged) => S::Activating,
                (S::Activating, P::Verifying) => S::Verifying,
                (S::Activating | S::Verifying, P::Verified) => {
                    self.proven.insert(step.closure.clone());
                    S::Verified
                }
                (S::Verified, P::Committed) => S::Committed,
                (S::Activating | S::Verifying | S::Verified, P::Reverting) => S::Reverting,
                (_, P::Stuck) => S::Stuck,
                (state, _) => state,
            };
        }
        let told = instruct(assignment.as_ref(), report.as_ref());
        if self.agent.is_some() {
            self.told.send_if_modified(|old| {
                let news = *old != told;
                *old = told;
                news
            });
        }
    }

    async fn happen(&mut self, happening: &Happening) -> Result<(), TestCaseError> {
        match happening {
            Happening::Pass(ms) => {
                for _ in 0..ms.div_ceil(100) {
                    self.tick().await?;
                }
            }
            Happening::Kill => {
                self.kill().await;
                self.tick().await?;
                self.start();
            }
            Happening::Reboot => {
                self.kill().await;
                self.host.reboot();
                self.start();
            }
            Happening::Outage(ms) => {
                *self.outage.lock().unwrap() = Instant::now() + Duration::from_millis(*ms);
            }
            Happening::Abort => {
                let mut assignment = self.assignment.lock().unwrap();
                if let Some(step) = assignment.as_mut()
                    && !matches!(step.state, StepState::Staging | StepState::Reverted)
                {
                    step.state = StepState::Reverting;
                }
            }
        }
        Ok(())
    }

    async fn release(
        &mut self,
        version: &str,
        fate: &Fate,
        happenings: &[Happening],
    ) -> Result<(), TestCaseError> {
        self.host.set_fate(&closure(version), fate.clone());
        *self.assignment.lock().unwrap() = Some(Assignment {
            state: StepState::Staging,
            attempt: Some(AttemptId::random()),
            closure: closure(version),
            prior: None,
            strategy: rollout(),
        });
        for happening in happenings {
            self.happen(happening).await?;
        }
        Ok(())
    }

    /// Everything is mended; the host must come to rest.
    async fn rest(&mut self) -> Result<(), TestCaseError> {
        self.host.state().fates.clear();
        for _ in 0..20_000 {
            self.tick().await?;
            let step = self.assignment.lock().unwrap().as_ref().unwrap().state;
            let unsettled = self.view.lock().unwrap().borrow().unsettled;
            if matches!(step, StepState::Committed | StepState::Reverted) && unsettled.is_none() {
                return Ok(());
            }
        }
        let step = self.assignment.lock().unwrap().clone();
        Err(TestCaseError::fail(format!(
            "it does not come to rest: {step:?}, {:?}",
            self.store.peek()
        )))
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let step = self.assignment.lock().unwrap().clone().unwrap();
        let state = self.host.state();
        prop_assert_eq!(&state.live, &state.boot_default, "invariant 2: half switched");
        prop_assert!(state.armed.is_empty(), "a dead-man is left: {:?}", state.armed);
        match (step.state, step.prior) {
            (StepState::Committed, _) => prop_assert_eq!(state.live.as_ref(), Some(&step.closure)),
            (_, Some(prior)) => prop_assert_eq!(state.live.as_ref(), Some(&prior)),
            (..) => {}
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn invariants_2_and_3_hold_whatever_happens(
        first in (fate(), prop::collection::vec(happening(), 0..12)),
        second in (fate(), prop::collection::vec(happening(), 0..12)),
        same_again in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            world.release("v1", &first.0, &first.1).await?;
            // A rollout begins when the one before is over, or a person made it so.
            let over = matches!(
                world.assignment.lock().unwrap().as_ref().unwrap().state,
                StepState::Committed | StepState::Reverted | StepState::Stuck
            );
            if over {
                let version = if same_again { "v1" } else { "v2" };
                world.release(version, &second.0, &second.1).await?;
            }
            world.rest().await?;
            world.check()
        })?;
    }
}
