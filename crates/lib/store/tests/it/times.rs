//! Windows, freezes and times: what counts, and what somebody with the database cannot change unseen.

use chrono::TimeDelta;
use slipway_domain::calendar::MAX_FREEZES;
use slipway_domain::decide::decide;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{AttemptId, Freeze, RolloutId, RolloutState, StepState};
use slipway_store::{Lease, NewCommand, NewFreeze, NewRollout, StoreError};
use slipway_testkit::ScriptedAgent;
use slipway_wire::fleet::UpdateEnvironment;
use slipway_wire::rollout::Rollout;
use sqlx::PgPool;

use crate::support::{Fleet, ada, agents, claim, drive, settle, sql, store};

async fn freeze(fleet: &Fleet, days: i64) -> Result<Freeze, StoreError> {
    let new = NewFreeze {
        from: None,
        until: fleet.store.now().await.unwrap() + TimeDelta::days(days),
        reason: "year's end".to_owned(),
        by: "ada".parse().unwrap(),
    };
    let by = ada(&fleet.key);
    fleet
        .store
        .create_freeze(&fleet.environment.name, &new, &by)
        .await
}

/// A rollout of a frozen environment, with all its closures on the hosts.
async fn frozen(pool: &PgPool) -> (Fleet, Vec<ScriptedAgent>, Lease) {
    let fleet = Fleet::of(2).seed(&store(pool)).await;
    freeze(&fleet, 3).await.unwrap();
    fleet.rollout(1).await;
    let lease = claim(&fleet.store, "w").await;
    let mut agents = agents(&fleet);
    drive(&fleet, &mut agents, &lease).await;
    (fleet, agents, lease)
}

async fn shown(fleet: &Fleet, rollout: RolloutId) -> Rollout {
    fleet.store.get_rollout(rollout).await.unwrap()
}

