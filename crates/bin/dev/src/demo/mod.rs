//! `slipway-dev demo`: the main job, with every kind of fault provoked.

mod approval;
mod closures;
mod conductor;
mod failure;
mod first;
mod outcome;
mod probe;
mod recovery;
mod rolling;
mod story;
mod timeline;
mod watcher;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::run::Run;
use crate::say::{print, say};
use crate::stack::DevStack;
use crate::stack::binaries::Binaries;
use crate::stack::hosts::DevHost;
use closures::Closures;
use conductor::Conductor;
use outcome::{DemoOutcomes, Summary};
use probe::{Probe, ProbeReport};
use timeline::Timeline;
use watcher::{Move, Verified, Watcher};

/// How many hosts take part.
const HOSTS: u16 = 6;
/// The longest wait for an expected outcome: a busy machine is slow, not wrong.
const SETTLE: Duration = Duration::from_mins(1);
/// The longest that a rollout of the demo may take.
const ROLLOUT: Duration = Duration::from_mins(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// What the points share.
struct Scene<'a> {
    run: &'a Run,
    stack: &'a DevStack,
    conductor: Conductor<'a>,
    closures: &'a Closures,
    outcomes: DemoOutcomes,
    verified: Vec<Verified>,
}

/// Runs the six points; fails when an outcome is not as it should be.
pub async fn run(run: &Run, checkout: &Path, binaries: Binaries, json: bool) -> Result<()> {
    let timeline = Timeline::default();
    let mut outcomes = DemoOutcomes::default();

    timeline.point(1, "Postgres, Redis, three api replicas, two workers, nginx");
    let mut stack = DevStack::start(run, binaries, &|text| timeline.say(text)).await?;
    first::check_servers(&stack, &mut outcomes).await?;

    timeline.point(
        2,
        "Six hosts, each with an agent, a profile and a token of its own",
    );
    stack.add_hosts(run, checkout, HOSTS).await?;
    first::check_hosts(&stack, &timeline, &mut outcomes).await?;

    timeline.point(3, "Closures from Nix, signed, in a binary cache");
    let closures = Closures::create(run, &stack, checkout, &timeline, &mut outcomes).await?;

    let probe = Probe::start(&stack.nginx, &stack.admin_token)?;
    let watcher = Watcher::start(&stack.hosts);
    timeline.say("a client asks the api all the time from here on, and every profile is watched");
    let conductor = Conductor {
        api: &stack.api,
        timeline: &timeline,
    };
    let mut scene = Scene {
        run,
        stack: &stack,
        conductor,
        closures: &closures,
        outcomes,
        verified: Vec::new(),
    };
    rolling::play(&mut scene).await?;
    failure::play(&mut scene).await?;
    recovery::play(&mut scene).await?;
    let Scene {
        mut outcomes,
        verified,
        ..
    } = scene;

    let report = probe.report();
    judge_requests(&report, &mut outcomes);
    judge_profiles(&watcher.moves(), &verified, &mut outcomes);

    let outcomes = outcomes.sorted();
    let summary = Summary {
        ok: outcomes.iter().all(|outcome| outcome.ok),
        seconds: timeline.elapsed().as_secs_f64(),
        hosts: stack.hosts.len(),
        requests: report.total,
        failed_requests: report.failed,
        slowest_ms: report.slowest_ms,
        outcomes,
    };
    timeline.end();
    if json {
        say(&summary.table());
        print(&serde_json::to_string(&summary)?);
    } else {
        print(&summary.table());
    }
    if !summary.ok {
        bail!("an outcome of the demo is not as it should be");
    }
    Ok(())
}

/// The version that a host's service answers with, once that is `wanted`, or at the end of [`SETTLE`].
async fn version(host: &DevHost, wanted: &str) -> String {
    let look = async || host.ask("version").await.unwrap_or_default();
    eventually(look, |version| version == wanted).await
}

/// The value once it is as expected, or at the end of [`SETTLE`].
async fn eventually<T>(mut look: impl AsyncFnMut() -> T, good: impl Fn(&T) -> bool) -> T {
    let start = Instant::now();
    loop {
        let seen = look().await;
        if good(&seen) || start.elapsed() > SETTLE {
            return seen;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn judge_requests(report: &ProbeReport, outcomes: &mut DemoOutcomes) {
    let seen = match &report.first_failure {
        None => format!(
            "{} requests, the slowest took {} ms",
            report.total, report.slowest_ms
        ),
        Some(problem) => format!(
            "{} of {} failed; the first: {problem}",
            report.failed, report.total
        ),
    };
    // A client with few requests proves nothing.
    let ok = report.failed == 0 && report.total > 100;
    outcomes.check(4, "no request of the constant client fails", ok, seen);
}

fn judge_profiles(moves: &[Move], verified: &[Verified], outcomes: &mut DemoOutcomes) {
    let wrong = watcher::unverified(moves, verified);
    let seen = wrong.first().map_or_else(
        || format!("{} moves, each after its verification", moves.len()),
        |first| {
            let (count, all, closure) = (wrong.len(), moves.len(), first.closure.display());
            format!("{count} of {all} moves; the first: {} to {closure}", first.host)
        },
    );
    let ok = wrong.is_empty() && !moves.is_empty();
    outcomes.check(6, "no profile ever points to an unverified closure", ok, seen);
}
