//! Applying changes.

use slipway_domain::decide::{Change, Effect};
use slipway_domain::event::Actor;
use slipway_domain::snapshot::{RevertScope, Snapshot, StepSnapshot};
use slipway_domain::{AttemptId, CommandId, RolloutId, RolloutState, StepId, StepState};
use slipway_store::{Applied, Lease, StoreError};
use slipway_testkit::closure;
use sqlx::PgPool;

use crate::support::{Fleet, claim, sql, store, strip_digests};

struct ApplyBench {
    fleet: Fleet,
    rollout: RolloutId,
    lease: Lease,
}

impl ApplyBench {
    async fn new(pool: &PgPool) -> Self {
        let fleet = Fleet::of(2).seed(&store(pool)).await;
        let rollout = fleet.rollout(1).await;
        let lease = claim(&fleet.store, "w").await;
        Self {
            fleet,
            rollout,
            lease,
        }
    }

    async fn snapshot(&self) -> Snapshot {
        let loaded = self.fleet.store.load_snapshot(&self.lease, &self.fleet.key);
        loaded.await.unwrap().0
    }

    async fn steps(&self) -> Vec<StepSnapshot> {
        self.snapshot().await.steps
    }

    async fn apply(&self, effects: Vec<Effect>) -> Result<Applied, StoreError> {
        let changes: Vec<Change> = effects
            .into_iter()
            .map(|effect| Change {
                effect,
                actor: Actor::Rules,
                cause: "a cause".to_owned(),
            })
            .collect();
        self.fleet
            .store
            .apply(&self.lease, &changes, &self.fleet.key)
            .await
    }

    /// Nothing but an error comes of it.
    async fn refused(&self, effects: Vec<Effect>) -> StoreError {
        let before = (
            self.fleet.store.get_rollout(self.rollout).await.unwrap(),
            self.fleet.store.event_head().await.unwrap(),
        );
        let error = self.apply(effects).await.unwrap_err();
        let after = (
            self.fleet.store.get_rollout(self.rollout).await.unwrap(),
            self.fleet.store.event_head().await.unwrap(),
        );
        assert_eq!(before, after, "{error}");
        error
    }
}

fn step(step: StepId, from: StepState, to: StepState) -> Effect {
    Effect::Step {
        step,
        from,
        to,
        attempt: None,
        reset_failures: false,
    }
}

fn rollout(from: RolloutState, to: RolloutState, scope: Option<RevertScope>) -> Effect {
    Effect::Rollout {
        from,
        to,
        scope,
        awaits_verdict: false,
    }
}

