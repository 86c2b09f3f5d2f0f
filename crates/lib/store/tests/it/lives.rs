//! Old news and second machines.

use std::time::Duration;

use slipway_domain::agent::{AttemptReport, HookPoint, HooksReport, RunningHook, Verdict};
use slipway_domain::{AttemptId, AttemptPhase, HostId, Instruction, Observation, RolloutState, StepState};
use slipway_store::{Lease, StoreError, Stored};
use slipway_testkit::{ScriptedAgent, begin, closure, wait_until};
use slipway_wire::fleet::Host;
use slipway_wire::rollout::Step;
use sqlx::PgPool;

use crate::support::{Fleet, agents, claim, drive, settle, sql, store};

const SECOND: u64 = 1_000_000;

/// One host that has verified a release and waits to be told to commit.
struct LivesBench {
    fleet: Fleet,
    agent: ScriptedAgent,
    lease: Lease,
}

impl LivesBench {
    async fn verified(pool: &PgPool) -> Self {
        let fleet = Fleet::of(1).seed(&store(pool)).await;
        let mut agent = agents(&fleet).remove(0);
        agent.counter = Some(1000 * SECOND);
        agent.sync(&fleet.store).await;
        fleet.rollout(1).await;
        let lease = claim(&fleet.store, "w").await;
        while agent.report.as_ref().map(|report| report.phase) != Some(AttemptPhase::Verified) {
            settle(&fleet.store, &lease).await.unwrap();
            agent.sync(&fleet.store).await;
        }
        Self { fleet, agent, lease }
    }

    /// What the agent would post now.
    async fn observation(&mut self) -> Observation {
        self.agent.counter = self.agent.counter.map(|counter| counter + 1);
        self.agent.observation(self.fleet.store.now().await.unwrap())
    }

    async fn post(&self, seen: &Observation) -> Result<(), StoreError> {
        let recorded = self.fleet.store.record_observation(self.agent.id, seen).await;
        recorded.map(drop)
    }

    async fn step(&self) -> Step {
        let rollout = self.fleet.store.get_rollout(self.lease.rollout).await.unwrap();
        rollout.steps.into_iter().next().unwrap()
    }

    async fn host(&self) -> Stored<HostId, Host> {
        let name = &self.agent.name;
        self.fleet.store.get_host_by_name(name).await.unwrap()
    }

    async fn settle(&self) {
        settle(&self.fleet.store, &self.lease).await.unwrap();
    }

    async fn state(&self) -> (RolloutState, Option<String>) {
        let summary = self
            .fleet
            .store
            .get_rollout(self.lease.rollout)
            .await
            .unwrap()
            .summary;
        (summary.state, summary.reason)
    }

    /// A machine with the same disk and token, booted a while after the host was.
    fn second_machine(&self, phase: AttemptPhase) -> ScriptedAgent {
        let mut clone = self.agent.clone();
        "c10ne".clone_into(&mut clone.boot_id);
        clone.counter = Some(500 * SECOND);
        if let Some(report) = &mut clone.report {
            report.phase = phase;
        }
        clone
    }

    /// Lets the time pass after which a boot that replaced another is believed.
    async fn let_settle(&self, pool: &PgPool) {
        sql(
            pool,
            "UPDATE hosts SET boot_replaced_at = boot_replaced_at - interval '46 seconds'",
        )
        .await;
    }
}

