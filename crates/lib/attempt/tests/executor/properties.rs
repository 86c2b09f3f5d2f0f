//! Random behaviour, kills, reboots, outages and aborts, on a machine in memory whose dead-man works. Whatever happens,
//! the host ends on a release or on its own prior (invariant 2), and its boot default was verified (invariant 3).

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use slipway_attempt::ExecutorView;
use slipway_domain::agent::{Assignment, Verdict, instruct};
use slipway_domain::strategy::Reboot;
use slipway_domain::{AttemptId, AttemptPhase, StepState, StorePath, Strategy as Rollout};
use slipway_host::hooks::HookFailure;
use slipway_host::testing::{ClosureBehaviour, FakeHook};
use tokio::time::{Instant, sleep};

use super::rig::{ExecutorRig, closure};

#[derive(Debug, Clone)]
enum Incident {
    Pass(u64),
    Kill,
    Reboot,
    Outage(u64),
    Abort,
}

fn incident() -> impl Strategy<Value = Incident> {
    prop_oneof![
        5 => (50_u64..8000).prop_map(Incident::Pass),
        3 => Just(Incident::Kill),
        1 => Just(Incident::Reboot),
        1 => (1000_u64..90_000).prop_map(Incident::Outage),
        1 => Just(Incident::Abort),
    ]
}

fn behaviour() -> impl Strategy<Value = ClosureBehaviour> {
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
        (hooks(["before-1", "before-2"]), hooks(["after-1", "after-2"])),
        (any::<bool>(), prop_oneof![4 => Just(false), 1 => Just(true)]),
    )
        .prop_map(
            |(
                fetch_seconds,
                switch_seconds,
                test_exit,
                boot_exit,
                rounds,
                last_verdict,
                (before, after),
                (reboots, hangs_at_boot),
            )| {
                ClosureBehaviour {
                    fetch_seconds,
                    switch_seconds,
                    test_exit,
                    boot_exit,
                    rounds,
                    last_verdict,
                    before,
                    after,
                    reboot_needs: reboots.then(|| "kernel".to_owned()).into_iter().collect(),
                    hangs_at_boot,
                    ..ClosureBehaviour::default()
                }
            },
        )
}

