//! What the database itself counts.

use anyhow::Result;
use slipway_dev::postgres::PROCESS_ROLE;
use slipway_dev::stack::DevStack;

/// The control plane's database.
pub(crate) const DATABASE: &str = "slipway";

/// When a worker began to write what the newest steps are to do, in seconds since 1970.
pub(crate) async fn newest_decision(stack: &DevStack) -> Result<f64> {
    let newest = "SELECT extract(epoch FROM max(since)) FROM steps";
    Ok(stack
        .postgres
        .query(PROCESS_ROLE, DATABASE, newest)
        .await?
        .parse()?)
}

/// Transactions that it has ended, of all clients.
pub(crate) async fn transactions(stack: &DevStack) -> Result<f64> {
    let count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
    Ok(stack
        .postgres
        .query(PROCESS_ROLE, DATABASE, count)
        .await?
        .parse()?)
}