fn went_back(mut seen: Observation) -> Observation {
    seen.live = Some(closure("prod-0", 0));
    seen.unsettled = None;
    if let Some(report) = &mut seen.report {
        (report.phase, report.verdict) = (AttemptPhase::Reverted, Some(Verdict::Fail));
    }
    seen
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_late_observation_is_refused_and_changes_nothing(pool: PgPool) {
    let mut bench = LivesBench::verified(&pool).await;
    let late = went_back(bench.observation().await);
    let newer = bench.observation().await;
    bench.post(&newer).await.unwrap();
    let error = bench.post(&late).await.unwrap_err();
    assert!(matches!(error, StoreError::OldObservation { .. }), "{error}");
    assert!(error.to_string().contains("`prod-0` is older"), "{error}");
    bench.settle().await;
    assert_eq!(bench.step().await.state, StepState::Verified);
    assert_eq!(bench.host().await.live, newer.live);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_update_that_stalls_and_lands_after_a_newer_one_changes_nothing(pool: PgPool) {
    let mut bench = LivesBench::verified(&pool).await;
    let late = went_back(bench.observation().await);
    let newer = bench.observation().await;

    // The newer one is written and not committed; the older one waits for the row.
    let mut holder = begin(&pool).await;
    let counter = i64::try_from(newer.counter.unwrap()).unwrap();
    sqlx::query("UPDATE hosts SET boot_counter = $1, live = $2 WHERE name = 'prod-0'")
        .bind(counter)
        .bind(closure("prod-0", 1).as_str())
        .execute(&mut *holder)
        .await
        .unwrap();
    let (store, host) = (bench.fleet.store.clone(), bench.agent.id);
    let stalled = tokio::spawn(async move { store.record_observation(host, &late).await });
    wait_until("the older one to wait", Duration::from_secs(30), async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
             WHERE NOT l.granted AND a.datname = current_database()",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    holder.commit().await.unwrap();
    let error = stalled.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::OldObservation { .. }), "{error}");
    let host = bench.host().await;
    assert_eq!(host.live, Some(closure("prod-0", 1)));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_observation_that_is_sent_again_is_refused(pool: PgPool) {
    let mut bench = LivesBench::verified(&pool).await;
    let verified = bench.observation().await;
    bench.post(&verified).await.unwrap();
    bench.post(&verified).await.unwrap_err();
    let back = went_back(bench.observation().await);
    bench.post(&back).await.unwrap();
    bench.settle().await;
    assert_eq!(bench.step().await.state, StepState::Reverted);
    bench.post(&verified).await.unwrap_err();
    bench.settle().await;
    assert_eq!(bench.host().await.live, back.live);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_word_from_before_a_reboot_is_late_and_no_trouble(pool: PgPool) {
    let mut bench = LivesBench::verified(&pool).await;
    let last_breath = bench.observation().await;
    let booted = went_back(Observation {
        boot_id: "second".to_owned(),
        counter: Some(0),
        ..bench.observation().await
    });
    bench.post(&booted).await.unwrap();
    let error = bench.post(&last_breath).await.unwrap_err();
    assert!(matches!(error, StoreError::OldObservation { .. }), "{error}");
    let host = bench.host().await;
    assert_eq!((&host.trouble, &host.live), (&None, &booted.live));
    bench.settle().await;
    assert_ne!(
        bench.step().await.state,
        StepState::Reverted,
        "it may be a clone yet"
    );
    bench.let_settle(&pool).await;
    bench.settle().await;
    assert_eq!(bench.step().await.state, StepState::Reverted);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn two_machines_under_one_token_are_trouble_that_everybody_sees(pool: PgPool) {
    let mut bench = LivesBench::verified(&pool).await;
    let clone = bench.second_machine(AttemptPhase::Verified);
    let now = bench.fleet.store.now().await.unwrap();
    bench.post(&clone.observation(now)).await.unwrap();
    let word = bench.observation().await;
    let error = bench.post(&word).await.unwrap_err();
    assert!(matches!(error, StoreError::TwoLives { .. }), "{error}");
    assert!(error.to_string().contains("slipway host token"), "{error}");

    let store = &bench.fleet.store;
    let host = bench.host().await;
    assert!(host.trouble.is_some());
    assert_eq!(store.list_hosts(None, None, 10).await.unwrap(), [host.value]);
    bench.settle().await;
    let (state, reason) = bench.state().await;
    assert_eq!(state, RolloutState::Paused);
    assert!(reason.unwrap().starts_with("prod-0: two machines"));
    assert_eq!(
        store.note_second_lives(&bench.fleet.key).await.unwrap(),
        std::slice::from_ref(&bench.agent.name)
    );
    let events: Vec<(String, String)> =
        sqlx::query_as("SELECT actor_name, cause FROM events WHERE kind = 'host.two_lives'")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].0, "prod-0");

    // Neither is told anything, and it goes on being one piece of trouble.
    let mut clone = clone;
    let told = clone.sync(store).await.1;
    assert_eq!(told, Instruction::Idle);
    assert!(store.find_assigned(&[bench.agent.id]).await.unwrap().is_empty());
    let word = bench.observation().await;
    bench.post(&word).await.unwrap_err();
    assert!(
        bench
            .fleet
            .store
            .note_second_lives(&bench.fleet.key)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        bench
            .fleet
            .store
            .verify_chain(&bench.fleet.key)
            .await
            .unwrap()
            .problem,
        None
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_word_of_a_clone_commits_nothing(pool: PgPool) {
    let mut bench = LivesBench::verified(&pool).await;
    let verified = bench.observation().await;
    bench.post(&verified).await.unwrap();
    bench.settle().await;
    assert_eq!(bench.step().await.state, StepState::Verified);
    // The real host takes the release back; a clone of it says that it has committed.
    let mut clone = bench.second_machine(AttemptPhase::Committed);
    clone.boot_default.clone_from(&clone.live);
    clone.unsettled = None;
    clone.sync(&bench.fleet.store).await;
    bench.settle().await;
    assert_eq!(
        bench.step().await.state,
        StepState::Verified,
        "not before the host was silent"
    );

    bench.agent.unsettled = None;
    let back = went_back(bench.observation().await);
    bench.post(&back).await.unwrap_err();
    bench.let_settle(&pool).await;
    clone.sync(&bench.fleet.store).await;
    bench.settle().await;
    assert_eq!(bench.step().await.state, StepState::Verified);
    assert_eq!(bench.state().await.0, RolloutState::Paused);

    // The clone is switched off. The real host is heard again once it has been silent for long enough.
    sql(
        &pool,
        "UPDATE hosts SET heard_at = heard_at - interval '5 minutes', second_life_at = second_life_at - interval '5 minutes'",
    )
    .await;
    let back = went_back(bench.observation().await);
    bench.post(&back).await.unwrap();
    bench.let_settle(&pool).await;
    let host = bench.host().await;
    assert_eq!((&host.trouble, &host.live), (&None, &back.live));
    bench.settle().await;
    assert_eq!(bench.step().await.state, StepState::Reverted);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_agent_of_release_0_1_0_is_heard_and_what_is_not_known_is_said(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    agents[0].counter = None;
    agents[0].sync(&fleet.store).await;
    let rollout = fleet.rollout(1).await;
    let lease = claim(&fleet.store, "w").await;
    drive(&fleet, &mut agents, &lease).await;
    let summary = fleet.store.get_rollout(rollout).await.unwrap().summary;
    assert_eq!(summary.state, RolloutState::Succeeded);
    let host = fleet.store.get_host_by_name(&agents[0].name).await.unwrap();
    assert!(host.unknown.is_some() && host.trouble.is_none());

    // It is updated, and one that is put back to an older agent is heard too.
    agents[0].counter = Some(7);
    agents[0].sync(&fleet.store).await;
    assert!(
        fleet
            .store
            .get_host_by_name(&agents[0].name)
            .await
            .unwrap()
            .unknown
            .is_none()
    );
    agents[0].counter = None;
    agents[0].sync(&fleet.store).await;

    // A program of release 0.1.0 has heard of a reboot: its counter begins again.
    sql(&pool, "UPDATE hosts SET boot_id = 'second', last_seen_at = now()").await;
    "second".clone_into(&mut agents[0].boot_id);
    agents[0].counter = Some(1);
    agents[0].sync(&fleet.store).await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_counter_is_too_large_to_be_kept(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agent = agents(&fleet).remove(0);
    agent.report = Some(AttemptReport {
        attempt: AttemptId::random(),
        phase: AttemptPhase::Staging,
        prior: None,
        verdict: None,
        message: None,
        hooks: None,
        plan: None,
        reboot: None,
    });
    agent.counter = Some(u64::MAX - 1);
    agent.sync(&fleet.store).await;
    assert!(fleet.store.get_host_by_name(&agent.name).await.unwrap().online);
}

/// Somebody with a host's token could otherwise fill the database with boots.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_that_boots_without_end_is_trouble_and_is_not_remembered_without_end(pool: PgPool) {
    let mut bench = LivesBench::verified(&pool).await;
    let mut refused = 0;
    for boot in 0..80 {
        bench.agent.boot_id = format!("boot-{boot}");
        let seen = bench.observation().await;
        match bench.post(&seen).await {
            Ok(()) => assert_eq!(refused, 0, "boot {boot}"),
            Err(StoreError::TwoLives { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(refused, 20);
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM host_boots")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(kept, 60);
    bench.settle().await;
    assert_ne!(bench.step().await.state, StepState::Committed);
    // An hour later a boot counts as ever.
    sql(
        &pool,
        "UPDATE host_boots SET heard_at = heard_at - interval '61 minutes'",
    )
    .await;
    let seen = bench.observation().await;
    bench.post(&seen).await.unwrap();
}

/// The hook that runs is shown while it does, and one that failed after the commit stays with the committed host.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn hooks_are_shown_with_their_step(pool: PgPool) {
    let mut bench = LivesBench::verified(&pool).await;
    bench.agent.sync(&bench.fleet.store).await;
    bench.settle().await;
    let (_, told) = bench.agent.sync(&bench.fleet.store).await;
    assert!(matches!(told, Instruction::Commit { .. }), "{told:?}");
    let hooks = |running: bool, trouble: Option<&str>| HooksReport {
        running: running.then(|| RunningHook {
            name: "take back".to_owned(),
            when: HookPoint::AfterCommit,
            seconds: 60,
        }),
        trouble: trouble.map(ToOwned::to_owned),
    };
    for (reported, state, reason) in [
        (hooks(true, None), StepState::Verified, None),
        (
            hooks(false, Some("the hook `take back` exited with status 1")),
            StepState::Committed,
            Some("the hook `take back` exited with status 1"),
        ),
    ] {
        let running = reported.running.as_ref().map(|hook| hook.name.clone());
        bench.agent.report.as_mut().unwrap().hooks = Some(reported);
        let seen = bench.observation().await;
        bench.post(&seen).await.unwrap();
        bench.settle().await;
        let step = bench.step().await;
        assert_eq!((step.state, step.reason.as_deref()), (state, reason));
        assert_eq!(step.hook, running);
    }
}
