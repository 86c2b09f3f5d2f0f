//! News of output, for requests and pages that follow a rollout: one look at the database serves all of them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slipway_domain::RolloutId;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::room::Room;

/// The most pieces that this process writes at once, each on a connection.
pub const MOST_WRITES: usize = 4;
/// How long an agent's request waits for its turn before it is asked to come again.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(2);

/// The numbers of the newest pieces of output of rollouts that somebody follows.
#[derive(Debug)]
pub struct OutputFeed {
    followed: Mutex<HashMap<RolloutId, watch::Sender<i64>>>,
    /// Somebody begins to follow.
    hurry: Notify,
    /// Room for pieces that are written at once. The pieces of one rollout are written one after the other, and those that
    /// wait must not hold the connections that syncs and people need.
    pub(crate) room: Room,
}

impl Default for OutputFeed {
    fn default() -> Self {
        Self {
            followed: Mutex::default(),
            hurry: Notify::default(),
            room: Room::new(MOST_WRITES, WAIT_FOR_ROOM),
        }
    }
}

impl OutputFeed {
    /// Tells of the number of the rollout's newest piece, from now on.
    pub(crate) fn subscribe(&self, rollout: RolloutId) -> watch::Receiver<i64> {
        let news = self.followed().entry(rollout).or_default().subscribe();
        self.hurry.notify_one();
        news
    }

    /// The rollouts that somebody follows; waits until there is one.
    pub(crate) async fn wanted(&self) -> Vec<RolloutId> {
        loop {
            let wanted: Vec<RolloutId> = {
                let mut followed = self.followed();
                followed.retain(|_, newest| newest.receiver_count() > 0);
                followed.keys().copied().collect()
            };
            if !wanted.is_empty() {
                return wanted;
            }
            self.hurry.notified().await;
        }
    }

    /// Tells those that follow the rollout.
    pub(crate) fn tell(&self, rollout: RolloutId, number: i64) {
        if let Some(newest) = self.followed().get(&rollout) {
            newest.send_if_modified(|newest| {
                let is_new = number > *newest;
                *newest = number.max(*newest);
                is_new
            });
        }
    }

    /// Returns when somebody begins to follow, and after the pause at the latest.
    pub(crate) async fn pause(&self, most: Duration) {
        let _ = timeout(most, self.hurry.notified()).await;
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<RolloutId, watch::Sender<i64>>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use slipway_domain::RolloutId;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_somebody_follows_is_looked_for() {
        let feed = OutputFeed::default();
        assert!(timeout(Duration::from_mins(1), feed.wanted()).await.is_err());
        let (one, other) = (RolloutId::generate(), RolloutId::generate());
        let mut news = feed.subscribe(one);
        assert_eq!(feed.wanted().await, [one]);
        feed.tell(other, 9);
        feed.tell(one, 3);
        feed.tell(one, 2);
        news.changed().await.unwrap();
        assert_eq!(*news.borrow_and_update(), 3);
        assert!(!news.has_changed().unwrap());
        drop(news);
        assert!(timeout(Duration::from_mins(1), feed.wanted()).await.is_err());
    }
}
