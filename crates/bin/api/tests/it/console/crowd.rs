//! Hundreds of open pages take no connection that somebody else needs.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use sqlx::{Connection, PgConnection};
use tokio::time::{sleep, timeout};

use super::*;

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

    /// Connections that wait.
    async fn waiting(&mut self) -> i64 {
        let waiting = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'steps'::regclass",
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

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_crowd_of_pages_leaves_half_of_the_connections(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    app.rollout("prod", &["web-1"]).await;
    let browser = Browser::signed_in(&app, &app.admin).await;
    let half = i64::from(app.pool.options().get_max_connections() / 2);
    let mut busy = Busy::new(&app.pool).await;
    let crowd = join_all((0..10 * half).map(|_| browser.get("/rollouts/1")));
    let meanwhile = async {
        while busy.waiting().await < half {
            sleep(Duration::from_millis(10)).await;
        }
        // A host or a person beside them.
        for _ in 0..20 {
            let answer = timeout(SOON, app.get(route::WHOAMI)).await;
            answer.expect("the pages have all connections").expect(200);
        }
        assert_eq!(busy.waiting().await, half);
        busy.end().await;
    };
    let (pages, others) = tokio::join!(crowd, timeout(3 * SOON, meanwhile));
    others.expect("the crowd does not come");
    for page in pages {
        assert_eq!(page.status, 200, "{}", page.text);
    }
}
