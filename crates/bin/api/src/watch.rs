//! Finds news for parked requests. Wake-ups through Redis say when to query the database, and the query gives the
//! news.

use std::collections::HashMap;
use std::time::Duration;

use slipway_domain::{HostId, Instruction};
use slipway_store::StoreError;
use slipway_telemetry::error_chain;
use slipway_wake::{Topic, WakeUp};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::state::App;

/// How often all parked hosts are looked up, in one query, while Redis cannot tell of changes.
const LOOK: Duration = Duration::from_secs(2);
/// How often they are looked up all the same while Redis is there, should a wake-up get lost.
const LOOK_ANYWAY: Duration = Duration::from_secs(10);
/// How often the newest event is looked up while somebody waits for one.
const EVENTS_LOOK: Duration = Duration::from_secs(1);
/// The least time between two looks for it, however often somebody hurries.
const EVENTS_PACE: Duration = Duration::from_millis(50);

/// Feeds parked requests until the stop, which answers all of them.
pub async fn run(app: App, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = watch_hosts(&app) => {}
        () = watch_events(&app) => {}
        () = watch_output(&app) => {}
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
                    app.parking.wake(&hosts);
                    app.feed.hurry();
                }
                WakeUp::Reconnected => app.parking.wake_all(),
                WakeUp::Rollouts(_) => {}
            },
            () = app.parking.woken() => look(app).await,
            () = sleep_until(next) => {
                if looked.elapsed() >= pause {
                    looked = Instant::now();
                    app.parking.wake_all();
                }
            }
        }
    }
}

/// One look for every parked host that was woken.
///
/// Afterwards it rests for as long as the query took, and then looks up all hosts that were woken meanwhile. So a larger
/// load only makes larger queries, and a flood of messages takes at most half of one connection.
async fn look(app: &App) {
    let places = app.parking.take_woken();
    if places.is_empty() {
        return;
    }
    let began = Instant::now();
    let hosts: Vec<HostId> = places.iter().map(|place| place.host).collect();
    match find_instructions(app, &hosts).await {
        Ok(mut found) => {
            for place in places {
                if let Some(instruction) = found.remove(&place.host) {
                    app.parking.deliver(place, instruction);
                }
            }
            sleep(began.elapsed()).await;
        }
        Err(error) => {
            complain(&error, "cannot look for news of parked hosts");
            sleep(LOOK).await;
            app.parking.wake(&hosts.into_iter().collect());
        }
    }
}

async fn find_instructions(app: &App, hosts: &[HostId]) -> Result<HashMap<HostId, Instruction>, StoreError> {
    let assigned = app.store.find_assigned(hosts).await?;
    let mut found = app.store.instruct(assigned, &app.audit_key).await?;
    // What somebody wants to know comes after what is to be done.
    for (host, closure) in app.store.find_probes(hosts).await? {
        found.entry(host).or_insert(Instruction::Probe { closure });
    }
    Ok(found)
}

async fn watch_events(app: &App) {
    loop {
        app.feed.wanted().await;
        match app.store.event_head().await {
            Ok(head) => app.feed.tell(head.number),
            Err(error) => complain(&error, "cannot look for new events"),
        }
        sleep(EVENTS_PACE).await;
        // Early when something may have happened; at the latest after the pause.
        app.feed.pause(EVENTS_LOOK).await;
    }
}

async fn watch_output(app: &App) {
    loop {
        let wanted = app.printed.wanted().await;
        match app.store.newest_output(&wanted).await {
            Ok(newest) => {
                for (rollout, number) in newest {
                    app.printed.tell(rollout, number);
                }
            }
            Err(error) => complain(&error, "cannot look for new output"),
        }
        sleep(EVENTS_PACE).await;
        app.printed.pause(EVENTS_LOOK).await;
    }
}

fn complain(error: &StoreError, what: &str) {
    tracing::warn!(error = error_chain(error), "{what}");
}
