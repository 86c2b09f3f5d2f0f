//! A live system that changes while no rollout asks for it is an event.

use slipway_domain::RolloutState;
use slipway_testkit::{ScriptedAgent, closure};
use sqlx::PgPool;

use crate::support::{Fleet, agents, claim, drive, store};

/// The events of live systems, as from and to.
async fn told(fleet: &Fleet) -> Vec<(String, String)> {
    let events = fleet.store.list_all_events(0, 1000).await.unwrap();
    let live = events.into_iter().filter(|event| event.event.kind == "host.live");
    live.map(|event| (event.event.from.unwrap(), event.event.to.unwrap()))
        .collect()
}

/// One sync, as the api makes it.
async fn sync(fleet: &Fleet, agent: &mut ScriptedAgent) {
    agent.sync(&fleet.store).await;
    fleet.store.note_drift(Some(agent.id), &fleet.key).await.unwrap();
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_there_and_back_is_no_drift(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    for agent in &mut agents {
        sync(&fleet, agent).await;
    }
    for (version, failing, end) in [
        (1, false, RolloutState::Succeeded),
        (2, true, RolloutState::Reverted),
    ] {
        agents[0].failing = failing;
        let rollout = fleet.rollout(version).await;
        // The worker looks late, when the steps have come to their end.
        drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
        fleet.store.note_drift(None, &fleet.key).await.unwrap();
        assert_eq!(fleet.store.get_rollout(rollout).await.unwrap().summary.state, end);
    }
    assert_eq!(told(&fleet).await, []);
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_live_system_that_changes_without_a_rollout_is_an_event(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    fleet.store.note_drift(None, &fleet.key).await.unwrap();
    let name = agents[0].name.to_string();
    let version = |n| closure(&name, n).to_string();
    // By hand to something new, back to the prior, and forth to the release again: each is one.
    for n in [7, 0, 1] {
        agents[0].live = Some(closure(&name, n));
        sync(&fleet, &mut agents[0]).await;
        // Said once.
        sync(&fleet, &mut agents[0]).await;
    }
    let expected = [(1, 7), (7, 0), (0, 1)].map(|(from, to)| (version(from), version(to)));
    assert_eq!(told(&fleet).await, expected);
    let events = fleet.store.list_all_events(0, 1000).await.unwrap();
    let event = &events
        .iter()
        .find(|event| event.event.kind == "host.live")
        .unwrap()
        .event;
    assert_eq!((event.actor.kind(), event.actor.name()), ("host", name.as_str()));
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

/// While a rollout is under way, too: another closure than the step's and the prior is nobody's wish.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn another_closure_in_the_middle_of_a_rollout_is_an_event(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    sync(&fleet, &mut agents[0]).await;
    fleet.rollout(1).await;
    let lease = claim(&fleet.store, "w").await;
    for _ in 0..3 {
        crate::support::settle(&fleet.store, &lease).await.unwrap();
        sync(&fleet, &mut agents[0]).await;
    }
    let name = agents[0].name.to_string();
    assert_eq!(agents[0].live, Some(closure(&name, 1)));
    agents[0].live = Some(closure(&name, 9));
    sync(&fleet, &mut agents[0]).await;
    assert_eq!(told(&fleet).await.len(), 1);
}
