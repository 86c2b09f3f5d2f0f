//! How often what a host reports is written into the audit log.

use super::*;

/// How many events there are.
async fn count(fleet: &Fleet) -> usize {
    fleet.store.list_all_events(0, 1000).await.unwrap().len()
}

/// As if so many seconds had passed.
async fn later(pool: &PgPool, seconds: u32) {
    let past = format!(
        "UPDATE hosts SET drift_noted_at = drift_noted_at - interval '{seconds} s',
                live_noted_at = live_noted_at - interval '{seconds} s'"
    );
    sql(pool, &past).await;
}

/// A host that shows something else at every sync is shown so at once, and fills no log.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_that_goes_to_and_fro_is_written_seldom(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    let name = agents[0].name.clone();
    sync(&fleet, &mut agents[0]).await;
    let before = count(&fleet).await;
    for round in 0..20 {
        let overrides = (0..20).map(|unit| drop_in(&format!("{round}-{unit}")));
        agents[0].overrides = Some(overrides.collect());
        agents[0].live = Some(closure(name.as_str(), 7 + round));
        sync(&fleet, &mut agents[0]).await;
        let host = fleet.store.get_host_by_name(&name).await.unwrap().value;
        let items = host.drift.unwrap().items;
        assert_eq!(items.len(), 21);
        assert!(
            items[20].found.contains(&format!("sha256:{round}-19")),
            "{items:?}"
        );
    }
    assert_eq!(
        count(&fleet).await - before,
        2,
        "one of the live system, and one of all that drifts"
    );

    // What came last is told after the rest, without another word of the host.
    let last = closure(name.as_str(), 26).to_string();
    fleet.store.note_drift(None, &fleet.key).await.unwrap();
    assert_eq!(count(&fleet).await - before, 2);
    later(&pool, 10).await;
    fleet.store.note_drift(None, &fleet.key).await.unwrap();
    assert_eq!(count(&fleet).await - before, 4);
    let (from, to) = (closure(name.as_str(), 7).to_string(), last.clone());
    assert_eq!(told(&fleet).await[1], (from, to));
    let drifted = noted(&fleet, "host.drifted").await;
    assert_eq!(drifted[1].1, last);
    let cause = "21 things drift: 1 live, 20 unit; no longer: 1 live, 20 unit";
    assert_eq!(drifted[1].2, cause);

    // Every event makes the next rest longer: 20 s by now.
    agents[0].live = Some(closure(name.as_str(), 3));
    later(&pool, 10).await;
    sync(&fleet, &mut agents[0]).await;
    assert_eq!(count(&fleet).await - before, 4);
    later(&pool, 10).await;
    sync(&fleet, &mut agents[0]).await;
    assert_eq!(count(&fleet).await - before, 6);
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

/// What was over before the rest was is nothing to tell.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_comes_and_goes_within_a_rest_is_not_told(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    sync(&fleet, &mut agents[0]).await;
    agents[0].overrides = Some(vec![drop_in("1")]);
    sync(&fleet, &mut agents[0]).await;
    for overrides in [vec![drop_in("1"), drop_in("2")], vec![drop_in("1")]] {
        agents[0].overrides = Some(overrides);
        sync(&fleet, &mut agents[0]).await;
    }
    later(&pool, 10).await;
    fleet.store.note_drift(None, &fleet.key).await.unwrap();
    assert_eq!(noted(&fleet, "host.drifted").await.len(), 1);
    assert_eq!(noted(&fleet, "host.drift_ended").await, []);
}
