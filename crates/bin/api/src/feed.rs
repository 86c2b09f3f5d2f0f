//! News of events, for requests that wait for one.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// News of events: the number of the newest that was seen.
#[derive(Debug, Default)]
pub struct Feed {
    newest: watch::Sender<i64>,
    /// Something may have happened, or somebody begins to wait.
    hurry: Notify,
}

impl Feed {
    /// Tells of every change from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }

    /// Somebody waits for an event: begin to look.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Returns once somebody waits for an event.
    pub(crate) async fn wanted(&self) {
        if self.newest.receiver_count() == 0 {
            self.hurry.notified().await;
        }
    }

    /// Tells those that wait of the newest event.
    pub(crate) fn tell(&self, number: i64) {
        self.newest
            .send_if_modified(|newest| std::mem::replace(newest, number) != number);
    }

    /// Returns when somebody hurries, and after the pause at the latest.
    pub(crate) async fn pause(&self, most: Duration) {
        let _ = timeout(most, self.hurry.notified()).await;
    }
}
