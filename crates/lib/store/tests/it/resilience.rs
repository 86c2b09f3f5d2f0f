//! Connections that die, and a server that goes away and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use slipway_domain::{PrincipalName, Role};
use slipway_settings::DatabaseSettings;
use slipway_store::{Store, StoreError, watch_commits};
use slipway_testkit::{audit_key, begin, wait_until};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::time::timeout;

use crate::gate::Gate;
use crate::support::{ada, settings, store};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nothing_acknowledged_is_lost_when_connections_are_killed(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    let wide = Store::connect(&settings(&connect, None), "victim");
    let done = Arc::new(AtomicBool::new(false));
    let killer = {
        let (pool, done) = (pool.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut killed = 0;
            while !done.load(Ordering::Relaxed) {
                let hit: Vec<bool> = sqlx::query_scalar(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE application_name = 'victim' AND datname = current_database() AND random() < 0.3",
                )
                .fetch_all(&pool)
                .await
                .unwrap();
                killed += hit.len();
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
            killed
        })
    };
    let writers: Vec<_> = (0..8)
        .map(|task| {
            let store = wide.clone();
            tokio::spawn(async move {
                let key = audit_key();
                let (mut acknowledged, mut failed, mut undone) = (Vec::new(), 0, Vec::new());
                for n in 0..40 {
                    let name: PrincipalName = format!("p-{task}-{n}").parse().unwrap();
                    let made = async { store.create_principal(&name, Role::Viewer, &ada(&key)).await };
                    let (made, committed) = watch_commits(made).await;
                    match made {
                        Ok(principal) => {
                            assert!(committed);
                            acknowledged.push(principal);
                        }
                        Err(StoreError::Unavailable(_)) if committed => failed += 1,
                        Err(StoreError::Unavailable(_)) => undone.push(name),
                        Err(error) => panic!("{error:?}"),
                    }
                }
                (acknowledged, failed, undone)
            })
        })
        .collect();
    let (mut acknowledged, mut failed, mut undone) = (Vec::new(), 0, Vec::new());
    for writer in writers {
        let (ours, theirs, without) = writer.await.unwrap();
        acknowledged.extend(ours);
        failed += theirs + without.len();
        undone.extend(without);
    }
    done.store(true, Ordering::Relaxed);
    assert!(killer.await.unwrap() > 0);
    assert!(
        failed > 0 && !acknowledged.is_empty(),
        "{failed} failed, {} did not",
        acknowledged.len()
    );

    let store = store(&pool);
    let kept = store.list_principals().await.unwrap();
    assert!(acknowledged.iter().all(|principal| kept.contains(principal)));
    // They can be sent again without a look.
    assert!(!undone.is_empty());
    assert!(kept.iter().all(|principal| !undone.contains(&principal.name)));
    let report = store.verify_chain(&audit_key()).await.unwrap();
    assert_eq!(report.problem, None);
    assert_eq!(
        report.events,
        i64::try_from(kept.len()).unwrap(),
        "one event for each that is there"
    );
    wide.close().await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_server_that_went_away_is_unavailable_and_comes_back(_: PgPoolOptions, connect: PgConnectOptions) {
    let mut gate = Gate::open(format!("{}:{}", connect.get_host(), connect.get_port())).await;
    let mut settings = settings(&connect, Some(gate.port));
    settings.acquire_timeout = Duration::from_secs(1);
    let store = Store::connect(&settings, "behind-the-gate");
    store.ping().await.unwrap();
    gate.shut();
    for _ in 0..3 {
        let error = store.list_principals().await.unwrap_err();
        assert!(error.is_unavailable(), "{error:?}");
        assert_eq!(error.to_string(), "the database is not available");
    }
    gate.reopen().await;
    wait_until("the database to be back", Duration::from_secs(5), async || {
        store.ping().await.ok()
    })
    .await;
    // A start does not wait for the database either.
    gate.shut();
    let early = Store::connect(&settings, "early");
    assert!(early.ping().await.unwrap_err().is_unavailable());
    gate.reopen().await;
    wait_until("the first connection", Duration::from_secs(5), async || {
        early.ping().await.ok()
    })
    .await;
}

/// TCP tells of a machine without power only after a quarter of an hour. Its connections must not take the places of others for
/// so long. Most were used a moment ago, and some begin a transaction.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_server_that_fell_silent_and_was_replaced_is_used_again_soon(
    _: PgPoolOptions,
    connect: PgConnectOptions,
) {
    const CALL: Duration = Duration::from_secs(1);

    let mut gate = Gate::open(format!("{}:{}", connect.get_host(), connect.get_port())).await;
    let mut settings = settings(&connect, Some(gate.port));
    (settings.pool_size, settings.max_overflow) = (4, 0);
    settings.acquire_timeout = Duration::from_secs(2);
    let store = Store::connect(&settings, "replaced");
    let key = audit_key();
    let ada = ada(&key);
    let pings = async || _ = timeout(CALL, store.ping()).await;
    let begins = async |name: &str| {
        let name = name.parse().unwrap();
        let made = timeout(CALL, store.create_principal(&name, Role::Viewer, &ada)).await;
        assert!(!matches!(made, Ok(Ok(_))), "nothing can be written");
    };
    join_all((0..4).map(|_| store.ping())).await;
    // sqlx asks each that comes back without a bound, and nothing tells when that is over.
    tokio::time::sleep(Duration::from_millis(500)).await;
    gate.replace_machine();
    tokio::join!(pings(), pings(), begins("one"), begins("two"));
    wait_until("the other machine", Duration::from_secs(30), async || {
        join_all((0..4).map(|_| store.ping()))
            .await
            .into_iter()
            .all(|ping| ping.is_ok())
            .then_some(())
    })
    .await;
    store
        .create_principal(&"one".parse().unwrap(), Role::Viewer, &ada)
        .await
        .unwrap();
    // Whoever waits for the old machine still hears of its end.
    gate.shut();
    store.close().await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_refused_login_is_unavailable_and_says_what_to_do(_: PgPoolOptions, connect: PgConnectOptions) {
    let refused = async |change: &dyn Fn(&mut DatabaseSettings), cure: &str| {
        let mut wrong = settings(&connect, None);
        change(&mut wrong);
        let error = Store::connect(&wrong, "wrong").ping().await.unwrap_err();
        assert!(
            error.is_unavailable() && error.to_string().contains(cure),
            "{error:?}"
        );
    };
    refused(
        &|wrong| wrong.name = "there-is-no-such-database".to_owned(),
        "DATABASE_NAME",
    )
    .await;
    refused(
        &|wrong| wrong.user = "nobody-of-that-name".to_owned(),
        "DATABASE_USER",
    )
    .await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn connections_are_named_and_opened_when_needed(options: PgPoolOptions, connect: PgConnectOptions) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    let store = Store::connect(&settings(&connect, None), "slipway-named");
    let named = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE application_name = 'slipway-named' AND datname = current_database()";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&pool).await.unwrap()
    };
    assert_eq!(named().await, 0);
    store.ping().await.unwrap();
    assert_eq!(named().await, 1);
    store.close().await;
    assert!(store.ping().await.unwrap_err().is_unavailable());
}

/// The limits of a session hold: here the one on locks.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_lock_that_nobody_gives_back_keeps_nobody_waiting_for_ever(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    let store = Store::connect(&settings(&connect, None), "waits");
    let mut holder = begin(&pool).await;
    sqlx::query("SELECT FROM event_head FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let began = std::time::Instant::now();
    let key = audit_key();
    let name = "ci".parse().unwrap();
    let error = store
        .create_principal(&name, Role::Viewer, &ada(&key))
        .await
        .unwrap_err();
    let waited = began.elapsed().as_secs();
    assert!(
        error.is_unavailable() && (9..20).contains(&waited),
        "{waited} s: {error:?}"
    );
    holder.rollback().await.unwrap();
    store
        .create_principal(&name, Role::Viewer, &ada(&key))
        .await
        .unwrap();
    store.close().await;
}
