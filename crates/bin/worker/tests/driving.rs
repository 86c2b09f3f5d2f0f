//! Workers, a real Postgres, and agents that do as they are told.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::time::{Duration, Instant};

use slipway_domain::snapshot::CommandKind;
use slipway_domain::strategy::{Offline, Share};
use slipway_domain::{RolloutId, RolloutState, StepState, Strategy};
use slipway_store::{NewCommand, Store};
use slipway_testkit::{Fleet, ScriptedAgent, TestRedis, audit_key, closure, wait_until};
use slipway_wake::{Topic, Wake, WakeUp};
use slipway_worker::Driver;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What the design promises after the death of a process.
const PROMISED: Duration = Duration::from_secs(30);
/// How long a rollout may take on a busy machine. Nothing promises how soon one ends.
const WHOLE_ROLLOUT: Duration = Duration::from_mins(4);

/// A worker that has only its own clock to wake it.
fn start_worker(store: &Store, id: &str) -> (JoinHandle<()>, CancellationToken) {
    start_worker_with(store, Wake::none(), id)
}

fn start_worker_with(store: &Store, wake: Wake, id: &str) -> (JoinHandle<()>, CancellationToken) {
    let stop = CancellationToken::new();
    let driver = Driver::new(store.clone(), wake, audit_key(), id.to_owned());
    (tokio::spawn(driver.run(stop.clone())), stop)
}

/// Redis, once it answers.
async fn connect(redis: &TestRedis) -> Wake {
    let wake = Wake::connect(Some(&redis.settings()), "test").unwrap();
    wait_until("Redis", PROMISED, async || wake.ping().await.ok()).await;
    wake
}

fn agents(fleet: &Fleet) -> Vec<ScriptedAgent> {
    let agent = |(name, id): (&slipway_domain::HostName, &slipway_domain::HostId)| {
        ScriptedAgent::new(*id, name.clone(), Some(closure(name.as_str(), 0)))
    };
    fleet.hosts.iter().map(agent).collect()
}

async fn sync_all(agents: &mut [ScriptedAgent], store: &Store) {
    for agent in agents {
        agent.sync(store).await;
    }
}

async fn state(store: &Store, rollout: RolloutId) -> RolloutState {
    store.get_rollout(rollout).await.unwrap().summary.state
}

/// Lets the agents go on until the rollout is over.
async fn finish(store: &Store, agents: &mut [ScriptedAgent], rollout: RolloutId) -> RolloutState {
    wait_until("the rollout's end", WHOLE_ROLLOUT, async || {
        sync_all(agents, store).await;
        Some(state(store, rollout).await).filter(|state| state.is_terminal())
    })
    .await
}