/// None, one or both of these hooks, which succeed, fail or hang.
fn hooks(names: [&'static str; 2]) -> impl Strategy<Value = Vec<FakeHook>> {
    let hook = (
        prop_oneof![4 => 0_u64..4, 1 => Just(100)],
        prop_oneof![4 => Just(0), 1 => Just(1)],
        prop_oneof![Just(HookFailure::Fail), Just(HookFailure::Continue)],
    );
    prop::collection::vec(hook, 0..3).prop_map(move |made| {
        let hooks = made.into_iter().zip(names);
        hooks
            .map(|((seconds, exit, on_failure), name)| FakeHook {
                seconds,
                exit,
                on_failure,
                timeout_seconds: 5,
                ..FakeHook::new(name)
            })
            .collect()
    })
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
    rollout.reboot = Reboot::WhenNeeded;
    rollout.limits.reboot_seconds = 20;
    rollout
}

/// A host with its agent and its dead-man, and what the control plane has decided for it.
struct ControlledHost {
    rig: ExecutorRig,
    assignment: Option<Assignment>,
    outage_until: Instant,
    /// It was asked to go down, and takes a moment for it.
    down_in: Option<u32>,
    proven: BTreeSet<StorePath>,
}

impl ControlledHost {
    fn new() -> Self {
        Self {
            rig: ExecutorRig::running("v0"),
            assignment: None,
            outage_until: Instant::now(),
            down_in: None,
            proven: BTreeSet::from([closure("v0")]),
        }
    }

    fn view(&self) -> ExecutorView {
        let agent = self.rig.agent.as_ref();
        agent.map_or_else(ExecutorView::default, |(view, _)| view.borrow().clone())
    }

    /// A tenth of a second: the control plane and the dead-man do what they do.
    async fn tick(&mut self) -> Result<(), TestCaseError> {
        sleep(Duration::from_millis(100)).await;
        let due: Vec<(AttemptId, StorePath)> = {
            let state = self.rig.host.state();
            let due = state.deadlines.iter().filter(|(_, at)| **at <= Instant::now());
            due.map(|(id, _)| (*id, state.armed[id].clone())).collect()
        };
        for (attempt, prior) in due {
            self.rig.host.state().deadlines.remove(&attempt);
            tokio::spawn(
                self.rig
                    .executor()
                    .0
                    .revert_attempt(attempt, Some(prior), "deadline"),
            );
        }
        self.down_in = match (self.rig.host.state().goes_down, self.down_in) {
            (false, _) => None,
            (true, left) => Some(left.map_or(5, |left| left.saturating_sub(1))),
        };
        if self.down_in == Some(0) && self.rig.agent.is_some() {
            self.rig.reboot().await;
        }
        self.sync();
        let boot_default = self.rig.host.state().boot_default.clone().unwrap();
        prop_assert!(
            self.proven.contains(&boot_default),
            "invariant 3: {boot_default} would boot; {:?}",
            self.rig.store.peek()
        );
        Ok(())
    }

    fn sync(&mut self) {
        if self.outage_until > Instant::now() {
            return;
        }
        let report = self.view().report;
        let Some(step) = &mut self.assignment else { return };
        if let Some(report) = report
            .as_ref()
            .filter(|report| Some(report.attempt) == step.attempt)
        {
            use {AttemptPhase as P, StepState as S};
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
        let instruction = instruct(self.assignment.as_ref(), report.as_ref());
        if self.rig.agent.is_some() {
            self.rig.instructions.send_if_modified(|old| {
                let changed = *old != instruction;
                *old = instruction;
                changed
            });
        }
    }

    async fn apply(&mut self, incident: &Incident) -> Result<(), TestCaseError> {
        match incident {
            Incident::Pass(ms) => {
                for _ in 0..ms.div_ceil(100) {
                    self.tick().await?;
                }
            }
            Incident::Kill => {
                self.rig.kill().await;
                self.tick().await?;
                self.rig.start();
            }
            Incident::Reboot => {
                self.rig.reboot().await;
            }
            Incident::Outage(ms) => {
                self.outage_until = Instant::now() + Duration::from_millis(*ms);
            }
            Incident::Abort => {
                if let Some(step) = &mut self.assignment
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
        behaviour: &ClosureBehaviour,
        incidents: &[Incident],
    ) -> Result<(), TestCaseError> {
        self.rig.host.set_behaviour(&closure(version), behaviour.clone());
        self.assignment = Some(Assignment {
            state: StepState::Staging,
            attempt: Some(AttemptId::random()),
            closure: closure(version),
            prior: None,
            strategy: rollout(),
            origin: None,
            manifest: None,
            approved_plan: None,
        });
        for incident in incidents {
            self.apply(incident).await?;
        }
        Ok(())
    }

    /// A release is only switched to once its hooks before that have run, and a hook that failed and must not has kept it
    /// away.
    fn check_hooks(&self, version: &str, behaviour: &ClosureBehaviour) -> Result<(), TestCaseError> {
        let state = self.rig.host.state();
        let switch = format!("test {}", closure(version).base_name());
        if !state.done.contains(&switch) {
            return Ok(());
        }
        for hook in &behaviour.before {
            let begun = format!("before-activate {}", hook.name);
            prop_assert!(
                state.begun.contains(&begun),
                "{} did not run: {:?}",
                hook.name,
                state.done
            );
            let failed = hook.exit != 0 || hook.seconds > u64::from(hook.timeout_seconds);
            prop_assert!(
                !failed || hook.on_failure == HookFailure::Continue,
                "{} failed, and the host was switched: {:?}",
                hook.name,
                state.done
            );
        }
        Ok(())
    }

    /// Everything is mended; the host must come to rest.
    async fn rest(&mut self) -> Result<(), TestCaseError> {
        self.rig.host.state().behaviours.clear();
        for _ in 0..20_000 {
            self.tick().await?;
            let step = self.assignment.as_ref().unwrap().state;
            let unsettled = self.view().unsettled;
            let hooks = self
                .rig
                .store
                .peek()
                .is_ok_and(|journal| journal.current.is_some_and(|current| current.hooks.is_some()));
            if matches!(step, StepState::Committed | StepState::Reverted) && unsettled.is_none() && !hooks {
                return Ok(());
            }
        }
        Err(TestCaseError::fail(format!(
            "it does not come to rest: {:?}, {:?}",
            self.assignment,
            self.rig.store.peek()
        )))
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let step = self.assignment.clone().unwrap();
        let state = self.rig.host.state();
        prop_assert_eq!(&state.live, &state.boot_default, "invariant 2: half switched");
        prop_assert!(state.armed.is_empty(), "a dead-man is left: {:?}", state.armed);
        prop_assert!(state.boot_deadmen.is_empty(), "a boot's dead-man is left");
        prop_assert!(
            state.boot_once.is_none(),
            "it would boot once: {:?}",
            state.boot_once
        );
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
        first in (behaviour(), prop::collection::vec(incident(), 0..12)),
        second in (behaviour(), prop::collection::vec(incident(), 0..12)),
        same_again in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut host = ControlledHost::new();
            host.release("v1", &first.0, &first.1).await?;
            host.check_hooks("v1", &first.0)?;
            // A rollout begins when the one before is over, or a person made it so.
            let over = matches!(
                host.assignment.as_ref().unwrap().state,
                StepState::Committed | StepState::Reverted | StepState::Stuck
            );
            if over {
                let version = if same_again { "v1" } else { "v2" };
                host.release(version, &second.0, &second.1).await?;
            }
            host.rest().await?;
            host.check()
        })?;
    }
}
