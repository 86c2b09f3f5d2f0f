//! The event chain.

use slipway_domain::event::{Actor, GENESIS, chain_hash};
use slipway_domain::{Role, RolloutId};
use slipway_store::{AuditKey, Store};
use slipway_testkit::audit_key;
use slipway_wire::audit::Event;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Fleet, ada, claim, settings, settle, sql, store};

async fn events(pool: &PgPool) -> (Store, AuditKey) {
    let fleet = Fleet::of(3).seed(&store(pool)).await;
    fleet.rollout(1).await;
    settle(&fleet.store, &claim(&fleet.store, "w").await)
        .await
        .unwrap();
    (fleet.store, fleet.key)
}

/// The number of the first event that is wrong, and why.
async fn broken(store: &Store, key: &AuditKey) -> Option<(i64, String)> {
    let report = store.verify_chain(key).await.unwrap();
    report.problem.map(|problem| (report.broken_at.unwrap(), problem))
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_empty_chain_is_whole(pool: PgPool) {
    let report = store(&pool).verify_chain(&audit_key()).await.unwrap();
    assert_eq!(
        (report.events, report.head, report.sealed_earlier, report.problem),
        (0, hex::encode(GENESIS), 0, None)
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_is_downloaded_can_be_checked_by_anybody(pool: PgPool) {
    let (store, key) = events(&pool).await;
    let (mut after, mut hash) = (0, GENESIS);
    loop {
        let page = store.list_all_events(after, 5).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.number;
        for record in &page {
            hash = chain_hash(&hash, record.number, record.at, &record.event);
            assert_eq!(hex::encode(hash), record.hash);
        }
    }
    let head = store.event_head().await.unwrap();
    assert_eq!((head.number, head.hash), (after, hash));
    let report = store.verify_chain(&key).await.unwrap();
    assert_eq!(
        (report.events, report.head, report.problem),
        (after, hex::encode(hash), None)
    );
    assert!(
        store
            .list_events(RolloutId::generate(), 0, 5)
            .await
            .unwrap()
            .is_empty()
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn appends_at_the_same_time_keep_the_chain_whole(options: PgPoolOptions, connect: PgConnectOptions) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    let wide = Store::connect(&settings(&connect, None), "race");
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = wide.clone();
            tokio::spawn(async move {
                let key = audit_key();
                for n in 0..20 {
                    let name = format!("p-{task}-{n}").parse().unwrap();
                    store
                        .create_principal(&name, Role::Viewer, &ada(&key))
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    wide.close().await;
    let report = store(&pool).verify_chain(&audit_key()).await.unwrap();
    assert_eq!((report.events, report.problem), (160, None));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn events_cannot_be_changed_by_accident(pool: PgPool) {
    let (store, key) = events(&pool).await;
    for (text, name) in [
        ("UPDATE events SET cause = 'x' WHERE number = 1", "UPDATE"),
        ("DELETE FROM events WHERE number = 1", "DELETE"),
        ("TRUNCATE events", "TRUNCATE"),
    ] {
        let error = sqlx::query(text).execute(&pool).await.unwrap_err().to_string();
        assert!(
            error.contains(&format!("events are append-only: {name} refused")),
            "{error}"
        );
    }
    assert_eq!(broken(&store, &key).await, None);
}

/// Every column there is, so that a new one that no hash covers is found here.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn invariant_9_a_change_of_any_column_is_found(pool: PgPool) {
    let (store, key) = events(&pool).await;
    sql(
        &pool,
        "ALTER TABLE events DISABLE TRIGGER USER; CREATE TABLE backup AS TABLE events",
    )
    .await;
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT column_name::text, data_type::text FROM information_schema.columns
         WHERE table_name = 'events' ORDER BY ordinal_position",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(columns.len(), 15);
    for (column, kind) in columns {
        let mut forgeries = match (column.as_str(), kind.as_str()) {
            ("actor_kind", _) => vec!["'host'", "'rules'", "'console'"],
            (_, "bigint") => vec!["number + 1000", "-number"],
            (_, "timestamp with time zone") => vec!["at + interval '1 microsecond'"],
            (_, "uuid") => vec!["gen_random_uuid()"],
            (_, "bytea") => vec!["sha256(hash)"],
            (_, "text") => vec!["'forged'"],
            (column, kind) => panic!("no forgery for {column}, a {kind}"),
        };
        let nullable: bool = sqlx::query_scalar(
            "SELECT is_nullable = 'YES' FROM information_schema.columns
             WHERE table_name = 'events' AND column_name = $1",
        )
        .bind(&column)
        .fetch_one(&pool)
        .await
        .unwrap();
        if nullable {
            forgeries.push("NULL");
        }
        let mut tried = 0;
        for forgery in forgeries {
            let changed = sql(
                &pool,
                &format!(
                    "UPDATE events SET {column} = {forgery}
                     WHERE number = 9 AND {column} IS DISTINCT FROM {forgery}"
                ),
            )
            .await;
            let found = broken(&store, &key).await;
            tried += changed;
            if changed == 0 {
                assert_eq!(found, None, "{column} is {forgery} already");
            } else {
                let (number, problem) = found.unwrap_or_else(|| panic!("{column} = {forgery} was not found"));
                let expected = if forgery == "-number" { 1 } else { 9 };
                assert_eq!(number, expected, "{column} = {forgery}: {problem}");
            }
            sql(&pool, "DELETE FROM events; INSERT INTO events TABLE backup").await;
        }
        assert!(tried > 0, "no forgery changed {column}");
    }
    assert_eq!(broken(&store, &key).await, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_is_left_out_moved_or_slipped_in_is_found(pool: PgPool) {
    let (store, key) = events(&pool).await;
    sql(
        &pool,
        "ALTER TABLE events DISABLE TRIGGER USER; CREATE TABLE backup AS TABLE events",
    )
    .await;
    sql(&pool, "CREATE TABLE head_backup AS TABLE event_head").await;
    let count = store.event_head().await.unwrap().number;
    let last = format!("DELETE FROM events WHERE number = {count}");
    for (forgery, number, problem) in [
        ("DELETE FROM events WHERE number = 4", 4, "it is missing"),
        ("DELETE FROM events WHERE number = 1", 1, "it is missing"),
        (last.as_str(), count, "the chain ends after"),
        ("DELETE FROM events", 1, "the chain ends after 0 events"),
        ("DELETE FROM events WHERE number = 4; UPDATE events SET number = number - 1 WHERE number > 4", 4, "its hash"),
        (
            "UPDATE events SET number = CASE number WHEN 4 THEN -5 ELSE -4 END WHERE number IN (4, 5);
             UPDATE events SET number = -number WHERE number < 0",
            4,
            "its hash",
        ),
        (
            "INSERT INTO events SELECT 0, at, actor_kind, actor_name, kind, environment_id, rollout_id, step_id,
                    host_id, from_state, to_state, cause, hash, seal, seal_key FROM events WHERE number = 1",
            1,
            "it is missing: the next event that there is has number 0",
        ),
        ("UPDATE event_head SET hash = sha256('x')", count + 1, "another hash"),
        ("UPDATE event_head SET number = number + 1", count + 1, "its head says"),
        ("DELETE FROM event_head", count + 1, "head is missing"),
    ] {
        sql(&pool, forgery).await;
        let (at, why) = broken(&store, &key).await.unwrap_or_else(|| panic!("{forgery} was not found"));
        assert_eq!(at, number, "{forgery}: {why}");
        assert!(why.contains(problem), "{forgery}: {why}");
        sql(
            &pool,
            "DELETE FROM events; INSERT INTO events TABLE backup;
             DELETE FROM event_head; INSERT INTO event_head TABLE head_backup",
        )
        .await;
    }
    assert_eq!(broken(&store, &key).await, None);
}

/// Somebody who knows how the chain is made computes it again. Without the key the seals give it away.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_chain_computed_anew_lacks_the_seals(pool: PgPool) {
    let (store, key) = events(&pool).await;
    let thief = AuditKey::from_bytes(b"a guess");
    sql(&pool, "ALTER TABLE events DISABLE TRIGGER USER").await;
    let all = store.list_all_events(0, 1000).await.unwrap();
    let forge = async |from: i64, fingerprint: &str| {
        let mut hash = GENESIS;
        for record in &all {
            let mut event = record.event.clone();
            if record.number >= from {
                event.cause = "nothing happened".to_owned();
            }
            hash = chain_hash(&hash, record.number, record.at, &event);
            let (seal, seal_key) = if record.number >= from {
                (thief.seal(&hash), fingerprint)
            } else {
                (key.seal(&hash), key.fingerprint())
            };
            sqlx::query(
                "UPDATE events SET cause = $2, hash = $3, seal = $4, seal_key = $5 WHERE number = $1",
            )
            .bind(record.number)
            .bind(event.cause)
            .bind(hash.as_slice())
            .bind(seal.as_slice())
            .bind(seal_key)
            .execute(&pool)
            .await
            .unwrap();
        }
        sqlx::query("UPDATE event_head SET hash = $1")
            .bind(hash.as_slice())
            .execute(&pool)
            .await
            .unwrap();
    };
    forge(5, key.fingerprint()).await;
    let (number, why) = broken(&store, &key).await.unwrap();
    assert_eq!(
        (number, why.as_str()),
        (5, "its seal was not made with the control plane's key")
    );
    forge(5, thief.fingerprint()).await;
    let (number, why) = broken(&store, &key).await.unwrap();
    assert_eq!(number, 5, "{why}");
    assert!(why.contains("that nobody named"), "{why}");
    // Also when all of it is of the invented key, and the control plane has gone on above it.
    forge(1, thief.fingerprint()).await;
    let (number, why) = broken(&store, &key).await.unwrap();
    assert_eq!(number, 1, "{why}");
    assert!(why.contains("SECRET_KEY_EARLIER"), "{why}");
    let name = "late".parse().unwrap();
    store
        .create_principal(&name, Role::Viewer, &ada(&key))
        .await
        .unwrap();
    assert_eq!(broken(&store, &key).await.unwrap().0, 1);
}

/// Seals every event under this key, with another actor from this number on.
async fn rewrite(pool: &PgPool, store: &Store, key: &AuditKey, from: i64) {
    sql(pool, "ALTER TABLE events DISABLE TRIGGER USER").await;
    let mut hash = GENESIS;
    for record in &store.list_all_events(0, 1000).await.unwrap() {
        let mut event = record.event.clone();
        if let Actor::Principal(name) = &mut event.actor
            && record.number >= from
        {
            *name = "mallory".parse().unwrap();
        }
        hash = chain_hash(&hash, record.number, record.at, &event);
        let update =
            "UPDATE events SET actor_name = $2, hash = $3, seal = $4, seal_key = $5 WHERE number = $1";
        sqlx::query(update)
            .bind(record.number)
            .bind(event.actor.name())
            .bind(hash.as_slice())
            .bind(key.seal(&hash).as_slice())
            .bind(key.fingerprint())
            .execute(pool)
            .await
            .unwrap();
    }
    sqlx::query("UPDATE event_head SET hash = $1")
        .bind(hash.as_slice())
        .execute(pool)
        .await
        .unwrap();
}

/// Somebody with the database and the key writes the log anew. The control plane finds nothing; a noted head does.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whoever_has_the_key_too_is_found_by_a_noted_head_alone(pool: PgPool) {
    let (store, key) = events(&pool).await;
    let noted = store.event_head().await.unwrap();
    rewrite(&pool, &store, &key, 1).await;
    let all = store.list_all_events(0, 1000).await.unwrap();
    let of_mallory = |event: &Event| event.event.actor.name() == "mallory";
    assert!(all.iter().any(of_mallory));
    assert_eq!(broken(&store, &key).await, None);
    let now = store.event_head().await.unwrap();
    assert_eq!(now.number, noted.number);
    assert_ne!(now.hash, noted.hash);
}

/// A key of one's own in place of the control plane's: the log is whole, and its account of keys names another.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_keys_of_a_log_are_named_with_their_events(pool: PgPool) {
    let (store, old) = events(&pool).await;
    let first = store.verify_chain(&old).await.unwrap();
    let [only] = first.keys.as_slice() else {
        panic!("{:?}", first.keys);
    };
    assert_eq!((only.first, only.last, only.id.len()), (1, first.events, 64));
    let new = old.clone().followed_by(&[8; 32]);
    let name = "ci".parse().unwrap();
    store
        .create_principal(&name, Role::Viewer, &ada(&new))
        .await
        .unwrap();
    let both = store.verify_chain(&new).await.unwrap();
    let spans: Vec<(i64, i64)> = both.keys.iter().map(|key| (key.first, key.last)).collect();
    assert_eq!(spans, [(1, first.events), (first.events + 1, first.events + 1)]);
    assert_eq!(both.keys[0].id, only.id);
    assert_ne!(both.keys[1].id, only.id);
    let thief = AuditKey::from_bytes(&[9; 32]);
    rewrite(&pool, &store, &thief, i64::MAX).await;
    let stolen = store.verify_chain(&thief).await.unwrap();
    assert_eq!(stolen.problem, None);
    assert!(both.keys.iter().all(|key| key.id != stolen.keys[0].id));
}

/// A change of `SECRET_KEY`: what was sealed before is checked with the key that the operator names.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn events_sealed_with_an_earlier_key_are_checked_with_it(pool: PgPool) {
    let (store, old) = events(&pool).await;
    let before = store.event_head().await.unwrap().number;
    let new = old.clone().followed_by(&[8; 32]);
    let name = "ci".parse().unwrap();
    store
        .create_principal(&name, Role::Viewer, &ada(&new))
        .await
        .unwrap();
    let report = store.verify_chain(&new).await.unwrap();
    assert_eq!(
        (report.events, report.sealed_earlier, report.problem),
        (before + 1, before, None)
    );
    // The new key alone cannot prove it.
    let alone = AuditKey::from_bytes(&[8; 32]);
    assert_eq!(broken(&store, &alone).await.unwrap().0, 1);
    // A key of before that comes back, as one that leaked would.
    let late = "late".parse().unwrap();
    store
        .create_principal(&late, Role::Viewer, &ada(&old))
        .await
        .unwrap();
    let (number, why) = broken(&store, &new).await.unwrap();
    assert_eq!(number, before + 2);
    assert!(why.contains("of before the event before it"), "{why}");
}

#[test]
fn a_key_does_not_show() {
    let key = AuditKey::from_bytes(b"c0ffee");
    assert_eq!(format!("{key:?}"), format!("AuditKey({})", key.fingerprint()));
    assert_eq!(key.fingerprint().len(), 8);
}
