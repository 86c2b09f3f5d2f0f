//! Following a rollout to its end.
//!
//! It asks for the events after the last one that it knows and waits for news on the server's side. An API that goes
//! away for a while is asked again until it is back: nothing is missed, because the events have numbers. What hosts print
//! is followed beside it, in the same way.

mod bars;
mod follower;
pub(crate) mod plain;
pub(crate) mod printed;
pub(crate) mod reach;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::Duration;

use slipway_client::Client;
use slipway_domain::{HostName, RolloutId, RolloutState, StepState};
use slipway_wire::audit::Event;
use slipway_wire::rollout::{Rollout, Step};
use tokio::time::Instant;

use crate::args::WatchArgs;
use crate::output::Output;
use crate::text::{clean, left_out};
use crate::{CliFailure, Exit, names, stop};
use follower::Follower;
use printed::{OutputFollower, PrintedLine};
use reach::AT_ONCE;

/// How long the server is asked to wait for news.
pub(crate) const POLL: Duration = Duration::from_secs(25);
/// The same while hosts are verified: what their checks say has no event.
const POLL_OF_CHECKS: Duration = Duration::from_secs(5);
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
    /// The lines of hosts, and no events.
    Lines(plain::Plain),
    Bars(bars::Bars),
}

impl View {
    fn event(&mut self, event: &Event) -> Result<(), CliFailure> {
        match self {
            Self::Plain(plain) => plain.event(event),
            Self::Lines(_) => Ok(()),
            Self::Bars(bars) => {
                bars.event(event);
                Ok(())
            }
        }
    }

    fn rollout(&mut self, rollout: &Rollout) -> Result<(), CliFailure> {
        match self {
            Self::Plain(plain) => plain.rollout(rollout),
            Self::Lines(_) => Ok(()),
            Self::Bars(bars) => {
                bars.rollout(rollout);
                Ok(())
            }
        }
    }

    fn note(&mut self, text: &str) -> Result<(), CliFailure> {
        match self {
            Self::Plain(plain) | Self::Lines(plain) => plain.note(text),
            Self::Bars(bars) => {
                bars.note(text);
                Ok(())
            }
        }
    }

    fn printed(&mut self, line: &PrintedLine) -> Result<(), CliFailure> {
        match self {
            Self::Plain(plain) | Self::Lines(plain) => plain.printed(line),
            Self::Bars(bars) => {
                bars.printed(line);
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
    let mut printed = how.logs.then(|| OutputFollower::new(client, id));
    let mut follower = Follower::new(client, id, how.until_paused);
    let deadline = how
        .timeout
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let time_up = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let mut outcome = tokio::select! {
        outcome = follow(&mut follower, printed.as_mut(), &view) => outcome,
        () = time_up => Ok(Exit::TimeUp),
        exit = stop::asked() => Ok(exit),
    };
    if let Some(printed) = &mut printed
        && matches!(outcome, Ok(exit) if exit.is_an_end())
    {
        tokio::select! {
            () = last_lines(printed, &view) => {}
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

/// Follows what the hosts of a rollout print, until it is over.
pub async fn follow_logs(
    output: &Output,
    client: &Client,
    id: RolloutId,
    host: Option<HostName>,
    search: Option<String>,
) -> Result<Exit, CliFailure> {
    let client = &client.clone().retry_for(AT_ONCE);
    let view = RefCell::new(View::Lines(plain::Plain::new(*output)));
    let mut printed = OutputFollower::new(client, id).only(host, search);
    let mut follower = Follower::new(client, id, false);
    let all = async {
        let over = follow(&mut follower, Some(&mut printed), &view).await;
        if over.is_ok() {
            last_lines(&mut printed, &view).await;
        }
        over
    };
    tokio::select! {
        over = all => over.map(|_| Exit::Success),
        exit = stop::asked() => Ok(exit),
    }
}

/// Shows what was and then what comes, until the rollout is over or waits for a person.
async fn follow(
    follower: &mut Follower<'_>,
    printed: Option<&mut OutputFollower>,
    view: &RefCell<View>,
) -> Result<Exit, CliFailure> {
    let Some(printed) = printed else {
        return follower.follow(view).await;
    };
    follower.catch_up(printed, view).await?;
    let printing = async {
        loop {
            for line in printed.next(POLL).await {
                if let Err(failure) = view.borrow_mut().printed(&line) {
                    return failure;
                }
            }
        }
    };
    tokio::select! {
        outcome = follower.follow(view) => outcome,
        failure = printing => Err(failure),
    }
}

async fn last_lines(printed: &mut OutputFollower, view: &RefCell<View>) {
    printed.last(|line| drop(view.borrow_mut().printed(line))).await;
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
    let with_reason = || {
        let steps = rollout.steps.iter();
        steps.filter_map(|step| Some((step, step.reason.as_deref()?)))
    };
    let is_skipped = |step: &Step| step.state == StepState::Skipped;
    for (step, reason) in with_reason().filter(|(step, _)| !is_skipped(step)) {
        let _ = writeln!(text, "  {} {}: {}", step.host, step.state, clean(reason));
    }
    let skipped = with_reason().filter(|(step, _)| is_skipped(step));
    for line in left_out(skipped.map(|(step, reason)| (&step.host, reason))) {
        let _ = writeln!(text, "  {line}");
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
