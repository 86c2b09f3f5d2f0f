//! `slipway-dev services`: Postgres and Redis alone, for running tests by hand.

use anyhow::Result;

use crate::postgres::{Durability, Postgres};
use crate::redis::Redis;
use crate::run::Run;
use crate::say::{print, say};

/// Starts both, prints how to reach them in a form a shell can read, and stays.
pub async fn run(run: &Run) -> Result<()> {
    let postgres = Postgres::start(run, Durability::Fast).await?;
    let redis = Redis::start(run).await?;
    print(&format!("export DATABASE_URL={}", postgres.admin_url()));
    print(&format!("export REDIS_URL={}", redis.url()));
    say("Both run until Ctrl-C, and nothing of them stays.");
    std::future::pending().await
}
