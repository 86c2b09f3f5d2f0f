//! The newest event of the audit log is taken away together with its place in the head, as somebody with all rights could.

use anyhow::{Result, ensure};

use crate::stack::DevStack;

/// Nothing in the log itself contradicts this: only who saw the event before can tell.
const CUT_OFF: &str = "\
    BEGIN; ALTER TABLE events DISABLE TRIGGER USER; \
    CREATE TABLE cut_off AS SELECT * FROM events ORDER BY number DESC LIMIT 1; \
    DELETE FROM events USING cut_off WHERE events.number = cut_off.number; \
    UPDATE event_head SET (number, hash) = (SELECT number, hash FROM events ORDER BY number DESC LIMIT 1); \
    ALTER TABLE events ENABLE TRIGGER USER; COMMIT";
const BACK: &str = "\
    BEGIN; INSERT INTO events SELECT * FROM cut_off; \
    UPDATE event_head SET (number, hash) = (SELECT number, hash FROM cut_off); \
    DROP TABLE cut_off; COMMIT";

/// Waits until a worker has checked the newest event.
pub(super) async fn wait_seen(stack: &DevStack) -> Result<()> {
    let seen = "SELECT count(*) FROM audit_walks, event_head
                WHERE name = 'newest' AND audit_walks.number = event_head.number";
    let end = tokio::time::Instant::now() + super::SOON;
    while change(stack, seen).await? != "1" {
        ensure!(
            tokio::time::Instant::now() < end,
            "no worker checks the newest event"
        );
        tokio::time::sleep(super::LOOK).await;
    }
    Ok(())
}

/// Cuts the end off.
pub(super) async fn cut_off(stack: &DevStack) -> Result<()> {
    change(stack, CUT_OFF).await.map(drop)
}

/// Puts it back.
pub(super) async fn put_back(stack: &DevStack) -> Result<()> {
    change(stack, BACK).await.map(drop)
}

async fn change(stack: &DevStack, sql: &str) -> Result<String> {
    stack.postgres.query("postgres", "slipway", sql).await
}
