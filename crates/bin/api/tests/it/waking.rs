//! Wake-ups are hints: they say when to look, and what is told comes from the database.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use slipway_api::parking::SyncOutcome;
use slipway_domain::{HostId, Instruction};
use slipway_testkit::wait_until;
use sqlx::PgPool;
use tracing::span;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::support::TestApp;

const SOON: Duration = Duration::from_secs(30);

/// Counts the queries for assignments of this thread, on which everything here runs.
#[derive(Clone, Default)]
struct Looks(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Looks {
    fn on_new_span(&self, span: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        if span.metadata().name() == "db.agent.assigned" {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Looks {
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let looks = Self::default();
        let counting = tracing_subscriber::registry().with(looks.clone());
        (looks, tracing::subscriber::set_default(counting))
    }

    fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A rollout to `web-1` and so many hosts besides, nothing of it begun.
async fn fleet(app: &TestApp, more: i32) -> Vec<HostId> {
    app.fleet("prod", &["web-1"]).await;
    app.rollout("prod", &["web-1"]).await;
    for insert in [
        "INSERT INTO hosts (id, environment_id, name)
         SELECT gen_random_uuid(), e.id, 'bulk-' || n FROM environments e, generate_series(1, $1) n",
        "INSERT INTO steps (id, rollout_id, host_id, wave, closure)
         SELECT gen_random_uuid(), r.id, h.id, 1, '/nix/store/00000000000000000000000000000001-' || h.name
         FROM rollouts r, hosts h WHERE h.name LIKE 'bulk-%' AND $1 > 0",
    ] {
        sqlx::query(insert).bind(more).execute(&app.pool).await.unwrap();
    }
    let ids = sqlx::query_scalar("SELECT id FROM hosts").fetch_all(&app.pool);
    ids.await.unwrap().into_iter().map(HostId::from_uuid).collect()
}

/// Parks all of them, wakes them, and gives the outcome of each.
async fn outcomes_of(app: &TestApp, hosts: &[HostId], wake: impl AsyncFnOnce()) -> Vec<SyncOutcome> {
    let parked = hosts.iter().map(|host| app.app.parking.park(*host));
    let waiting = join_all(parked.map(|mut parked| async move { parked.outcome().await }));
    // In this order: each waits by the time that there is news.
    let (outcomes, ()) = tokio::join!(waiting, async {
        app.bring_steps(None, "staging").await;
        wake().await;
    });
    outcomes
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_whole_fleet_is_answered_with_a_few_queries(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let hosts = fleet(&app, 299).await;
    let (looks, _counting) = Looks::begin();
    let began = Instant::now();
    let outcomes = outcomes_of(&app, &hosts, async || app.app.wake.publish_hosts(&hosts).await).await;
    assert_eq!(outcomes.len(), 300);
    for outcome in &outcomes {
        assert!(
            matches!(outcome, SyncOutcome::Instruct(Instruction::Stage { .. })),
            "{outcome:?}"
        );
    }
    // One for the wake-up, and one for every look that is taken anyway, should this have been slow.
    let most = 3 + usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(looks.taken() <= most, "{} queries", looks.taken());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_flood_of_messages_costs_no_query_each(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let hosts = fleet(&app, 0).await;
    let mut parked = app.app.parking.park(hosts[0]);
    let (looks, _counting) = Looks::begin();
    let began = Instant::now();
    let flood = async {
        for _ in 0..5000 {
            app.app.wake.publish_hosts(&hosts).await;
        }
    };
    tokio::select! {
        outcome = parked.outcome() => panic!("{outcome:?} although there is nothing to do"),
        () = flood => {}
    }
    let most = 3 + began.elapsed().as_millis() / 20;
    assert!((looks.taken() as u128) <= most, "{} queries", looks.taken());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn hosts_that_are_not_parked_cost_no_query(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let hosts = fleet(&app, 0).await;
    let (looks, _counting) = Looks::begin();
    let strangers: Vec<HostId> = (0..1000).map(|_| HostId::generate()).collect();
    app.app.wake.publish_hosts(&strangers).await;
    // What comes after them was heard after them.
    let outcomes = outcomes_of(&app, &hosts, async || app.app.wake.publish_hosts(&hosts).await).await;
    assert!(matches!(outcomes[..], [SyncOutcome::Instruct(_)]), "{outcomes:?}");
    assert!(looks.taken() <= 2, "{} queries", looks.taken());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_answer_is_what_the_database_says_when_the_message_comes(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let hosts = fleet(&app, 0).await;
    let mut parked = app.app.parking.park(hosts[0]);
    // The message is late: what it was sent for is over, and something else is asked for.
    app.app.parking.wake(&HashSet::from([hosts[0]]));
    app.bring_steps(None, "staging").await;
    app.bring_steps(None, "reverting").await;
    let outcome = parked.outcome().await;
    assert!(
        matches!(outcome, SyncOutcome::Instruct(Instruction::Revert { .. })),
        "{outcome:?}"
    );
    wait_until("its place to be free", SOON, async || {
        app.app.parking.hosts().is_empty().then_some(())
    })
    .await;
}
