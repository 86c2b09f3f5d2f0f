//! What the database itself counts.

use anyhow::Result;
use slipway_dev::postgres::PROCESS_ROLE;
use slipway_dev::stack::DevStack;

/// The control plane's database.
const DATABASE: &str = "slipway";

/// Transactions that it has ended, of all clients.
pub(crate) async fn transactions(stack: &DevStack) -> Result<f64> {
    let count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
    Ok(stack
        .postgres
        .query(PROCESS_ROLE, DATABASE, count)
        .await?
        .parse()?)
}
