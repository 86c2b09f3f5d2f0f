//! What is expected of a host cannot be swapped by hand: `verify` finds it.

use slipway_domain::snapshot::CommandKind;
use slipway_store::NewCommand;

use super::*;

async fn problem(fleet: &Fleet) -> Option<String> {
    fleet.store.verify_chain(&fleet.key).await.unwrap().problem
}

/// Each of these by somebody with the database and without the key, who is found, and then undone.
async fn each_is_found(fleet: &Fleet, pool: &PgPool, swaps: &[&str]) {
    assert_eq!(problem(fleet).await, None);
    for swap in swaps {
        sql(
            pool,
            "CREATE TABLE before_hosts AS TABLE hosts; CREATE TABLE before_steps AS TABLE steps",
        )
        .await;
        assert!(sql(pool, swap).await > 0, "{swap} changes nothing");
        let problem = problem(fleet)
            .await
            .unwrap_or_else(|| panic!("{swap} was not found"));
        assert!(problem.contains("what is expected of host"), "{swap}: {problem}");
        sql(
            pool,
            "UPDATE hosts h SET baseline = b.baseline, baseline_boot_default = b.baseline_boot_default,
                    baseline_at = b.baseline_at, accepted_overrides = b.accepted_overrides,
                    accepted_release = b.accepted_release
             FROM before_hosts b WHERE b.id = h.id;
             UPDATE steps s SET since = b.since, state = b.state FROM before_steps b WHERE b.id = s.id;
             DROP TABLE before_hosts, before_steps",
        )
        .await;
    }
    assert_eq!(problem(fleet).await, None);
}