use RolloutState as R;
use StepState as S;

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_step_keeps_attempt_failures_prior_and_reason(pool: PgPool) {
    let bench = ApplyBench::new(&pool).await;
    let id = bench.steps().await[0].id;
    let host = bench.steps().await[0].host;
    let attempt = AttemptId::random();
    let begin = Effect::Step {
        step: id,
        from: S::Waiting,
        to: S::Staging,
        attempt: Some(attempt),
        reset_failures: false,
    };
    let since = bench.steps().await[0].since;
    let applied = bench.apply(vec![begin]).await.unwrap();
    assert_eq!(applied.state, R::Staging);
    assert_eq!(applied.hosts, [host], "only the host whose step changed");
    let now = &bench.steps().await[0];
    assert_eq!(
        (now.state, now.attempt, now.failures, &now.reason),
        (S::Staging, Some(attempt), 0, &None)
    );
    assert!(now.since > since);

    let prior = Effect::Prior {
        step: id,
        prior: closure("prod-0", 0),
    };
    let since = now.since;
    bench.apply(vec![prior]).await.unwrap();
    let now = &bench.steps().await[0];
    assert_eq!(
        (now.prior.clone(), now.since),
        (Some(closure("prod-0", 0)), since),
        "no change of state"
    );

    for (from, to, failures) in [
        (S::Staging, S::Staged, 0),
        (S::Staged, S::Activating, 0),
        (S::Activating, S::Reverting, 0),
        (S::Reverting, S::Stuck, 1),
        (S::Stuck, S::Reverted, 2),
    ] {
        bench.apply(vec![step(id, from, to)]).await.unwrap();
        let now = &bench.steps().await[0];
        assert_eq!(
            (now.state, now.failures, now.attempt),
            (to, failures, Some(attempt)),
            "{to}"
        );
        let explained = matches!(to, S::Reverting | S::Stuck | S::Reverted);
        assert_eq!(now.reason.as_deref(), explained.then_some("a cause"), "{to}");
    }
    let again = Effect::Step {
        step: id,
        from: S::Reverted,
        to: S::Waiting,
        attempt: None,
        reset_failures: true,
    };
    bench.apply(vec![again]).await.unwrap();
    let now = &bench.steps().await[0];
    assert_eq!((now.state, now.failures, &now.reason), (S::Waiting, 0, &None));
    assert_eq!(
        now.prior,
        Some(closure("prod-0", 0)),
        "what ran before is not forgotten"
    );

    let events = bench
        .fleet
        .store
        .list_events(bench.rollout, 0, 100)
        .await
        .unwrap();
    let last = events.last().unwrap();
    assert_eq!((last.event.step, last.event.host), (Some(id), Some(host)));
    assert_eq!(
        (last.event.from.as_deref(), last.event.to.as_deref()),
        (Some("reverted"), Some("waiting"))
    );
    assert_eq!(last.host_name.as_ref().unwrap().as_str(), "prod-0");
    assert_eq!(events.len(), 9, "one for each change, and its making");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_keeps_scope_reason_and_its_end(pool: PgPool) {
    let bench = ApplyBench::new(&pool).await;
    let now = async || {
        bench
            .fleet
            .store
            .get_rollout(bench.rollout)
            .await
            .unwrap()
            .summary
    };
    bench
        .apply(vec![rollout(R::Staging, R::Rolling, None)])
        .await
        .unwrap();
    assert_eq!((now().await.state, now().await.reason), (R::Rolling, None));
    bench
        .apply(vec![rollout(R::Rolling, R::Reverting, Some(RevertScope::All))])
        .await
        .unwrap();
    let before = now().await;
    assert_eq!(
        (bench.snapshot().await.rollout.scope, before.reason.as_deref()),
        (Some(RevertScope::All), Some("a cause"))
    );
    bench
        .apply(vec![Effect::Scope(RevertScope::InFlight)])
        .await
        .unwrap();
    assert_eq!(
        (bench.snapshot().await.rollout.scope, now().await.since),
        (Some(RevertScope::InFlight), before.since)
    );
    bench
        .apply(vec![rollout(R::Reverting, R::Aborted, None)])
        .await
        .unwrap();
    let after = now().await;
    assert_eq!(
        (after.state, bench.snapshot().await.rollout.scope),
        (R::Aborted, Some(RevertScope::InFlight))
    );
    assert_eq!(after.finished_at, Some(after.since));
    let error = bench.refused(vec![Effect::Scope(RevertScope::All)]).await;
    assert!(
        error.to_string().contains("only one that goes back has a scope"),
        "{error}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn all_or_nothing(pool: PgPool) {
    let bench = ApplyBench::new(&pool).await;
    let steps = bench.steps().await;
    let good = step(steps[0].id, S::Waiting, S::Skipped);

    let error = bench
        .refused(vec![good.clone(), step(steps[1].id, S::Staging, S::Staged)])
        .await;
    assert!(matches!(error, StoreError::StaleLease { .. }), "{error:?}");
    assert!(error.to_string().contains("is waiting, not staging"), "{error}");
    let error = bench
        .refused(vec![good.clone(), rollout(R::Rolling, R::Succeeded, None)])
        .await;
    assert!(
        error.to_string().contains("it is staging, not rolling"),
        "{error}"
    );
    let error = bench
        .refused(vec![good.clone(), step(steps[1].id, S::Waiting, S::Verified)])
        .await;
    assert!(matches!(error, StoreError::IllegalChange(_)), "{error:?}");
    let error = bench
        .refused(vec![good.clone(), rollout(R::Staging, R::Succeeded, None)])
        .await;
    assert!(
        error.to_string().ends_with("from staging to succeeded"),
        "{error}"
    );
    let stranger = StepId::generate();
    let error = bench
        .refused(vec![good.clone(), step(stranger, S::Waiting, S::Skipped)])
        .await;
    assert_eq!(
        error.to_string(),
        format!("there is no step of this rollout `{stranger}`")
    );
    let command = Effect::Command {
        command: CommandId::generate(),
        refused: None,
    };
    let error = bench.refused(vec![good.clone(), command]).await;
    assert!(error.to_string().contains("was taken already"), "{error}");

    bench.apply(vec![good.clone()]).await.unwrap();
    let error = bench.refused(vec![good]).await;
    assert!(error.to_string().contains("is skipped, not waiting"), "{error}");
}

/// Two changes of one step in one go: the second starts from what the first made.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn changes_follow_one_another(pool: PgPool) {
    let bench = ApplyBench::new(&pool).await;
    let id = bench.steps().await[0].id;
    bench
        .apply(vec![
            step(id, S::Waiting, S::Reverted),
            step(id, S::Reverted, S::Waiting),
        ])
        .await
        .unwrap();
    let now = &bench.steps().await[0];
    assert_eq!((now.state, now.failures), (S::Waiting, 1));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_whole_fleet_changes_in_one_go(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    sql(
        &pool,
        "INSERT INTO hosts (id, environment_id, name, last_seen_at)
         SELECT gen_random_uuid(), e.id, 'bulk-' || n, now() FROM environments e, generate_series(1, 1000) n",
    )
    .await;
    let rollout = fleet.rollout(1).await;
    sql(
        &pool,
        "INSERT INTO steps (id, rollout_id, host_id, wave, closure)
         SELECT gen_random_uuid(), r.id, h.id, 1, '/nix/store/00000000000000000000000000000001-' || h.name
         FROM rollouts r, hosts h WHERE h.name LIKE 'bulk-%'",
    )
    .await;
    // Without digests the log says nothing against the steps that were written by hand.
    strip_digests(&pool, &fleet.key).await;
    let lease = claim(&fleet.store, "w").await;
    let (snapshot, now) = fleet.store.load_snapshot(&lease, &fleet.key).await.unwrap();
    assert_eq!(snapshot.swapped, None);
    let changes = slipway_domain::decide::decide(&snapshot, now, &mut AttemptId::random);
    let applied = fleet.store.apply(&lease, &changes, &fleet.key).await.unwrap();
    assert_eq!(applied.hosts.len(), 1001);
    let steps = fleet.store.get_rollout(rollout).await.unwrap().steps;
    let skipped = steps.iter().filter(|step| step.state == S::Skipped).count();
    let staging = steps.iter().filter(|step| step.state == S::Staging).count();
    assert_eq!((steps.len(), skipped, staging), (1001, 1, 1000));
    let report = fleet.store.verify_chain(&fleet.key).await.unwrap();
    assert!(report.events > 1001);
    // The chain is whole; only the hosts that were written by hand are found.
    let broken = report.problem.unwrap();
    assert!(
        report.broken_at.is_none() && broken.contains("host bulk-"),
        "{broken}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_pause_for_want_of_a_verdict_is_known_until_the_state_changes(pool: PgPool) {
    let bench = ApplyBench::new(&pool).await;
    let awaits = async || bench.snapshot().await.rollout.awaits_verdict;
    let pause = |awaits_verdict| Effect::Rollout {
        from: RolloutState::Staging,
        to: RolloutState::Paused,
        scope: None,
        awaits_verdict,
    };
    for awaited in [true, false] {
        bench.apply(vec![pause(awaited)]).await.unwrap();
        assert_eq!(awaits().await, awaited);
        bench
            .apply(vec![rollout(RolloutState::Paused, RolloutState::Staging, None)])
            .await
            .unwrap();
        assert!(!awaits().await);
    }
    // A program of release 0.1.0 knows nothing of it: what it pauses waits for a person.
    bench.apply(vec![pause(true)]).await.unwrap();
    sql(
        &pool,
        "UPDATE rollouts SET state = 'paused', since = now() + interval '1 second'",
    )
    .await;
    assert!(!awaits().await);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_activation_is_counted_from_its_beginning(pool: PgPool) {
    let bench = ApplyBench::new(&pool).await;
    let activated = async || bench.steps().await[0].activated;
    let id = bench.steps().await[0].id;
    let states = [
        StepState::Waiting,
        StepState::Staging,
        StepState::Staged,
        StepState::Activating,
        StepState::Verifying,
    ];
    for pair in states.windows(2) {
        assert_eq!(activated().await.is_some(), pair[0] == StepState::Activating);
        bench.apply(vec![step(id, pair[0], pair[1])]).await.unwrap();
    }
    let step = bench.steps().await.remove(0);
    assert!(activated().await.unwrap() < step.since);
}
