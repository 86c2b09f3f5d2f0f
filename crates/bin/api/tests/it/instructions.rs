//! What one sync of an agent costs the api, in instructions. A fleet of thousands asks hundreds of times a second.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use slipway_testkit::{assert_costs_as_before, measured_async, wait_until};
use slipway_wire::route;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tower::ServiceExt as _;

use crate::support::{TestApp, observation};

/// In thousands of instructions. Looking up the token is not among them, as it is a task of its own. Nor is what the database
/// does.
const BEFORE: u64 = 11_989;
const SYNCS: usize = 20;
/// Each takes Valgrind seconds to open: it computes the proof of a password.
const CONNECTIONS: u32 = 2;

#[test]
fn syncs_cost_what_they_cost_before() {
    assert_costs_as_before("instructions::sync_20_times", BEFORE);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn sync_20_times(options: PgPoolOptions, connect: PgConnectOptions) {
    let pool = options
        .max_connections(CONNECTIONS)
        .connect_with(connect)
        .await
        .unwrap();
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    let body = observation("web-1").to_string();
    let sync = async || {
        let request = Request::post(route::AGENT_SYNC)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(body.clone()));
        let answer = app.router.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    };
    open_all_connections(&app.pool).await;
    // The first ones prepare statements and note what is new.
    for _ in 0..3 {
        sync().await;
    }
    measured_async(async {
        for _ in 0..SYNCS {
            sync().await;
        }
    })
    .await;
}

/// None is to be opened while we count.
async fn open_all_connections(pool: &PgPool) {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(pool.acquire().await.unwrap());
    }
    let opened = connections.len();
    drop(connections);
    let limit = Duration::from_secs(30);
    let are_back = async || (pool.num_idle() == opened).then_some(());
    wait_until("all connections are back", limit, are_back).await;
}
