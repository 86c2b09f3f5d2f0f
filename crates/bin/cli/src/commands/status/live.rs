//! The fleet as it changes: on a terminal the table is drawn again, in a log every event is a line.
//!
//! It follows the events like `rollout watch`, from the newest one on. An API that goes away is asked again until it is
//! back, and then nothing is missed.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use slipway_client::{Client, ClientError};
use slipway_domain::{EnvironmentName, RolloutId};
use slipway_wire::audit::{Event, EventQuery};
use slipway_wire::page::MAX_LIMIT;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Fleet, read, text};
use crate::CliFailure;
use crate::output::Output;
use crate::watch::POLL;
use crate::watch::plain::Plain;
use crate::watch::printed::{OutputFollower, PrintedLine};
use crate::watch::reach::{AT_ONCE, Reach};

/// The least time between two looks at the whole fleet.
const PACE: Duration = Duration::from_secs(1);
/// Lines of hosts that wait to be shown; then reading waits.
const MOST_LINES: usize = 1000;
/// Clears the terminal and goes to its first line.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

pub(super) async fn watch(
    client: &Client,
    output: &Output,
    environment: Option<&EnvironmentName>,
    logs: bool,
) -> Result<Infallible, CliFailure> {
    let client = &client.clone().retry_for(AT_ONCE);
    let lines = Plain::new(*output);
    let note = |text: &str| lines.note(text);
    let mut reach = Reach::default();
    // What was before the newest event is in the table.
    let mut after = reach.ask(async || newest_event(client).await, note).await?;
    let mut fleet = reach.ask(async || read(client, environment).await, note).await?;
    // Lines of hosts and a table that is drawn again do not go together.
    let draws = output.terminal && !logs;
    draw(&fleet, output, draws)?;
    let mut printed = Printed::new(client);
    loop {
        if logs {
            printed.follow(&fleet);
        }
        let query = EventQuery {
            after: Some(after),
            limit: Some(MAX_LIMIT),
            ..EventQuery::default()
        };
        let page = reach.ask(async || client.events_within(&query, POLL).await, note);
        let events = printed.meanwhile(&lines, page).await??.items;
        after = events.last().map_or(after, |last| last.number);
        let now = reach.ask(async || read(client, environment).await, note);
        fleet = printed.meanwhile(&lines, now).await??;
        if draws {
            draw(&fleet, output, true)?;
        } else {
            for event in events.iter().filter(|event| concerns(event, &fleet, environment)) {
                lines.event(event)?;
            }
        }
        printed.meanwhile(&lines, sleep(PACE)).await?;
    }
}

fn draw(fleet: &Fleet, output: &Output, again: bool) -> Result<(), CliFailure> {
    let clear = if again { CLEAR } else { "" };
    Output::stdout(&format!("{clear}{}", output.visible(&text(fleet, output))))
}

/// Whether the event is about what is shown.
fn concerns(event: &Event, fleet: &Fleet, environment: Option<&EnvironmentName>) -> bool {
    let of_rollout = || {
        let open = fleet.environments.iter().filter_map(|shown| shown.open_rollout);
        event
            .event
            .rollout
            .is_some_and(|rollout| open.clone().any(|open| open == rollout))
    };
    let of_host = || {
        let name = event.host_name.as_ref();
        name.is_some_and(|name| fleet.hosts.iter().any(|host| host.name == *name))
    };
    environment.is_none() || of_host() || of_rollout()
}

/// The number of the newest event.
async fn newest_event(client: &Client) -> Result<i64, ClientError> {
    let query = EventQuery {
        newest_first: true,
        limit: Some(1),
        ..EventQuery::default()
    };
    let newest = client.events(&query).await?.items.into_iter().next();
    Ok(newest.map_or(0, |event| event.number))
}

/// The output of every rollout under way, in tasks that end with their rollouts.
struct Printed {
    client: Client,
    send: mpsc::Sender<PrintedLine>,
    lines: mpsc::Receiver<PrintedLine>,
    followed: BTreeSet<RolloutId>,
    tasks: JoinSet<()>,
}

impl Printed {
    fn new(client: &Client) -> Self {
        let (send, lines) = mpsc::channel(MOST_LINES);
        Self {
            client: client.clone(),
            send,
            lines,
            followed: BTreeSet::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Waits for something else, and shows what hosts print meanwhile.
    async fn meanwhile<T>(&mut self, shown: &Plain, work: impl Future<Output = T>) -> Result<T, CliFailure> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                Some(line) = self.lines.recv() => shown.printed(&line)?,
            }
        }
    }

    fn follow(&mut self, fleet: &Fleet) {
        while self.tasks.try_join_next().is_some() {}
        for id in fleet.environments.iter().filter_map(|shown| shown.open_rollout) {
            if self.followed.insert(id) {
                let follower = OutputFollower::new(&self.client, id);
                self.tasks
                    .spawn(follow(self.client.clone(), id, follower, self.send.clone()));
            }
        }
    }
}

async fn follow(
    client: Client,
    id: RolloutId,
    mut follower: OutputFollower,
    send: mpsc::Sender<PrintedLine>,
) {
    loop {
        let lines = follower.next(POLL).await;
        if lines.is_empty() {
            // A rollout that is over has nothing more to tell, and one under way may be silent.
            let rollout = client.rollout(id).await;
            if rollout.is_ok_and(|rollout| rollout.summary.state.is_terminal()) {
                return;
            }
        }
        for line in lines {
            if send.send(line).await.is_err() {
                return;
            }
        }
    }
}
