//! Hundreds of open pages, and thousands of agents, take no connection that somebody else needs.

use std::pin::pin;
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use sqlx::{Connection, PgConnection};
use tokio::time::{sleep, timeout};

use super::*;
use crate::support::observation;

/// Longer than any answer here takes by itself.
const SOON: Duration = Duration::from_secs(10);

/// Keeps the hosts of all rollouts from being read, as a read that takes long does.
struct Busy(PgConnection);

impl Busy {
    async fn new(pool: &PgPool) -> Self {
        let mut connection = PgConnection::connect_with(&pool.connect_options()).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE steps IN ACCESS EXCLUSIVE MODE")
            .execute(&mut connection)
            .await
            .unwrap();
        Self(connection)
    }

    /// Connections that wait. Other tests have databases from the same template, where the table has the same number.
    async fn waiting(&mut self) -> i64 {
        let waiting = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
             WHERE NOT l.granted AND l.relation = 'steps'::regclass AND d.datname = current_database()",
        );
        waiting.fetch_one(&mut self.0).await.unwrap()
    }

    async fn end(mut self) {
        sqlx::raw_sql("COMMIT").execute(&mut self.0).await.unwrap();
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whoever_follows_a_rollout_reads_none_of_its_hosts(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let id = app.rollout("prod", &["web-1"]).await;
    let browser = Browser::signed_in(&app, &app.admin).await;
    let busy = Busy::new(&app.pool).await;
    let open = browser.open(Method::GET, "/rollouts/1/live?after=1000", String::new(), &[]);
    let stream = timeout(SOON, open).await.expect("it waits for the hosts");
    assert_eq!(stream.status(), StatusCode::OK);
    // Nothing new is no reason to read them either.
    for of in [route::ROLLOUT_EVENTS, route::ROLLOUT_OUTPUT] {
        let nothing = format!("{}?after=1000", route::fill(of, &id));
        let got = timeout(SOON, app.get(&nothing))
            .await
            .expect("it waits for the hosts");
        assert_eq!(got.expect(200).body["items"], json!([]), "{of}");
    }
    busy.end().await;
    let missing = browser.get("/rollouts/2/live").await;
    assert_eq!(missing.status, 404, "{}", missing.text);
}

/// People are answered while a crowd waits with all that it may take, which is never more than `most`.
async fn people_are_served(app: &TestApp, mut busy: Busy, most: i64) {
    while busy.waiting().await < most {
        sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..20 {
        let answer = timeout(SOON, app.get(route::WHOAMI)).await;
        answer.expect("the crowd has all connections").expect(200);
        let waiting = busy.waiting().await;
        assert!(waiting <= most, "{waiting} wait at once");
    }
    busy.end().await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_crowd_of_pages_leaves_half_of_the_connections(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    app.rollout("prod", &["web-1"]).await;
    let browser = Browser::signed_in(&app, &app.admin).await;
    let half = i64::from(app.pool.options().get_max_connections() / 2);
    let busy = Busy::new(&app.pool).await;
    let crowd = join_all((0..10 * half).map(|_| browser.get("/rollouts/1")));
    let (pages, others) = tokio::join!(crowd, timeout(3 * SOON, people_are_served(&app, busy, half)));
    others.expect("the crowd does not come");
    for page in pages {
        assert_eq!(page.status, 200, "{}", page.text);
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn previews_that_wait_for_agents_hold_no_other_page_up(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hosts = app.fleet("prod", &["web-1"]).await;
    app.release(&["web-1"]).await;
    // An agent that sends its facts, and answers no preflight.
    let mut seen = observation("web-1");
    seen["facts"] =
        json!({ "memory": { "total_bytes": 1 << 30, "available_bytes": 1 << 29, "swap_free_bytes": 0 } });
    let sync = app.call(Method::POST, route::AGENT_SYNC, &hosts[0], Some(seen));
    sync.await.expect(200);
    let browser = Browser::signed_in(&app, &app.admin).await;
    let most = app.pool.options().get_max_connections();
    let previews = join_all((0..most).map(|_| browser.get("/environments/prod/preflight?release=1")));
    let mut previews = pin!(previews);
    let mut pages = 0;
    let waited = loop {
        let page = timeout(SOON / 2, browser.get("/releases"));
        tokio::select! {
            waited = &mut previews => break waited,
            page = page => assert_eq!(page.expect("it waits for the agents").status, 200),
        }
        pages += 1;
    };
    assert!(pages > 0, "no preview waited");
    for page in waited {
        assert!(page.text.contains("web-1"), "{}", page.text);
    }
}

/// As all agents of a fleet do after a start of the process.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_crowd_of_agents_leaves_connections_to_people(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hosts = app.fleet("prod", &["web-1"]).await;
    let turns = i64::from(app.pool.options().get_max_connections() * 2 / 5);
    let busy = Busy::new(&app.pool).await;
    let crowd = join_all((0..20 * turns).map(|_| {
        let seen = observation("web-1");
        app.call(Method::POST, route::AGENT_SYNC, &hosts[0], Some(seen))
    }));
    let (syncs, others) = tokio::join!(crowd, timeout(3 * SOON, people_are_served(&app, busy, turns)));
    others.expect("the crowd does not come");
    for sync in syncs {
        sync.expect(200);
    }
}
