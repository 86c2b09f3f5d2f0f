//! Wake-ups between two reads: each host and each rollout once, however often messages named it.

use std::collections::HashSet;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use slipway_domain::{HostId, RolloutId};
use tokio::sync::Notify;

use crate::message::WakeUp;

/// The most ids that wait for a slow reader. Beyond it they are dropped, and the reader is told to query the
/// database.
const MOST_IDS: usize = 20_000;

/// Unread wake-ups. A flood of messages costs only one query after another.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    unread: Mutex<Unread>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Unread {
    rollouts: HashSet<RolloutId>,
    hosts: HashSet<HostId>,
    missed: bool,
}

impl Inbox {
    fn unread(&self) -> MutexGuard<'_, Unread> {
        // Every change below is whole before anything can panic.
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never waits: the connection has an unbounded buffer, which must stay empty.
    pub(crate) fn add(&self, wake_up: WakeUp) {
        let mut unread = self.unread();
        match wake_up {
            // A reader that will query everything needs no ids.
            _ if unread.missed => {}
            WakeUp::Rollouts(ids) => unread.rollouts.extend(ids),
            WakeUp::Hosts(ids) => unread.hosts.extend(ids),
            WakeUp::Reconnected => unread.missed = true,
        }
        if unread.missed || unread.rollouts.len() + unread.hosts.len() > MOST_IDS {
            *unread = Unread {
                missed: true,
                ..Unread::default()
            };
        }
        drop(unread);
        self.news.notify_one();
    }

    /// All unread wake-ups. Cancelling loses none.
    pub(crate) async fn take(&self) -> WakeUp {
        loop {
            let news = self.news.notified();
            if let Some(wake_up) = self.unread().take() {
                return wake_up;
            }
            news.await;
        }
    }
}

impl Unread {
    fn take(&mut self) -> Option<WakeUp> {
        if mem::take(&mut self.missed) {
            Some(WakeUp::Reconnected)
        } else if !self.rollouts.is_empty() {
            Some(WakeUp::Rollouts(mem::take(&mut self.rollouts)))
        } else if !self.hosts.is_empty() {
            Some(WakeUp::Hosts(mem::take(&mut self.hosts)))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_named_a_thousand_times_is_read_once() {
        let inbox = Inbox::default();
        let host = HostId::generate();
        for _ in 0..1000 {
            inbox.add(WakeUp::Hosts(HashSet::from([host])));
        }
        assert_eq!(inbox.take().await, WakeUp::Hosts(HashSet::from([host])));
        assert_eq!(inbox.unread().take(), None);
    }

    #[tokio::test]
    async fn a_reader_that_missed_some_is_told_to_look_for_itself() {
        let inbox = Inbox::default();
        for _ in 0..=MOST_IDS {
            inbox.add(WakeUp::Rollouts(HashSet::from([RolloutId::generate()])));
        }
        assert_eq!(inbox.take().await, WakeUp::Reconnected);
        let later = RolloutId::generate();
        inbox.add(WakeUp::Rollouts(HashSet::from([later])));
        assert_eq!(inbox.take().await, WakeUp::Rollouts(HashSet::from([later])));
    }
}
