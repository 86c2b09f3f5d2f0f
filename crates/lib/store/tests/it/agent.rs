//! Observations and assignments.

use std::collections::HashMap;

use slipway_domain::agent::{AttemptReport, HookPoint, HooksReport, RunningHook};
use slipway_domain::{AttemptId, AttemptPhase, HostId, StepState, Timestamp};
use slipway_store::{Assigned, Store};
use slipway_testkit::{ScriptedAgent, closure};
use sqlx::PgPool;

use crate::support::{Fleet, ada, claim, settle, sql, store};

fn agent(fleet: &Fleet, n: usize) -> ScriptedAgent {
    let (name, id) = fleet.host(n);
    let live = Some(closure(name.as_str(), 0));
    ScriptedAgent::new(id, name, live)
}

async fn by_host(store: &Store, hosts: &[HostId]) -> HashMap<HostId, Assigned> {
    let assigned = store.find_assigned(hosts).await.unwrap();
    assigned
        .into_iter()
        .map(|assigned| (assigned.host, assigned))
        .collect()
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn only_what_is_new_is_news(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let store = &fleet.store;
    let mut agent = agent(&fleet, 0);
    let seen = async || {
        let instants = sqlx::query_as("SELECT last_seen_at, observed_at FROM hosts");
        let instants: (Timestamp, Timestamp) = instants.fetch_one(&pool).await.unwrap();
        instants
    };
    let recorded = agent.sync(store).await.0;
    assert!(recorded.news, "the first word of a host");
    assert_eq!((recorded.assigned, recorded.rollout), (None, None));
    let first = seen().await;
    assert!(!agent.sync(store).await.0.news);
    let second = seen().await;
    assert!(second.0 > first.0);
    assert_eq!(second.1, first.1, "what it sees did not change");

    let attempt = AttemptId::random();
    let report = |phase| AttemptReport {
        attempt,
        phase,
        prior: None,
        verdict: None,
        message: Some("on its way".to_owned()),
        hooks: None,
        plan: None,
        reboot: None,
    };
    let changes: [&dyn Fn(&mut ScriptedAgent); 5] = [
        &|a| a.live = Some(closure("prod-0", 1)),
        &|a| a.boot_default = None,
        &|a| a.report = Some(report(AttemptPhase::Staging)),
        &|a| a.report = Some(report(AttemptPhase::Staged)),
        &|a| a.unsettled = Some(attempt),
    ];
    for (n, change) in changes.iter().enumerate() {
        change(&mut agent);
        assert!(agent.sync(store).await.0.news, "{n}");
        assert!(!agent.sync(store).await.0.news, "{n}");
    }
    sql(
        &pool,
        "UPDATE hosts SET last_seen_at = now() - interval '45 seconds'",
    )
    .await;
    assert!(agent.sync(store).await.0.news, "it was offline");

    let host = store.get_host_by_name(&agent.name).await.unwrap();
    assert_eq!(
        (host.report.clone(), host.unsettled),
        (agent.report.clone(), Some(attempt))
    );
    assert_eq!((&host.live, &host.boot_default), (&agent.live, &None));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_clock_is_only_compared(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let store = &fleet.store;
    let mut agent = agent(&fleet, 0);
    agent.counter = None;
    let now = store.now().await.unwrap();
    for (skew, expected) in [
        (chrono::TimeDelta::hours(1), 3600),
        (chrono::TimeDelta::hours(-1), -3600),
        (chrono::TimeDelta::zero(), 0),
    ] {
        let recorded = store
            .record_observation(agent.id, &agent.observation(now + skew))
            .await;
        recorded.unwrap();
        let host = store.get_host_by_name(&agent.name).await.unwrap();
        let off = host.clock_skew_seconds.unwrap() - expected;
        assert!((-10..=1).contains(&off), "{off}");
        assert!(host.online, "its clock does not matter");
    }
    for far in [
        chrono::DateTime::<chrono::Utc>::MAX_UTC,
        chrono::DateTime::<chrono::Utc>::MIN_UTC,
    ] {
        store
            .record_observation(agent.id, &agent.observation(far))
            .await
            .unwrap();
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_text_keeps_a_host_from_reporting(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agent = agent(&fleet, 0);
    agent.report = Some(AttemptReport {
        plan: None,
        reboot: None,
        attempt: AttemptId::random(),
        phase: AttemptPhase::StageFailed,
        prior: None,
        verdict: None,
        message: Some("binary \0 noise".to_owned()),
        hooks: Some(HooksReport {
            running: Some(RunningHook {
                name: "\0".to_owned(),
                when: HookPoint::AfterCommit,
                seconds: 1,
            }),
            trouble: Some("\0".to_owned()),
        }),
    });
    let mut seen = agent.observation(fleet.store.now().await.unwrap());
    seen.counter = None;
    seen.boot_id = "a\0b".to_owned();
    seen.agent_version = "\0".to_owned();
    assert!(
        fleet
            .store
            .record_observation(agent.id, &seen)
            .await
            .unwrap()
            .news
    );
    assert!(
        !fleet
            .store
            .record_observation(agent.id, &seen)
            .await
            .unwrap()
            .news
    );
    let host = fleet.store.get_host_by_name(&agent.name).await.unwrap();
    assert_eq!(
        host.report.as_ref().unwrap().message.as_deref(),
        Some("binary \u{fffd} noise")
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_unknown_or_retired_host_is_not_recorded(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let agent = agent(&fleet, 0);
    let seen = agent.observation(fleet.store.now().await.unwrap());
    let nobody = HostId::generate();
    let error = fleet.store.record_observation(nobody, &seen).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no host `{nobody}`"));
    fleet
        .store
        .retire_host(&agent.name, &ada(&fleet.key))
        .await
        .unwrap();
    fleet.store.record_observation(agent.id, &seen).await.unwrap_err();
    assert_eq!(
        fleet
            .store
            .get_host_by_name(&agent.name)
            .await
            .unwrap()
            .last_seen_at,
        None
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_newest_step_is_the_assignment(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let store = &fleet.store;
    let mut agent = agent(&fleet, 0);
    let first = fleet.rollout(1).await;
    let recorded = agent.sync(store).await.0;
    assert_eq!(recorded.rollout, Some(first));
    assert_eq!(recorded.assigned.unwrap().assignment.state, StepState::Waiting);

    // The other host was never seen and is skipped.
    settle(store, &claim(store, "w").await).await.unwrap();
    let ids = [fleet.host(0).1, fleet.host(1).1, HostId::generate()];
    let all = by_host(store, &ids).await;
    assert_eq!(all.len(), 2);
    let (assignment, report) = (&all[&ids[0]].assignment, &all[&ids[0]].report);
    assert_eq!((assignment.state, report), (StepState::Staging, &None));
    assert!(assignment.attempt.is_some());
    assert_eq!(assignment.closure, closure("prod-0", 1));
    assert_eq!(all[&ids[1]].assignment.state, StepState::Skipped);

    let recorded = agent.sync(store).await.0;
    assert_eq!(recorded.assigned.as_ref(), Some(&all[&ids[0]]));
    agent.sync(store).await;
    let all = by_host(store, &ids[..1]).await;
    assert_eq!(all[&ids[0]].report, agent.report);
    assert!(by_host(store, &[]).await.is_empty());

    sql(&pool, "UPDATE rollouts SET state = 'failed', finished_at = now()").await;
    let second = fleet.rollout(2).await;
    let recorded = agent.sync(store).await.0;
    assert_eq!(recorded.rollout, Some(second));
    assert_eq!(
        recorded.assigned.unwrap().assignment.closure,
        closure("prod-0", 2)
    );
}

/// A newer program may know states, phases and settings that this one does not.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_a_newer_program_wrote_of_one_host_keeps_no_other_from_its_news(pool: PgPool) {
    let fleet = Fleet::of(3).seed(&store(&pool)).await;
    let store = &fleet.store;
    let mut agents: Vec<_> = (0..3).map(|n| agent(&fleet, n)).collect();
    for agent in &mut agents {
        agent.sync(store).await;
    }
    fleet.rollout(1).await;
    settle(store, &claim(store, "w").await).await.unwrap();
    let newer = format!(
        "ALTER TABLE steps DROP CONSTRAINT steps_state_check;
         UPDATE steps SET state = 'rebooting' WHERE host_id = '{}';
         UPDATE hosts SET report = jsonb_build_object('attempt', gen_random_uuid(), 'phase', 'rebooting') WHERE id = '{}'",
        agents[0].id, agents[1].id
    );
    sql(&pool, &newer).await;

    let hosts: Vec<HostId> = agents.iter().map(|agent| agent.id).collect();
    let found = by_host(store, &hosts).await;
    assert_eq!(found.len(), 2, "all but the first");
    assert_eq!(found[&hosts[1]].report, None);
    assert_eq!(found[&hosts[2]].assignment.state, StepState::Staging);

    let (recorded, told) = agents[0].sync(store).await;
    assert_eq!(
        (recorded.assigned, told),
        (None, slipway_domain::Instruction::Idle)
    );
    assert!(agents[2].sync(store).await.0.assigned.is_some());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_report_of_a_newer_program_stops_no_rollout(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let store = &fleet.store;
    for n in 0..2 {
        agent(&fleet, n).sync(store).await;
    }
    let rollout = fleet.rollout(1).await;
    sql(
        &pool,
        "UPDATE hosts SET report = jsonb_build_object('attempt', gen_random_uuid(), 'phase', 'rebooting')",
    )
    .await;
    settle(store, &claim(store, "w").await).await.unwrap();
    let steps = store.get_rollout(rollout).await.unwrap().steps;
    assert!(
        steps.iter().all(|step| step.state == StepState::Staging),
        "{steps:?}"
    );
    assert_eq!(
        store.get_host_by_name(&fleet.host(0).0).await.unwrap().report,
        None
    );
    sql(
        &pool,
        "ALTER TABLE rollouts DROP CONSTRAINT rollouts_state_check; UPDATE rollouts SET state = 'previewed'",
    )
    .await;
    let counts = store.count_rollouts().await.unwrap();
    assert_eq!(
        counts.values().sum::<u32>(),
        0,
        "what is not known is not counted"
    );
}
