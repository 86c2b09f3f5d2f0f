//! Tokens that are looked up at the same time share statements, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use slipway_domain::event::Actor;
use slipway_store::{Caller, EventAuthor, Store, StoreError, TokenHash};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{Connection as _, PgPool};
use tokio::task::JoinHandle;

use crate::support::{Fleet, sql, store};

const HOSTS: usize = 40;
/// The session's own limits end a statement after 10 s at the earliest.
const SOON: Duration = Duration::from_secs(8);

async fn hosts_found(fleet: &Fleet, store: &Store) -> Vec<Result<Option<Caller>, StoreError>> {
    join_all((0..HOSTS).map(async |n| {
        let hash = TokenHash::of(&fleet.token(&fleet.host(n).0));
        store.authenticate(&hash, &fleet.key).await
    }))
    .await
}

/// Statements that the pool's only connection has run.
async fn executed(pool: &PgPool) -> i64 {
    let executed = "SELECT coalesce(sum(generic_plans + custom_plans), 0)::bigint FROM pg_prepared_statements
                    WHERE statement NOT LIKE '%pg_prepared_statements%'";
    sqlx::query_scalar(executed).fetch_one(pool).await.unwrap()
}

fn this(fleet: &Fleet, n: usize) -> Caller {
    let (name, id) = fleet.host(n);
    Caller::Host { id, name }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn tokens_of_one_moment_share_a_few_statements_and_each_gets_its_own_answer(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let pool = options.max_connections(1).connect_with(connect).await.unwrap();
    let fleet = Fleet::of(HOSTS).seed(&store(&pool)).await;
    let by = EventAuthor::new(Actor::Console, &fleet.key);
    fleet.store.retire_host(&fleet.host(7).0, &by).await.unwrap();
    let before = executed(&pool).await;
    let (found, unknown) = tokio::join!(
        hosts_found(&fleet, &fleet.store),
        join_all((0..HOSTS).map(async |n| {
            let hash = TokenHash::of(&format!("slw_nobody{n}"));
            fleet.store.authenticate(&hash, &fleet.key).await.unwrap()
        }))
    );
    let statements = executed(&pool).await - before;
    for (n, found) in found.into_iter().enumerate() {
        let wanted = (n != 7).then(|| this(&fleet, n));
        assert_eq!(found.unwrap(), wanted, "host {n}");
    }
    assert!(unknown.iter().all(Option::is_none), "{unknown:?}");
    assert!((1..=4).contains(&statements), "{statements}");
}

/// Those that begin the statements may end before the others, who wait for these statements, have their answers.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn requests_that_go_away_take_no_other_with_them(options: PgPoolOptions, connect: PgConnectOptions) {
    let pool = options.max_connections(1).connect_with(connect).await.unwrap();
    let fleet = Fleet::of(HOSTS).seed(&store(&pool)).await;
    let first = TokenHash::of(&fleet.token(&fleet.host(0).0));
    let before = executed(&pool).await;
    for _ in 0..20 {
        let gone = [(); 4].map(|()| {
            let (store, key) = (fleet.store.clone(), fleet.key.clone());
            tokio::spawn(async move { store.authenticate(&first, &key).await.map(drop) })
        });
        // They have asked, and wait.
        tokio::task::yield_now().await;
        let end = async { gone.iter().for_each(JoinHandle::abort) };
        let (found, ()) = tokio::join!(hosts_found(&fleet, &fleet.store), end);
        for (n, found) in found.into_iter().enumerate() {
            assert_eq!(found.unwrap(), Some(this(&fleet, n)));
        }
    }
    // If the statements ended with those that began them, each of the 40 would need its own.
    let statements = executed(&pool).await - before;
    assert!(statements <= 20 * 6, "{statements}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_broken_row_refuses_its_own_token_and_no_other(pool: PgPool) {
    let fleet = Fleet::of(HOSTS).seed(&store(&pool)).await;
    let broken = fleet.host(3).0;
    let swap = format!("UPDATE hosts SET name = 'No Name' WHERE name = '{broken}'");
    assert_eq!(sql(&pool, &swap).await, 1);
    for (n, found) in hosts_found(&fleet, &fleet.store).await.into_iter().enumerate() {
        match found {
            Err(_) if n == 3 => {}
            found => assert_eq!(found.unwrap(), Some(this(&fleet, n)), "host {n}"),
        }
    }
}

/// A connection to a server that died answers nothing for minutes.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_statement_that_hangs_delays_its_requests_and_stops_none(pool: PgPool) {
    let fleet = Fleet::of(HOSTS).seed(&store(&pool)).await;
    sqlx::raw_sql(
        "CREATE SEQUENCE tries;
         CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('tries') = 1 THEN PERFORM pg_sleep(60); END IF; RETURN new; END $$;
         CREATE TRIGGER hang BEFORE UPDATE ON tokens FOR EACH ROW EXECUTE FUNCTION hang();
         GRANT ALL ON SEQUENCE tries TO PUBLIC",
    )
    .execute(&pool)
    .await
    .unwrap();
    let found = tokio::time::timeout(SOON, hosts_found(&fleet, &fleet.store)).await;
    for (n, found) in found.unwrap().into_iter().enumerate() {
        assert_eq!(found.unwrap(), Some(this(&fleet, n)), "host {n}");
    }
    let tries: i64 = sqlx::query_scalar("SELECT last_value FROM tries")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(tries > 1, "nothing hung");
    // Else the end of the test would wait for it.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event = 'PgSleep'";
    assert_eq!(sql(&pool, end).await, 1);
}

