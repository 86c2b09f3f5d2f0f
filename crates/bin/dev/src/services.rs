//! `slipway-dev services`: Postgres and Redis alone, for running tests by hand.

use anyhow::Result;

use crate::postgres::{DevPostgres, Durability};
use crate::redis::DevRedis;
use crate::run::Run;
use crate::say::{print, say};

/// Starts both, prints how to reach them in a form a shell can read, and stays.
pub async fn run(run: &Run) -> Result<()> {
    let postgres = DevPostgres::start(run, Durability::Fast).await?;
    let redis = DevRedis::start(run).await?;
    print(&format!("export DATABASE_URL={}", postgres.admin_url()));
    print(&format!("export REDIS_URL={}", redis.url()));
    say("Both run until Ctrl-C, and nothing of them stays.");
    std::future::pending().await
}
