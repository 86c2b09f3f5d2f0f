//! What one sync of an agent costs the api, in instructions. A fleet of thousands asks hundreds of times a second.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use slipway_testkit::{assert_costs_as_before, measured_async};
use slipway_wire::route;
use sqlx::PgPool;
use tower::ServiceExt as _;

use crate::support::{TestApp, observation};

/// In thousands of instructions.
const BEFORE: u64 = 1;
const SYNCS: usize = 20;

#[test]
fn syncs_cost_what_they_cost_before() {
    assert_costs_as_before("instructions::sync_20_times", BEFORE);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn sync_20_times(pool: PgPool) {
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
