//! The loop: events become deliveries, and deliveries are sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use slipway_store::messages::{Lasting, Sent, Taken, UNREADABLE};
use slipway_store::{AuditKey, Store, StoreError};
use slipway_telemetry::error_chain;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::transport::Failure;
use crate::{Messenger, gauges, schedule};

/// How often the outbox is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often it is looked for what lasts, such as a silent agent.
const LOOK: Duration = Duration::from_secs(15);
/// How often old deliveries are removed.
const COLLECT: Duration = Duration::from_mins(5);
/// Deliveries that this worker has under way at once.
const AT_ONCE: usize = 16;
/// For how long a delivery is this worker's: longer than any try takes.
const LEASE_SECONDS: u32 = 60;
/// Transactions with events in one look, so that the others get their turn.
const MOST_ROUNDS: u32 = 20;

/// Empties the outbox. Any number of workers may run one.
pub struct Outbox {
    store: Store,
    key: AuditKey,
    messenger: Arc<Messenger>,
    lasting: Lasting,
    under_way: JoinSet<()>,
    /// Since when the database has always answered: before, nobody could have heard an agent.
    watching: Instant,
}

impl Outbox {
    /// One that sends with this messenger.
    #[must_use]
    pub fn new(store: Store, key: AuditKey, messenger: Messenger, lasting: Lasting) -> Self {
        Self {
            store,
            key,
            messenger: Arc::new(messenger),
            lasting,
            under_way: JoinSet::new(),
            watching: Instant::now(),
        }
    }

    /// Sends until `stop`; then waits for what is under way, which is bounded.
    pub async fn run(mut self, stop: CancellationToken) {
        let every = |period| {
            let mut interval = tokio::time::interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        let (mut tick, mut look, mut collect) = (every(TICK), every(LOOK), every(COLLECT));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {
                    self.queue().await;
                    self.send().await;
                }
                _ = look.tick() => self.look().await,
                _ = collect.tick() => self.collect().await,
                // The next one of its lane may be due.
                Some(_) = self.under_way.join_next(), if !self.under_way.is_empty() => self.send().await,
            }
        }
        while self.under_way.join_next().await.is_some() {}
    }

    async fn queue(&mut self) {
        for _ in 0..MOST_ROUNDS {
            match self.store.queue_events().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    self.watching = Instant::now();
                    warn!(error = error_chain(&error), "cannot queue messages; trying again");
                    return;
                }
            }
        }
    }

    /// What lasts. A silence is only told after it was watched for as long as that takes.
    async fn look(&mut self) {
        let mut lasting = self.lasting;
        lasting.silent_seconds = lasting
            .silent_seconds
            .filter(|seconds| self.watching.elapsed() >= Duration::from_secs((*seconds).into()));
        if let Err(error) = self.store.queue_conditions(lasting).await {
            self.watching = Instant::now();
            warn!(
                error = error_chain(&error),
                "cannot look for what lasts; trying again"
            );
        }
    }

    async fn collect(&self) {
        match self.store.collect_deliveries().await {
            Ok(0) => {}
            Ok(deliveries) => info!(deliveries, "removed old deliveries"),
            Err(error) => warn!(
                error = error_chain(&error),
                "cannot remove old deliveries; trying again"
            ),
        }
    }

    async fn send(&mut self) {
        let free = u32::try_from(AT_ONCE.saturating_sub(self.under_way.len())).unwrap_or(0);
        if free == 0 {
            return;
        }
        let taken = match self.store.take_deliveries(free, LEASE_SECONDS, &self.key).await {
            Ok(taken) => taken,
            Err(error) => {
                warn!(
                    error = error_chain(&error),
                    "cannot take deliveries; trying again"
                );
                return;
            }
        };
        for taken in taken {
            let (store, key, messenger) = (self.store.clone(), self.key.clone(), Arc::clone(&self.messenger));
            self.under_way.spawn(async move {
                let sent = deliver(&messenger, &taken).await;
                if let Err(error) = finish(&store, &taken, &sent, &key).await {
                    warn!(
                        delivery = %taken.id,
                        error = error_chain(&error),
                        "cannot say what became of a delivery; it is sent again with the same id"
                    );
                }
            });
        }
    }
}

/// Sends one, and says what became of it.
async fn deliver(messenger: &Messenger, taken: &Taken) -> Sent {
    let began = Instant::now();
    let sent = match (&taken.access, &taken.message) {
        (Ok(access), Some(message)) => messenger.send(taken.id, access, message).await,
        (Err(problem), _) => Err(failure(problem)),
        (_, None) => Err(failure(UNREADABLE)),
    };
    let (outcome, sent) = match sent {
        Ok(()) => ("delivered", Sent::Delivered),
        Err(failure) if failure.is_gone => (
            "gone",
            Sent::Gone {
                error: failure.problem,
            },
        ),
        Err(failure) => (
            "failed",
            Sent::Failed {
                error: failure.problem,
                after_seconds: schedule::wait_seconds(taken.attempts, failure.retry_after),
            },
        ),
    };
    gauges::tried(taken.kind, outcome, began.elapsed());
    sent
}

fn failure(problem: &str) -> Failure {
    Failure {
        problem: problem.to_owned(),
        is_gone: false,
        retry_after: None,
    }
}

async fn finish(store: &Store, taken: &Taken, sent: &Sent, key: &AuditKey) -> Result<(), StoreError> {
    match sent {
        Sent::Delivered => {}
        Sent::Failed { error, after_seconds } => warn!(
            delivery = %taken.id,
            destination = %taken.destination,
            attempts = taken.attempts,
            after_seconds,
            error,
            "a message was not taken"
        ),
        Sent::Gone { error } => warn!(
            delivery = %taken.id,
            destination = %taken.destination,
            error,
            "a destination is gone, and gets no more messages"
        ),
    }
    store.finish_delivery(taken, sent, key).await
}
