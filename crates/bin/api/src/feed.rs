//! Where parked requests hear of news: wake-ups through Redis, and looks at the database.

use std::time::Duration;

use slipway_store::StoreError;
use slipway_telemetry::error_chain;
use slipway_wake::{Topic, WakeUp};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::state::App;

/// How often all parked hosts are looked up, in one query, while Redis cannot tell of changes.
const LOOK: Duration = Duration::from_secs(2);
/// How often they are looked up all the same while Redis is there, should a wake-up get lost.
const LOOK_ANYWAY: Duration = Duration::from_secs(10);
/// How often the newest event is looked up while somebody waits for one.
const EVENTS_LOOK: Duration = Duration::from_secs(1);

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
}

/// Feeds parked requests until the stop, which answers all of them.
pub async fn run(app: App, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = watch_hosts(&app) => {}
        () = watch_events(&app) => {}
    }
    app.parking.drain();
}

async fn watch_hosts(app: &App) {
    let mut wake_ups = app.wake.subscribe(Topic::Hosts);
    let mut looked = Instant::now();
    loop {
        let pause = if app.wake.is_up() { LOOK_ANYWAY } else { LOOK };
        // Redis may go meanwhile, so the longer pause is taken in steps.
        let next = (looked + pause).min(Instant::now() + LOOK);
        tokio::select! {
            wake_up = wake_ups.recv() => match wake_up {
                WakeUp::Hosts(hosts) => {
                    for (host, assignment) in &hosts {
                        app.parking.deliver(*host, Some(assignment));
                    }
                    app.feed.hurry();
                }
                WakeUp::Reconnected => {
                    look(app).await;
                    looked = Instant::now();
                }
                WakeUp::Rollout(_) => {}
            },
            () = sleep_until(next) => {
                if looked.elapsed() >= pause {
                    look(app).await;
                    looked = Instant::now();
                }
            }
        }
    }
}

/// One look for every parked host.
async fn look(app: &App) {
    let hosts = app.parking.hosts();
    if hosts.is_empty() {
        return;
    }
    match app.store.assignments_for(&hosts).await {
        Ok(found) => {
            for (host, (assignment, _)) in &found {
                app.parking.deliver(*host, Some(assignment));
            }
        }
        Err(error) => complain(&error, "cannot look for news of parked hosts"),
    }
}

async fn watch_events(app: &App) {
    loop {
        if app.feed.newest.receiver_count() == 0 {
            app.feed.hurry.notified().await;
        }
        match app.store.event_head().await {
            Ok(head) => {
                app.feed
                    .newest
                    .send_if_modified(|newest| std::mem::replace(newest, head.number) != head.number);
            }
            Err(error) => complain(&error, "cannot look for new events"),
        }
        // Early when something may have happened; at the latest after the pause.
        let _ = timeout(EVENTS_LOOK, app.feed.hurry.notified()).await;
    }
}

fn complain(error: &StoreError, what: &str) {
    tracing::warn!(error = error_chain(error), "{what}");
}