fn states(rollout: &Rollout) -> Vec<StepState> {
    rollout.steps.iter().map(|step| step.state).collect()
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_waits_for_the_end_of_a_freeze_with_an_event(pool: PgPool) {
    let (fleet, mut agents, lease) = frozen(&pool).await;
    let waiting = shown(&fleet, lease.rollout).await;
    assert_eq!(states(&waiting), [StepState::Staged; 2]);
    let environment = fleet
        .store
        .get_environment_by_name(&fleet.environment.name)
        .await
        .unwrap();
    let made = &environment.freezes[0];
    let hold = waiting.summary.hold.clone().unwrap();
    assert_eq!(hold.until, Some(made.until));
    assert!(hold.why.ends_with("by ada: year's end"), "{}", hold.why);
    assert_eq!(environment.hold.clone().unwrap(), hold);

    let by = ada(&fleet.key);
    assert_eq!(
        fleet.store.delete_freeze(made.id, &by).await.unwrap(),
        fleet.environment.name
    );
    drive(&fleet, &mut agents, &lease).await;
    let over = shown(&fleet, lease.rollout).await;
    assert_eq!(
        (over.summary.state, over.summary.hold),
        (RolloutState::Succeeded, None)
    );
    let events = fleet.store.list_events(lease.rollout, 0, 1000).await.unwrap();
    let held: Vec<_> = events
        .iter()
        .filter(|event| event.event.kind == "rollout.hold")
        .map(|event| event.event.to.clone().unwrap())
        .collect();
    assert_eq!(held, ["on_hold", "released"]);
    let gone = fleet.store.delete_freeze(made.id, &by).await.unwrap_err();
    assert!(gone.to_string().starts_with("there is no freeze"), "{gone}");
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_freeze_or_a_time_that_is_taken_out_of_the_database_stops_the_rollout(pool: PgPool) {
    let (fleet, mut agents, lease) = frozen(&pool).await;
    let agents = &mut agents;
    for swap in [
        "UPDATE environments SET calendar = '{}'",
        "UPDATE environments SET calendar = jsonb_set(calendar, '{freezes,0,until}', '\"2026-01-01T00:00:00Z\"')",
    ] {
        sql(&pool, "CREATE TABLE kept AS TABLE environments").await;
        assert!(sql(&pool, swap).await > 0);
        drive(&fleet, agents, &lease).await;
        let stopped = shown(&fleet, lease.rollout).await;
        assert_eq!(states(&stopped), [StepState::Staged; 2], "{swap}");
        assert_eq!(stopped.summary.state, RolloutState::Paused, "{swap}");
        let why = stopped.summary.reason.unwrap();
        assert!(why.contains("environment ") && why.contains("by hand"), "{why}");
        sql(
            &pool,
            "UPDATE environments e SET calendar = k.calendar FROM kept k WHERE k.id = e.id; DROP TABLE kept",
        )
        .await;
        let resume = CommandKind::Resume;
        let (author, key) = (fleet.author.id, &fleet.key);
        let asked = fleet
            .store
            .request_command(NewCommand::new(lease.rollout, resume, author), key);
        asked.await.unwrap();
        drive(&fleet, agents, &lease).await;
        assert_eq!(
            shown(&fleet, lease.rollout).await.summary.state,
            RolloutState::Rolling
        );
    }
    sql(&pool, "UPDATE rollouts SET not_before = now()").await;
    drive(&fleet, agents, &lease).await;
    assert_eq!(
        shown(&fleet, lease.rollout).await.summary.state,
        RolloutState::Paused
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_override_counts_if_somebody_asked_for_it_and_not_if_it_was_written_by_hand(pool: PgPool) {
    let (fleet, mut agents, lease) = frozen(&pool).await;
    let agents = &mut agents;
    for applied in ["now()", "NULL"] {
        let forge = format!(
            "INSERT INTO rollout_commands (id, rollout_id, kind, principal_id, reason, applied_at)
             SELECT gen_random_uuid(), r.id, 'override_freeze', r.author_id, 'x', {applied} FROM rollouts r"
        );
        assert_eq!(sql(&pool, &forge).await, 1);
        drive(&fleet, agents, &lease).await;
        let held = shown(&fleet, lease.rollout).await;
        assert_eq!(states(&held), [StepState::Staged; 2], "{applied}");
        assert!(held.summary.hold.is_some());
        sql(&pool, "DELETE FROM rollout_commands").await;
    }
    let (kind, author, why) = (
        CommandKind::OverrideFreeze,
        fleet.author.id,
        Some("a hole that is used"),
    );
    let asked = fleet.store.request_command(
        NewCommand {
            reason: why,
            ..NewCommand::new(lease.rollout, kind, author)
        },
        &fleet.key,
    );
    asked.await.unwrap();
    drive(&fleet, agents, &lease).await;
    let done = shown(&fleet, lease.rollout).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded);
    assert_eq!(done.overridden.unwrap().reason, "a hole that is used");
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_is_made_with_its_time_and_its_override(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    freeze(&fleet, 3).await.unwrap();
    let at = fleet.store.now().await.unwrap() + TimeDelta::days(1);
    let plan = NewRollout {
        not_before: Some(at),
        override_freeze: Some("a hole that is used".to_owned()),
        ..fleet.plan(fleet.release(1).await)
    };
    let rollout = fleet.store.create_rollout(&plan, &fleet.key).await.unwrap();
    let lease = claim(&fleet.store, "w").await;
    drive(&fleet, &mut agents(&fleet), &lease).await;
    let held = shown(&fleet, rollout).await;
    assert_eq!(held.not_before, Some(at));
    assert_eq!(held.overridden.unwrap().by.as_str(), "ada");
    let hold = held.summary.hold.unwrap();
    assert_eq!(
        hold.until,
        Some(at),
        "the freeze does not count, its own time does"
    );
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_decision_that_is_written_after_a_freeze_began_is_stale(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    fleet.rollout(1).await;
    let lease = claim(&fleet.store, "w").await;
    let agent = &mut agents(&fleet)[0];
    let mut changes = Vec::new();
    for _ in 0..10 {
        agent.sync(&fleet.store).await;
        let (snapshot, now) = fleet.store.load_snapshot(&lease, &fleet.key).await.unwrap();
        changes = decide(&snapshot, now, &mut AttemptId::random);
        let begins = changes.iter().any(|change| change.cause.starts_with("wave 0"));
        if begins {
            break;
        }
        fleet.store.apply(&lease, &changes, &fleet.key).await.unwrap();
    }
    freeze(&fleet, 3).await.unwrap();
    let late = fleet.store.apply(&lease, &changes, &fleet.key).await.unwrap_err();
    assert!(
        matches!(&late, StoreError::StaleLease { detail, .. } if detail.contains("frozen by ada")),
        "{late}"
    );
    settle(&fleet.store, &lease).await.unwrap();
    assert_eq!(states(&shown(&fleet, lease.rollout).await), [StepState::Staged]);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn freezes_are_bounded_and_those_that_are_over_are_forgotten(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let by = ada(&fleet.key);
    let name = &fleet.environment.name;
    let window = UpdateEnvironment {
        windows: Some(vec!["09:00-16:00 UTC".parse().unwrap()]),
        ..UpdateEnvironment::default()
    };
    fleet.store.update_environment(name, &window, &by).await.unwrap();
    let past = NewFreeze {
        from: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        until: "2026-01-02T00:00:00Z".parse().unwrap(),
        reason: "x".to_owned(),
        by: "ada".parse().unwrap(),
    };
    fleet.store.create_freeze(name, &past, &by).await.unwrap();
    for _ in 0..MAX_FREEZES {
        freeze(&fleet, 1).await.unwrap();
    }
    let full = freeze(&fleet, 1).await.unwrap_err();
    assert!(full.to_string().contains("slipway env thaw"), "{full}");
    let none = UpdateEnvironment {
        windows: Some(Vec::new()),
        ..UpdateEnvironment::default()
    };
    let now = fleet.store.update_environment(name, &none, &by).await.unwrap();
    assert_eq!((now.windows.len(), now.freezes.len()), (0, MAX_FREEZES));
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}