fn batches_of_two() -> Strategy {
    Strategy {
        batch: Share::Number(2),
        max_unavailable: Share::Number(2),
        ..Strategy::default()
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_release_goes_to_every_host(pool: PgPool) {
    let store = slipway_testkit::store(&pool);
    let fleet = Fleet::of(5).strategy(batches_of_two()).seed(&store).await;
    let mut agents = agents(&fleet);
    sync_all(&mut agents, &store).await;
    let (_worker, _stop) = start_worker(&store, "one");

    let rollout = fleet.rollout(1).await;
    assert_eq!(
        finish(&store, &mut agents, rollout).await,
        RolloutState::Succeeded
    );
    for agent in &agents {
        assert_eq!(
            agent.boot_default,
            Some(closure(agent.name.as_str(), 1)),
            "{}",
            agent.name
        );
    }
    let report = store.verify_chain(&audit_key()).await.unwrap();
    assert!(report.problem.is_none(), "{report:?}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_host_is_blamed_for_a_time_in_which_the_database_was_away(pool: PgPool) {
    let store = slipway_testkit::store(&pool);
    let strategy = Strategy {
        offline: Offline::Skip,
        ..batches_of_two()
    };
    let fleet = Fleet::of(3).strategy(strategy).seed(&store).await;
    let mut agents = agents(&fleet);
    sync_all(&mut agents, &store).await;
    // Two could not be heard for a minute, and one was gone before.
    for (agent, seconds) in agents.iter().zip([600.0, 60.0, 60.0]) {
        let seen = "UPDATE hosts SET last_seen_at = now() - make_interval(secs => $1) WHERE name = $2";
        let seen = sqlx::query(seen).bind(seconds).bind(agent.name.as_str());
        seen.execute(&pool).await.unwrap();
    }
    let gone = agents.remove(0);
    let rollout = fleet.rollout(1).await;
    let stop = CancellationToken::new();
    let driver = Driver::new(store.clone(), Wake::none(), audit_key(), "one".to_owned());
    tokio::spawn(driver.after_an_absence().run(stop.clone()));
    let skipped = async || {
        let steps = store.get_rollout(rollout).await.unwrap().steps;
        let skipped = steps.into_iter().filter(|step| step.state == StepState::Skipped);
        Some(skipped.map(|step| step.host).collect::<Vec<_>>()).filter(|skipped| !skipped.is_empty())
    };
    assert_eq!(wait_until("a decision", PROMISED, skipped).await, [gone.name]);
    assert_eq!(
        finish(&store, &mut agents, rollout).await,
        RolloutState::Succeeded
    );
    assert_eq!(skipped().await.unwrap().len(), 1);
    stop.cancel();
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_failing_canary_is_put_back_and_no_other_host_is_touched(pool: PgPool) {
    let store = slipway_testkit::store(&pool);
    let fleet = Fleet::of(4).strategy(batches_of_two()).seed(&store).await;
    let mut agents = agents(&fleet);
    agents[0].failing = true;
    sync_all(&mut agents, &store).await;
    let (_worker, _stop) = start_worker(&store, "one");

    let rollout = fleet.rollout(1).await;
    assert_eq!(finish(&store, &mut agents, rollout).await, RolloutState::Reverted);
    let rollout = store.get_rollout(rollout).await.unwrap();
    let states: Vec<_> = rollout.steps.iter().map(|step| step.state).collect();
    assert_eq!(
        states,
        [
            StepState::Reverted,
            StepState::Skipped,
            StepState::Skipped,
            StepState::Skipped
        ]
    );
    assert!(
        agents
            .iter()
            .all(|agent| agent.live == Some(closure(agent.name.as_str(), 0)))
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn invariant_4_when_a_worker_is_killed_another_goes_on_within_30_s(pool: PgPool) {
    let store = slipway_testkit::store(&pool);
    let fleet = Fleet::of(3).strategy(batches_of_two()).seed(&store).await;
    let mut agents = agents(&fleet);
    sync_all(&mut agents, &store).await;
    let (first, _) = start_worker(&store, "first");
    let rollout = fleet.rollout(1).await;
    wait_until("the first worker's beginning", PROMISED, async || {
        (state(&store, rollout).await == RolloutState::Staging
            && store.get_rollout(rollout).await.unwrap().steps[0].state == StepState::Staging)
            .then_some(())
    })
    .await;

    // Dropped in the middle, like a killed process: its lease is not given back.
    first.abort();
    let killed = Instant::now();
    let (_second, _stop) = start_worker(&store, "second");
    wait_until("the second worker's first change", PROMISED, async || {
        sync_all(&mut agents, &store).await;
        (state(&store, rollout).await != RolloutState::Staging).then_some(())
    })
    .await;
    assert!(killed.elapsed() < PROMISED, "{:?}", killed.elapsed());
    assert_eq!(
        finish(&store, &mut agents, rollout).await,
        RolloutState::Succeeded
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_worker_that_stops_gives_its_leases_back(pool: PgPool) {
    let store = slipway_testkit::store(&pool);
    let fleet = Fleet::of(1).seed(&store).await;
    let mut agents = agents(&fleet);
    sync_all(&mut agents, &store).await;
    let (first, stop) = start_worker(&store, "first");
    let rollout = fleet.rollout(1).await;
    let held = async |by: &str| {
        let owner: Option<String> = sqlx::query_scalar("SELECT lease_owner FROM rollouts WHERE id = $1")
            .bind(rollout.as_uuid())
            .fetch_one(&pool)
            .await
            .unwrap();
        (owner.as_deref() == Some(by)).then_some(())
    };
    wait_until("the first worker's lease", PROMISED, async || held("first").await).await;
    stop.cancel();
    first.await.unwrap();

    let began = Instant::now();
    let (_second, _stop) = start_worker(&store, "second");
    wait_until("the second worker's lease", PROMISED, async || {
        held("second").await
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "no waiting for a lease to run out: {:?}",
        began.elapsed()
    );
    assert_eq!(
        finish(&store, &mut agents, rollout).await,
        RolloutState::Succeeded
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn two_workers_at_once_drive_many_rollouts_each_once(pool: PgPool) {
    let store = slipway_testkit::store(&pool);
    let mut fleets = Vec::new();
    for name in ["one", "two", "three", "four"] {
        fleets.push(
            Fleet::of(3)
                .environment(name)
                .strategy(batches_of_two())
                .seed(&store)
                .await,
        );
    }
    let mut all: Vec<_> = fleets.iter().flat_map(agents).collect();
    sync_all(&mut all, &store).await;
    let (_first, _a) = start_worker(&store, "first");
    let (_second, _b) = start_worker(&store, "second");
    for fleet in &fleets {
        let rollout = fleet.rollout(1).await;
        assert_eq!(finish(&store, &mut all, rollout).await, RolloutState::Succeeded);
        let rollout = store.get_rollout(rollout).await.unwrap();
        assert!(rollout.steps.iter().all(|step| step.failures == 0));
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_worker_is_seen_until_it_stops(pool: PgPool) {
    let store = slipway_testkit::store(&pool);
    assert_eq!(store.count_workers(30).await.unwrap(), 0);
    let (worker, stop) = start_worker(&store, "one");
    wait_until("the worker's word", PROMISED, async || {
        (store.count_workers(30).await.unwrap() == 1).then_some(())
    })
    .await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(store.count_workers(30).await.unwrap(), 0);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_worker_with_a_real_redis_wakes_hosts_and_needs_none(pool: PgPool) {
    let store = slipway_testkit::store(&pool);
    let mut redis = TestRedis::start(&[]);
    let wake = connect(&redis).await;
    let mut woken = wake.subscribe(Topic::Hosts);
    let fleet = Fleet::of(3).strategy(batches_of_two()).seed(&store).await;
    let mut agents = agents(&fleet);
    sync_all(&mut agents, &store).await;
    let (_worker, _stop) = start_worker_with(&store, connect(&redis).await, "one");

    // News of a rollout that is not there is no news.
    wake.publish_rollout(RolloutId::generate()).await;
    let rollout = fleet.rollout(1).await;
    wake.publish_rollout(rollout).await;
    let told = async { while !matches!(woken.recv().await, WakeUp::Hosts(_)) {} };
    tokio::time::timeout(PROMISED, told)
        .await
        .expect("no host is woken");

    redis.kill();
    assert_eq!(
        finish(&store, &mut agents, rollout).await,
        RolloutState::Succeeded
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn two_workers_that_hear_of_everything_twice_drive_a_rollout_once(pool: PgPool) {
    let store = slipway_testkit::store(&pool);
    let redis = TestRedis::start(&[]);
    let wake = connect(&redis).await;
    let fleet = Fleet::of(4).strategy(batches_of_two()).seed(&store).await;
    let mut agents = agents(&fleet);
    sync_all(&mut agents, &store).await;
    let (_first, _a) = start_worker_with(&store, connect(&redis).await, "first");
    let (_second, _b) = start_worker_with(&store, connect(&redis).await, "second");
    let rollout = fleet.rollout(1).await;
    let ended = wait_until("the rollout's end", 2 * PROMISED, async || {
        for agent in &mut agents {
            agent.sync(&store).await;
            wake.publish_rollout(rollout).await;
            wake.publish_rollout(rollout).await;
        }
        Some(state(&store, rollout).await).filter(|state| state.is_terminal())
    })
    .await;
    assert_eq!(ended, RolloutState::Succeeded);
    let rollout = store.get_rollout(rollout).await.unwrap();
    assert!(rollout.steps.iter().all(|step| step.failures == 0));
    let report = store.verify_chain(&audit_key()).await.unwrap();
    assert!(report.problem.is_none(), "{report:?}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_second_machine_under_one_token_is_an_event_without_any_rollout(pool: PgPool) {
    let store = slipway_testkit::store(&pool);
    let fleet = Fleet::of(1).seed(&store).await;
    let mut agents = agents(&fleet);
    agents[0].counter = Some(1_000_000_000);
    sync_all(&mut agents, &store).await;
    let mut clone = agents[0].clone();
    "c10ne".clone_into(&mut clone.boot_id);
    clone.counter = Some(500_000_000);
    clone.sync(&store).await;
    agents[0].counter = Some(1_000_000_100);
    let now = store.now().await.unwrap();
    let word = agents[0].observation(now);
    store.record_observation(agents[0].id, &word).await.unwrap_err();

    let (_worker, _stop) = start_worker(&store, "one");
    wait_until("the event", PROMISED, async || {
        let events: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE kind = 'host.two_lives'")
            .fetch_one(&pool)
            .await
            .unwrap();
        (events == 1).then_some(())
    })
    .await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn rollouts_that_wait_for_people_starve_no_other_and_each_can_be_aborted(pool: PgPool) {
    let store = slipway_testkit::store(&pool);
    let mut waiting = Vec::new();
    // More than a worker takes up at once.
    for n in 0..70 {
        let fleet = Fleet::of(1).environment(&format!("wait-{n}")).approval_required();
        waiting.push(fleet.seed(&store).await.rollout(1).await);
    }
    let fleet = Fleet::of(3).strategy(batches_of_two()).seed(&store).await;
    let mut agents = agents(&fleet);
    sync_all(&mut agents, &store).await;
    let (_worker, _stop) = start_worker(&store, "one");
    let rollout = fleet.rollout(1).await;
    assert_eq!(
        finish(&store, &mut agents, rollout).await,
        RolloutState::Succeeded
    );
    let last = waiting[69];
    store
        .request_command(
            NewCommand::new(last, CommandKind::Abort, fleet.approver.id),
            &fleet.key,
        )
        .await
        .unwrap();
    wait_until("the abort", PROMISED, async || {
        (state(&store, last).await == RolloutState::Aborted).then_some(())
    })
    .await;
}