/// The setting says how long: a request is answered 503 then, however many others wait before it.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nobody_waits_much_longer_than_a_connection_may_take(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    const REQUESTS: usize = 20_000;
    let pool = options.max_connections(1).acquire_timeout(Duration::from_secs(1));
    let pool = pool.connect_with(connect).await.unwrap();
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let _taken = pool.acquire().await.unwrap();
    let hash = TokenHash::of(&fleet.token(&fleet.host(0).0));
    let asked = join_all((0..REQUESTS).map(|_| fleet.store.authenticate(&hash, &fleet.key)));
    // One after another, as many as one statement takes, they would wait for 40 s.
    let told = tokio::time::timeout(Duration::from_secs(25), asked)
        .await
        .unwrap();
    assert!(
        told.iter()
            .all(|told| told.as_ref().is_err_and(StoreError::is_unavailable))
    );
}

/// Two processes that wait for each other's rows would never end.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_lookup_waits_for_no_row_of_a_token(options: PgPoolOptions, connect: PgConnectOptions) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    let fleet = Fleet::of(HOSTS).seed(&store(&pool)).await;
    let mut other = PgConnection::connect_with(&connect).await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE tokens SET last_used_at = NULL")
        .execute(&mut other)
        .await
        .unwrap();
    let found = tokio::time::timeout(SOON, hosts_found(&fleet, &fleet.store)).await;
    for (n, found) in found.unwrap().into_iter().enumerate() {
        assert_eq!(found.unwrap(), Some(this(&fleet, n)), "host {n}");
    }
}

/// However many others ask meanwhile: no statement that began before the revocation answers a request that came after it.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_revoked_token_is_refused_at_once_under_load(pool: PgPool) {
    let fleet = Fleet::of(HOSTS).seed(&store(&pool)).await;
    let by = EventAuthor::new(Actor::Console, &fleet.key);
    let revoke = async {
        for n in 0..HOSTS / 2 {
            let (name, id) = fleet.host(n);
            let old = TokenHash::of(&fleet.token(&name));
            let new = TokenHash::of(&format!("slw_new{n}"));
            fleet
                .store
                .replace_host_token(id, "agent", new, &by)
                .await
                .unwrap();
            let find = async |hash: TokenHash| fleet.store.authenticate(&hash, &fleet.key).await.unwrap();
            assert_eq!(find(old).await, None);
            assert_eq!(find(new).await, Some(this(&fleet, n)));
        }
    };
    let load = async {
        let mut answers = BTreeSet::new();
        loop {
            for found in hosts_found(&fleet, &fleet.store).await {
                answers.insert(found.unwrap().is_some());
            }
            if answers.len() == 2 && fleet_is_replaced(&fleet).await {
                return;
            }
        }
    };
    tokio::join!(revoke, load);
}

async fn fleet_is_replaced(fleet: &Fleet) -> bool {
    let last = TokenHash::of(&format!("slw_new{}", HOSTS / 2 - 1));
    fleet
        .store
        .authenticate(&last, &fleet.key)
        .await
        .unwrap()
        .is_some()
}
