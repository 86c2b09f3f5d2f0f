//! Whole rollouts: the store, the decision and model agents together.

use std::time::Duration;

use slipway_domain::snapshot::CommandKind;
use slipway_domain::strategy::{Canary, Share};
use slipway_domain::{RolloutState, StepState, Strategy};
use slipway_store::{NewCommand, Store, StoreError};
use slipway_testkit::{ScriptedAgent, closure, wait_until};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Fleet, agents, claim, drive, open_rollouts, settings, settle, store};

/// Of workers that fight for a lease.
const PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

fn strategy() -> Strategy {
    Strategy {
        canary: Canary::Number(1),
        batch: Share::Number(2),
        max_unavailable: Share::Number(2),
        ..Strategy::default()
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_release_goes_to_every_host_and_back_again(pool: PgPool) {
    let fleet = Fleet::of(5).strategy(strategy()).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    // A, B, A: what was live before is activated again.
    for version in [1, 2, 1] {
        let id = fleet.rollout(version).await;
        drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
        let rollout = fleet.store.get_rollout(id).await.unwrap();
        assert_eq!(rollout.summary.state, RolloutState::Succeeded);
        assert_eq!(
            rollout.summary.reason.as_deref(),
            Some("all 5 hosts run the release")
        );
        for agent in &agents {
            assert_eq!(agent.live, Some(closure(agent.name.as_str(), version)));
            assert_eq!(agent.boot_default, agent.live);
        }
    }
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_bad_release_stops_at_the_canary(pool: PgPool) {
    let fleet = Fleet::of(4).strategy(strategy()).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    for agent in &mut agents {
        agent.failing = true;
    }
    let id = fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    let rollout = fleet.store.get_rollout(id).await.unwrap();
    assert_eq!(
        rollout.summary.state,
        RolloutState::Reverted,
        "{:?}",
        rollout.summary.reason
    );
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

/// Invariants 1 and 8 with the real database between: many workers that take the lease from one another all the time.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn workers_that_fight_for_a_rollout_finish_it(options: PgPoolOptions, connect: PgConnectOptions) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    let fleet = Fleet::of(6).strategy(strategy()).seed(&store(&pool)).await;
    let wide = Store::connect(&settings(&connect, None), "fight");
    let mut hosts = agents(&fleet);
    for agent in &mut hosts {
        agent.sync(&fleet.store).await;
    }
    let id = fleet.rollout(1).await;
    let workers: Vec<_> = (0..8)
        .map(|n| {
            let store = wide.clone();
            tokio::spawn(async move {
                let mut stale = 0;
                // Who loses waits longer each time, or on a slow machine nobody would come to write.
                let mut pause = PAUSE;
                loop {
                    // A lease that has run out when it begins: everybody may take it away at once.
                    for lease in store.claim_rollouts(&format!("w{n}"), 0, 1).await.unwrap() {
                        match settle(&store, &lease).await {
                            Ok(_) => pause = PAUSE,
                            Err(StoreError::StaleLease { .. }) => {
                                stale += 1;
                                pause = (2 * pause).min(LONGEST_PAUSE);
                            }
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                    if open_rollouts(&store).await.is_empty() {
                        return stale;
                    }
                    tokio::time::sleep(pause).await;
                }
            })
        })
        .collect();
    let machines = tokio::spawn({
        let store = wide.clone();
        async move {
            while !open_rollouts(&store).await.is_empty() {
                let out = hosts
                    .iter()
                    .filter(|agent: &&ScriptedAgent| agent.unsettled.is_some())
                    .count();
                assert!(out <= 2, "{out} hosts are out");
                for agent in &mut hosts {
                    agent.sync(&store).await;
                }
            }
            hosts
        }
    });
    let open = async || open_rollouts(&fleet.store).await.is_empty().then_some(());
    wait_until("the rollout to be over", Duration::from_mins(4), open).await;
    let mut stale = 0;
    for worker in workers {
        stale += worker.await.unwrap();
    }
    let hosts = machines.await.unwrap();
    assert!(stale > 0, "nobody ever lost a lease: this tests nothing");
    assert!(
        hosts
            .iter()
            .all(|agent| agent.live == Some(closure(agent.name.as_str(), 1)))
    );
    assert_eq!(
        fleet.store.get_rollout(id).await.unwrap().summary.state,
        RolloutState::Succeeded
    );
    let report = fleet.store.verify_chain(&fleet.key).await.unwrap();
    assert_eq!(report.problem, None);
    // No transition was made twice.
    let events = fleet.store.list_events(id, 0, 1000).await.unwrap();
    let committed = events
        .iter()
        .filter(|event| event.event.to.as_deref() == Some("committed"))
        .count();
    assert_eq!(committed, 6);
    wide.close().await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_operator_pauses_resumes_and_aborts(pool: PgPool) {
    let fleet = Fleet::of(3).strategy(strategy()).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    for agent in &mut agents {
        agent.sync(&fleet.store).await;
    }
    let id = fleet.rollout(1).await;
    let lease = claim(&fleet.store, "w").await;
    settle(&fleet.store, &lease).await.unwrap();
    let ask = async |kind| {
        fleet
            .store
            .request_command(
                NewCommand::new(id, kind, fleet.author.id).because("look"),
                &fleet.key,
            )
            .await
            .unwrap();
        settle(&fleet.store, &lease).await.unwrap();
        fleet.store.get_rollout(id).await.unwrap().summary
    };
    let paused = ask(CommandKind::Pause).await;
    assert_eq!(
        (paused.state, paused.reason.as_deref()),
        (RolloutState::Paused, Some("look"))
    );
    assert_eq!(ask(CommandKind::Resume).await.state, RolloutState::Staging);
    assert_eq!(ask(CommandKind::Abort).await.state, RolloutState::Aborted);
    drive(&fleet, &mut agents, &lease).await;
    assert!(
        agents
            .iter()
            .all(|agent| agent.live == Some(closure(agent.name.as_str(), 0)))
    );
}
