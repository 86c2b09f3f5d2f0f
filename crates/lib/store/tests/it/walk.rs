//! The walks through the audit log that metrics show.

use slipway_store::audit::{AuditWalk, Pace, Walk};
use sqlx::PgPool;

use crate::support::{Fleet, sql, store};

/// Every turn is due.
const AT_ONCE: Pace = Pace {
    turn_seconds: 0,
    rest_seconds: 0,
};

/// As a worker has it.
const SLOWLY: Pace = Pace {
    turn_seconds: 60,
    rest_seconds: 3_600,
};

async fn turn(fleet: &Fleet, walk: Walk) -> AuditWalk {
    fleet
        .store
        .walk_events(&fleet.key, walk, AT_ONCE)
        .await
        .unwrap()
        .expect("its turn")
}

async fn shown(fleet: &Fleet) -> Vec<Option<String>> {
    let mut walks = fleet.store.audit_walks(&fleet.key).await.unwrap();
    walks.sort_by_key(|walk| walk.walk.as_str());
    walks.into_iter().map(|walk| walk.problem).collect()
}

/// As somebody would with the right to change the log.
async fn change(pool: &PgPool, statement: &str) {
    sql(pool, "ALTER TABLE events DISABLE TRIGGER USER").await;
    sql(pool, statement).await;
    sql(pool, "ALTER TABLE events ENABLE TRIGGER USER").await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn one_follows_new_events_and_one_sees_all_again(pool: PgPool) {
    let fleet = Fleet::of(3).seed(&store(&pool)).await;
    assert_eq!(
        fleet.store.audit_walks(&fleet.key).await.unwrap(),
        [],
        "none has begun"
    );
    let head = fleet.store.event_head().await.unwrap().number;
    let newest = turn(&fleet, Walk::Newest).await;
    assert_eq!((newest.number, newest.problem), (head, None));
    assert!(newest.ended_at.is_some());
    // It was just now, in whichever worker.
    let again = fleet
        .store
        .walk_events(&fleet.key, Walk::Newest, SLOWLY)
        .await
        .unwrap();
    assert_eq!(again, None);

    fleet.release(1).await;
    let newest = turn(&fleet, Walk::Newest).await;
    assert_eq!((newest.number, newest.problem), (head + 1, None));
    // The other one begins at the first event when it is at the end, after its rest.
    let whole = turn(&fleet, Walk::Whole).await;
    assert_eq!((whole.number, whole.problem), (0, None));
    let resting = Pace {
        turn_seconds: 0,
        ..SLOWLY
    };
    assert_eq!(
        fleet
            .store
            .walk_events(&fleet.key, Walk::Whole, resting)
            .await
            .unwrap(),
        None
    );
    assert_eq!(shown(&fleet).await, [None, None]);

    // An event that was seen long ago is changed: only the second one looks at it again, and does so until it is right.
    change(&pool, "UPDATE events SET cause = 'another' WHERE number = 2").await;
    assert_eq!(turn(&fleet, Walk::Newest).await.problem, None);
    for _ in 0..2 {
        let whole = turn(&fleet, Walk::Whole).await;
        assert_eq!(whole.number, 1);
        let problem = whole.problem.expect("it sees it");
        assert!(problem.starts_with("event 2: its hash does not fit"), "{problem}");
    }
    assert!(shown(&fleet).await[1].is_some());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_end_that_was_cut_off_together_with_its_head_is_seen(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    fleet.release(1).await;
    let before = turn(&fleet, Walk::Newest).await.number;
    change(
        &pool,
        "DELETE FROM release_closures; DELETE FROM releases;
         DELETE FROM events WHERE number = (SELECT number FROM event_head);
         UPDATE event_head SET (number, hash) = (SELECT number, hash FROM events ORDER BY number DESC LIMIT 1)",
    )
    .await;
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
    let problem = turn(&fleet, Walk::Newest).await.problem.expect("it sees it");
    assert!(problem.contains("the end was cut off"), "{problem}");
    // New events take the place of those that are gone: the first of them is not what follows.
    fleet.release(2).await;
    fleet.release(3).await;
    assert!(fleet.store.event_head().await.unwrap().number > before);
    let problem = turn(&fleet, Walk::Newest).await.problem.expect("it still does");
    assert!(problem.contains("its hash does not fit"), "{problem}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_place_that_was_changed_by_hand_is_believed_by_nobody(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    change(&pool, "UPDATE events SET cause = 'another' WHERE number = 2").await;
    for walk in Walk::ALL {
        assert!(turn(&fleet, walk).await.problem.is_some());
    }
    for forged in [
        "problem = NULL, ended_at = now()",
        "number = 3, hash = (SELECT hash FROM events WHERE number = 3), problem = NULL",
        "walked_at = now() + interval '50 years', problem = NULL",
        "seal = NULL, sealed_with = NULL, problem = NULL",
    ] {
        sql(&pool, &format!("UPDATE audit_walks SET {forged}")).await;
        let walks = fleet.store.audit_walks(&fleet.key).await.unwrap();
        assert!(
            walks
                .iter()
                .all(|walk| walk.problem.is_some() && walk.ended_at.is_none()),
            "{forged}"
        );
        // A worker's next turn is due, begins at the first event, and finds what is wrong.
        for walk in Walk::ALL {
            let far = Pace {
                rest_seconds: 3_600,
                ..AT_ONCE
            };
            let found = fleet
                .store
                .walk_events(&fleet.key, walk, far)
                .await
                .unwrap()
                .expect(forged);
            assert_eq!((found.number, found.problem.is_some()), (1, true), "{forged}");
        }
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_long_log_is_walked_in_turns_and_by_one_worker_at_a_time(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let head = fleet.store.event_head().await.unwrap().number;
    append_many(&fleet, &pool, 10_500).await;
    let first = turn(&fleet, Walk::Newest).await;
    assert_eq!(
        (first.number, first.ended_at, first.problem),
        (10_000, None, None)
    );
    let mut other = pool.acquire().await.unwrap();
    let lock = "BEGIN; SELECT FROM audit_walks FOR UPDATE";
    sqlx::raw_sql(lock).execute(&mut *other).await.unwrap();
    let locked = fleet
        .store
        .walk_events(&fleet.key, Walk::Newest, AT_ONCE)
        .await
        .unwrap();
    assert_eq!(locked, None, "another worker is at it");
    sqlx::raw_sql("ROLLBACK").execute(&mut *other).await.unwrap();
    let last = turn(&fleet, Walk::Newest).await;
    assert_eq!((last.number, last.problem), (head + 10_500, None));
    assert!(last.ended_at.is_some());
}

/// Puts events at the end of the chain, as the store would, but in one statement.
async fn append_many(fleet: &Fleet, pool: &PgPool, count: i64) {
    use slipway_domain::event::{Actor, NewEvent, chain_hash};
    let head = fleet.store.event_head().await.unwrap();
    let now = fleet.store.now().await.unwrap();
    let (mut hashes, mut seals, mut hash) = (Vec::new(), Vec::new(), head.hash);
    let event = NewEvent::new(Actor::Console, "test.many", "one of many");
    for number in head.number + 1..=head.number + count {
        hash = chain_hash(&hash, number, now, &event);
        hashes.push(hash.to_vec());
        seals.push(fleet.key.seal(&hash).to_vec());
    }
    sqlx::query(
        "INSERT INTO events (number, at, actor_kind, actor_name, kind, cause, hash, seal, seal_key)
         SELECT $1 + row_number() OVER (), $2, 'console', '', 'test.many', 'one of many', h, s, $5
         FROM unnest($3::bytea[], $4::bytea[]) AS e (h, s)",
    )
    .bind(head.number)
    .bind(now)
    .bind(&hashes)
    .bind(&seals)
    .bind(fleet.key.fingerprint())
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("UPDATE event_head SET number = number + $1, hash = $2")
        .bind(count)
        .bind(hash.as_slice())
        .execute(pool)
        .await
        .unwrap();
}