/// Swaps that make another system the expected one, whatever the host is expected to run.
const ANOTHER: [&str; 4] = [
    "UPDATE hosts SET baseline = live || '-evil', baseline_at = 'infinity'",
    "UPDATE hosts SET baseline_boot_default = live || '-evil'",
    r#"UPDATE hosts SET accepted_overrides = '[{"expected": "nothing", "found": "/run/systemd/system/evil.service"}]'"#,
    "UPDATE hosts SET accepted_release = gen_random_uuid()",
];

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_first_sight_is_what_its_event_says(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    // Before the first sight nothing is expected, and nothing may be.
    each_is_found(&fleet, &pool, &["UPDATE hosts SET baseline = '/nix/store/evil'"]).await;
    sync(&fleet, &mut agents[0]).await;
    let live = agents[0].live.clone().unwrap().to_string();
    let events = fleet.store.list_all_events(0, 1000).await.unwrap();
    let seen: Vec<_> = events
        .iter()
        .filter(|event| event.event.kind == "host.first_seen")
        .collect();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].event.to, Some(live));
    each_is_found(&fleet, &pool, &ANOTHER).await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_was_accepted_is_what_its_event_says(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    let (name, by) = (agents[0].name.clone(), ada(&fleet.key));
    sync(&fleet, &mut agents[0]).await;
    let lease = async |fleet: &Fleet| claim(&fleet.store, "w").await;
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &lease(&fleet).await).await;
    // What a step committed goes before the first sight, and stays so.
    let hidden = [
        "UPDATE hosts SET baseline_at = 'infinity'",
        "UPDATE steps SET since = '-infinity' WHERE state = 'committed'",
        "UPDATE steps SET state = 'reverted' WHERE state = 'committed'",
    ];
    each_is_found(&fleet, &pool, &hidden).await;
    each_is_found(&fleet, &pool, &ANOTHER).await;

    fleet.release(7).await;
    agents[0].live = Some(closure(name.as_str(), 7));
    agents[0].boot_default = Some(closure(name.as_str(), 7));
    agents[0].overrides = Some(vec![drop_in("1")]);
    sync(&fleet, &mut agents[0]).await;
    let seen = drift(&fleet, &pool).await.unwrap();
    fleet.store.adopt_host(&name, &adopt(&seen), &by).await.unwrap();
    each_is_found(&fleet, &pool, &ANOTHER).await;
    // The acceptance is undone, or another one takes its place.
    let undone = [
        "UPDATE hosts SET baseline_at = NULL",
        "UPDATE hosts SET accepted_overrides = NULL",
        "UPDATE hosts SET baseline = (SELECT closure FROM steps)",
        "UPDATE steps SET since = 'infinity' WHERE state = 'committed'",
    ];
    each_is_found(&fleet, &pool, &undone).await;

    // A later commit goes before it, and what was accepted beside the system stays accepted.
    fleet.rollout(2).await;
    drive(&fleet, &mut agents, &lease(&fleet).await).await;
    each_is_found(&fleet, &pool, &hidden[..2]).await;
    each_is_found(&fleet, &pool, &ANOTHER).await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_commit_that_was_taken_back_leaves_what_was_expected_before(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    let second = fleet.rollout(2).await;
    let lease = claim(&fleet.store, "w").await;
    // One host has committed and the other has not yet.
    let committed = async || {
        let rollout = fleet.store.get_rollout(second).await.unwrap();
        let steps = rollout.steps.iter();
        steps
            .filter(|step| step.state == slipway_domain::StepState::Committed)
            .count()
    };
    for _ in 0..50 {
        settle(&fleet.store, &lease).await.unwrap();
        if committed().await == 1 {
            break;
        }
        for agent in &mut agents {
            sync(&fleet, agent).await;
        }
    }
    assert_eq!(committed().await, 1);
    assert_eq!(problem(&fleet).await, None);
    let revert = NewCommand::new(second, CommandKind::Revert, fleet.author.id);
    fleet.store.request_command(revert, &fleet.key).await.unwrap();
    drive(&fleet, &mut agents, &lease).await;
    assert_eq!(
        fleet.store.get_rollout(second).await.unwrap().summary.state,
        RolloutState::Reverted
    );
    assert_eq!(problem(&fleet).await, None);
    let again = ["UPDATE steps SET state = 'committed' WHERE state = 'reverted'"];
    each_is_found(&fleet, &pool, &again).await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nothing_is_expected_of_a_host_that_comes_back(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    let (name, by) = (agents[0].name.clone(), ada(&fleet.key));
    sync(&fleet, &mut agents[0]).await;
    fleet.store.retire_host(&name, &by).await.unwrap();
    assert_eq!(problem(&fleet).await, None);
    let token = TokenHash::of("slw_new");
    fleet.store.restore_host(&name, None, token, &by).await.unwrap();
    each_is_found(&fleet, &pool, &["UPDATE hosts SET baseline = '/nix/store/evil'"]).await;
    sync(&fleet, &mut agents[0]).await;
    each_is_found(&fleet, &pool, &ANOTHER).await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_was_accepted_goes_before_a_commit_that_it_waited_for(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    let (name, by) = (agents[0].name.clone(), ada(&fleet.key));
    sync(&fleet, &mut agents[0]).await;
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    agents[0].overrides = Some(vec![drop_in("1")]);
    sync(&fleet, &mut agents[0]).await;
    let request = adopt(&drift(&fleet, &pool).await.unwrap());

    let mut other = slipway_testkit::begin(&pool).await;
    sqlx::query("SELECT FROM hosts FOR UPDATE")
        .execute(&mut *other)
        .await
        .unwrap();
    let commit = async {
        let blocked = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(blocked)
            .fetch_one(&pool)
            .await
            .unwrap()
            == 0
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        // As if the worker had committed it only now: its event is before that of the acceptance all the same.
        sqlx::query("UPDATE steps SET since = clock_timestamp() WHERE state = 'committed'")
            .execute(&mut *other)
            .await
            .unwrap();
        other.commit().await.unwrap();
    };
    let (adopted, ()) = tokio::join!(fleet.store.adopt_host(&name, &request, &by), commit);
    adopted.unwrap();
    assert_eq!(problem(&fleet).await, None);
}
