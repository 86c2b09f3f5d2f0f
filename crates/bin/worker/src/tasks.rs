//! One task a rollout, and never two.

use std::collections::HashMap;
use std::future::Future;

use slipway_domain::RolloutId;
use slipway_telemetry::error_chain;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::warn;

/// Tasks that drive rollouts, each known by its id, so that one that panics is not mistaken for another.
#[derive(Debug)]
pub(crate) struct Tasks<T> {
    set: JoinSet<T>,
    rollouts: HashMap<Id, RolloutId>,
    /// Rollouts being driven now; true when there was news since.
    busy: HashMap<RolloutId, bool>,
}

/// A task that is over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done<T> {
    /// What it drove.
    pub(crate) rollout: RolloutId,
    /// How that ended; `None` when it panicked.
    pub(crate) outcome: Option<T>,
    /// There was news while it ran, which it may not have seen.
    pub(crate) news: bool,
}

impl<T: Send + 'static> Tasks<T> {
    pub(crate) fn new() -> Self {
        Self {
            set: JoinSet::new(),
            rollouts: HashMap::new(),
            busy: HashMap::new(),
        }
    }

    /// Whether there is anything to wait for.
    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Drives the rollout, or notes that there is news for the task that drives it already.
    pub(crate) fn drive(&mut self, rollout: RolloutId, task: impl Future<Output = T> + Send + 'static) {
        if let Some(news) = self.busy.get_mut(&rollout) {
            *news = true;
            return;
        }
        self.busy.insert(rollout, false);
        let id = self.set.spawn(task).id();
        self.rollouts.insert(id, rollout);
    }

    /// The next task that is over; `None` when there is none to wait for.
    pub(crate) async fn next(&mut self) -> Option<Done<T>> {
        loop {
            let ended = self.set.join_next_with_id().await?;
            if let Some(done) = self.take(ended) {
                return Some(done);
            }
        }
    }

    fn take(&mut self, ended: Result<(Id, T), JoinError>) -> Option<Done<T>> {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, Some(outcome)),
            Err(error) => {
                // A panic has been logged where it happened.
                let rollout = self.rollouts.get(&error.id()).map(ToString::to_string);
                warn!(
                    rollout_id = rollout,
                    error = error_chain(&error),
                    "driving a rollout broke off; trying again"
                );
                (error.id(), None)
            }
        };
        let rollout = self.rollouts.remove(&id)?;
        let news = self.busy.remove(&rollout).unwrap_or(false);
        Some(Done {
            rollout,
            outcome,
            news,
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_forgotten_and_no_other_is() {
        let (broken, other) = (RolloutId::generate(), RolloutId::generate());
        let (finish, finished) = oneshot::channel();
        let mut tasks = Tasks::new();
        tasks.drive(other, async move { finished.await.unwrap() });
        tasks.drive(broken, async { panic!("as the test wants it") });
        let done = tasks.next().await.unwrap();
        assert_eq!((done.rollout, done.outcome), (broken, None));

        // The other is still driven, and by one task only.
        tasks.drive(other, async { "a second task" });
        tasks.drive(broken, async { "tried again" });
        let done = tasks.next().await.unwrap();
        assert_eq!((done.rollout, done.outcome), (broken, Some("tried again")));
        finish.send("the first task").unwrap();
        let done = tasks.next().await.unwrap();
        assert_eq!((done.rollout, done.outcome), (other, Some("the first task")));
        assert!(done.news, "what came meanwhile is looked at afterwards");
        assert_eq!(tasks.next().await, None);
    }
}
