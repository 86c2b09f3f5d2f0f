//! Following a rollout to its end.
//!
//! It asks for the events after the last one that it knows and waits for news on the server's side. An API that goes
//! away for a while is asked again until it is back: nothing is missed, because the events have numbers. What hosts print
//! is followed beside it, in the same way.

mod bars;
pub(crate) mod plain;
pub(crate) mod printed;
pub(crate) mod reach;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::Duration;

use slipway_client::Client;
use slipway_domain::{RolloutId, RolloutState};
use slipway_wire::audit::{Event, EventQuery};
use slipway_wire::page::MAX_LIMIT;
use slipway_wire::rollout::Rollout;
use tokio::time::Instant;

use crate::args::WatchArgs;
use crate::output::Output;
use crate::text::clean;
use crate::{CliFailure, Exit, names, stop};
use printed::OutputFollower;
use reach::{AT_ONCE, Reach};

/// How long the server is asked to wait for news.
pub(crate) const POLL: Duration = Duration::from_secs(25);
/// The name of a wave. Number 0 is a canary even where an API of release 0.1.0 does not say so.
#[must_use]
pub fn wave_name(wave: u32, canary: bool) -> String {
    if canary || wave == 0 {
        "canary".to_owned()
    } else {
        wave.to_string()
    }
}

/// How the watching is shown.
enum View {
    Plain(plain::Plain),
    Bars(bars::Bars),
}

impl View {
    fn event(&mut self, event: &Event) -> Result<(), CliFailure> {
        match self {
            Self::Plain(plain) => plain.event(event),
            Self::Bars(bars) => {
                bars.event(event);
                Ok(())
            }
        }
    }

    fn rollout(&mut self, rollout: &Rollout) {
        match self {
            Self::Plain(_) => {}
            Self::Bars(bars) => bars.rollout(rollout),
        }
    }

    fn note(&mut self, text: &str) -> Result<(), CliFailure> {
        match self {
            Self::Plain(plain) => plain.note(text),
            Self::Bars(bars) => {
                bars.note(text);
                Ok(())
            }
        }
    }
}

/// Watches the rollout until it is over, or until what `how` says.
pub async fn watch(
    output: &Output,
    client: &Client,
    id: RolloutId,
    how: &WatchArgs,
) -> Result<Exit, CliFailure> {
    let client = &client.clone().retry_for(AT_ONCE);
    let view = RefCell::new(if output.terminal {
        View::Bars(bars::Bars::new(output.now))
    } else {
        View::Plain(plain::Plain::new(*output))
    });
    let mut printed = OutputFollower::new(client, id);
    let mut follower = Follower {
        client,
        id,
        after: 0,
        until_paused: how.until_paused,
        last: None,
        reach: Reach::default(),
    };
    let deadline = how
        .timeout
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let time_up = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let printing = async {
        if !how.logs {
            std::future::pending::<()>().await;
        }
        loop {
            for line in printed.next(POLL).await {
                if let Err(failure) = view.borrow_mut().note(&line) {
                    return failure;
                }
            }
        }
    };
    let mut outcome = tokio::select! {
        outcome = follower.follow(&view) => outcome,
        failure = printing => Err(failure),
        () = time_up => Ok(Exit::TimeUp),
        exit = stop::asked() => Ok(exit),
    };
    if how.logs && matches!(outcome, Ok(exit) if exit.is_an_end()) {
        let show = |line: &str| drop(view.borrow_mut().note(line));
        tokio::select! {
            () = printed.last(show) => {}
            exit = stop::asked() => outcome = Ok(exit),
        }
    }
    let last = follower.last;
    // Takes the bars away before anything else is shown.
    drop(view);
    let exit = outcome?;
    match (exit, last) {
        (Exit::Interrupted | Exit::Terminated | Exit::HungUp, last) => {
            let rollout = last.map_or(id.into(), |last| last.summary.reference());
            output.note(format_args!(
                "stopped watching; the rollout goes on\nto stop it: slipway rollout abort {rollout}"
            ));
        }
        (_, Some(rollout)) => output.show(&rollout, || ending(&rollout, exit))?,
        (_, None) => output.note(format_args!("the rollout {id} could not be seen in time")),
    }
    Ok(exit)
}

/// The last word.
fn ending(rollout: &Rollout, exit: Exit) -> String {
    let summary = &rollout.summary;
    let reason = summary.reason.as_deref().map(|why| format!(": {}", clean(why)));
    let mut text = format!(
        "rollout {} {}{}\n",
        names::rollout_of_release(summary),
        summary.state,
        reason.unwrap_or_default()
    );
    for step in &rollout.steps {
        if let Some(reason) = &step.reason {
            let _ = writeln!(text, "  {} {}: {}", step.host, step.state, clean(reason));
        }
    }
    let next = match (exit, summary.state) {
        (Exit::WaitsForPerson, RolloutState::PendingApproval) => "slipway rollout show --plan",
        (Exit::WaitsForPerson, _) => "slipway rollout resume, revert or abort",
        (Exit::TimeUp, _) => "still under way; slipway rollout watch",
        _ => return text,
    };
    let _ = writeln!(text, "next: {next} {}", summary.reference());
    text
}

struct Follower<'a> {
    client: &'a Client,
    id: RolloutId,
    after: i64,
    until_paused: bool,
    last: Option<Rollout>,
    reach: Reach,
}

impl Follower<'_> {
    async fn follow(&mut self, view: &RefCell<View>) -> Result<Exit, CliFailure> {
        let mut wait = None;
        loop {
            let events = self.events(view, wait).await?;
            for event in &events {
                view.borrow_mut().event(event)?;
            }
            if let Some(last) = events.last() {
                self.after = self.after.max(last.number);
            }
            if events.len() == MAX_LIMIT as usize {
                // More are there already.
                wait = None;
                continue;
            }
            let rollout = self.rollout(view).await?;
            let state = rollout.summary.state;
            view.borrow_mut().rollout(&rollout);
            self.last = Some(rollout);
            let waits = matches!(state, RolloutState::Paused | RolloutState::PendingApproval);
            if state.is_terminal() || (waits && self.until_paused) {
                // What was written between the two questions.
                for event in &self.events(view, None).await? {
                    view.borrow_mut().event(event)?;
                }
                return Ok(Exit::of(state));
            }
            wait = Some(POLL);
        }
    }

    async fn events(
        &mut self,
        view: &RefCell<View>,
        wait: Option<Duration>,
    ) -> Result<Vec<Event>, CliFailure> {
        let query = EventQuery {
            after: Some(self.after),
            limit: Some(MAX_LIMIT),
            ..EventQuery::default()
        };
        let question = async || self.client.rollout_events(self.id, &query, wait).await;
        let page = self
            .reach
            .ask(question, |text| view.borrow_mut().note(text))
            .await?;
        Ok(page.items)
    }

    async fn rollout(&mut self, view: &RefCell<View>) -> Result<Rollout, CliFailure> {
        let question = async || self.client.rollout(self.id).await;
        self.reach
            .ask(question, |text| view.borrow_mut().note(text))
            .await
    }
}
