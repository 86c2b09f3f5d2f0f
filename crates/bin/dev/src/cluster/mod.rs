//! `slipway-dev cluster`: the data layer of three members on one machine, broken while clients write.

mod cache;
mod disk;
mod files;
mod ledger;
mod member;
pub mod namespace;
mod network;
mod patroni;
mod patroni_program;
mod plan;
mod plane;
mod play;
mod probe;
mod report;
mod scene;
mod sql;
mod verdict;
mod writer;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::run::Run;
use crate::say::{print, say};
use crate::stack::binaries::Binaries;
use plan::Fault;
use plane::Plane;
use play::Played;
use probe::Counts;
use report::{FaultResult, Report};
use scene::Scene;
use writer::{Ack, Writer};

/// A cluster has three members.
const MEMBERS: usize = 3;

/// How long the table, or what is in Redis, may be out of reach after a fault.
const READ: Duration = Duration::from_mins(1);

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// How many faults; nothing for the short list of a test.
    pub faults: Option<usize>,
    /// What the order comes from.
    pub seed: u64,
    /// Whether Slipway itself is left out.
    pub data_only: bool,
    /// Whether the result comes as JSON.
    pub json: bool,
}

/// Starts the cluster, plays the faults, and prints a table. Fails when a write is lost or two members led.
pub async fn run(run: &Run, checkout: &Path, binaries: &Binaries, wanted: &Wanted) -> Result<()> {
    let start = Instant::now();
    let mut scene = Scene::set(run, checkout).await?;
    let mut plane = None;
    if !wanted.data_only {
        plane = Some(Plane::start(run, checkout, binaries, &mut scene).await?);
        say("Slipway runs on it: an api and a worker on each member, and two hosts");
    }
    let faults = match wanted.faults {
        Some(count) => plan::faults(wanted.seed, count),
        None => plan::short(),
    };
    let mut report = Report {
        seed: wanted.seed,
        ..Report::default()
    };
    for (number, fault) in faults.iter().enumerate() {
        let words = format!("{} at the {}", fault.kind.words(), fault.place.word());
        say(&format!("{}/{} {words}", number + 1, faults.len()));
        let played = play_and_check(&mut scene, plane.as_mut(), *fault, &mut report).await;
        // Also where the run cannot go on: that two members led can be the reason.
        let known = report.two_leaders.len();
        report.two_leaders = two_leaders(&scene);
        let proofs = report.two_leaders.len().saturating_sub(known);
        match played {
            Ok(mut result) => {
                result.two_leaders = proofs;
                say(&format!("    {}", result.line()));
                report.faults.push(result);
                report.rollouts += usize::from(plane.is_some());
            }
            Err(error) => report.stopped = Some(format!("{words}: {error:#}")),
        }
        if proofs > 0 {
            say(&format!("    TWO LEADERS: {}", report.two_leaders.join("; ")));
        }
        if let Some(problem) = &report.stopped {
            say(&format!("    {problem}"));
            break;
        }
    }
    finish(&mut scene, &mut report).await;
    if let Some(plane) = &plane {
        report.requests = plane.probe.totals();
    }
    report.seconds = start.elapsed().as_secs_f64();
    if wanted.json {
        say(&report.table());
        print(&serde_json::to_string(&report)?);
    } else {
        print(&report.table());
    }
    let problems = report.problems();
    if problems.is_empty() {
        return Ok(());
    }
    bail!("the cluster is not as it should be: {}", problems.join("; "));
}

/// A rollout is under way when the fault comes, and must go on and succeed.
async fn play_during_rollout(
    scene: &mut Scene<'_>,
    plane: Option<&mut Plane>,
    fault: Fault,
) -> Result<Played> {
    let Some(plane) = plane else {
        return scene.play(fault).await;
    };
    let rollout = patiently(async || plane.begin().await).await?;
    let played = scene.play(fault).await?;
    plane.finish(rollout, scene).await?;
    Ok(played)
}

/// Plays a fault, and looks for everything that was acknowledged since the one before.
async fn play_and_check(
    scene: &mut Scene<'_>,
    mut plane: Option<&mut Plane>,
    fault: Fault,
    report: &mut Report,
) -> Result<FaultResult> {
    let played = play_during_rollout(scene, plane.as_deref_mut(), fault).await?;
    let gaps = |writers: &[Writer]| {
        let gaps: Vec<u64> = writers
            .iter()
            .map(|writer| verdict::longest_gap(&writer.acks(), played.began, played.ended))
            .map(millis)
            .collect();
        let others = (0..MEMBERS).filter(|member| *member != played.target);
        let others = others.filter(|member| !played.without_clients.contains(member));
        let own = Some(played.target).filter(|member| !played.without_clients.contains(member));
        (
            others.map(|member| gaps[member]).max().unwrap_or_default(),
            own.map(|member| gaps[member]),
        )
    };
    let (postgres_ms, postgres_own_ms) = gaps(&scene.stacks);
    let (redis_ms, redis_own_ms) = gaps(&scene.caches);
    // Before they are looked for: what comes later may be missing.
    let sql = unchecked(scene.stacks.iter_mut().chain(&mut scene.direct));
    let caches = unchecked(&mut scene.caches);
    let lost = lost_in_postgres(scene, &sql).await?;
    let postgres_lost = lost.len();
    report.postgres_lost.extend(lost);
    let redis_lost = lost_in_redis(scene, &caches).await?;
    report.redis_lost += redis_lost;
    let requests = plane.map_or_else(Counts::default, |plane| {
        plane.probe.between(played.began, played.ended)
    });
    Ok(FaultResult {
        fault: fault.kind.words(),
        place: fault.place.word(),
        member: played.member.clone(),
        leader_after: played.leader.clone(),
        postgres_ms,
        postgres_own_ms,
        redis_ms,
        redis_own_ms,
        whole_after_ms: millis(played.whole_after),
        postgres_lost,
        redis_lost,
        requests_failed: requests.failed,
        changes_unsure: requests.unsure,
        longest_request_ms: requests.longest_ms,
        two_leaders: 0,
    })
}

/// Writes of one writer, by its name.
type Written = (String, Vec<Ack>);

fn unchecked<'a>(writers: impl IntoIterator<Item = &'a mut Writer>) -> Vec<Written> {
    let writers = writers.into_iter();
    writers
        .map(|writer| (writer.name.clone(), writer.take_unchecked()))
        .collect()
}

fn all<'a>(writers: impl IntoIterator<Item = &'a Writer>) -> Vec<Written> {
    let writers = writers.into_iter();
    writers
        .map(|writer| (writer.name.clone(), writer.acks().clone()))
        .collect()
}

/// The writes that the ledger does not have, in words.
async fn lost_in_postgres(scene: &Scene<'_>, written: &[Written]) -> Result<Vec<String>> {
    let kept = patiently(async || scene.ledger().await).await?;
    let kept: HashSet<(String, i64)> = kept.into_iter().collect();
    let lost = written.iter().flat_map(|(name, acks)| {
        let lost = verdict::lost(name, acks, &kept);
        lost.into_iter().map(move |number| format!("{name} {number}"))
    });
    Ok(lost.collect())
}

/// How many writes Redis does not have. Each member has one writer, in the members' order.
async fn lost_in_redis(scene: &Scene<'_>, written: &[Written]) -> Result<usize> {
    let mut lost = 0;
    for (member, (name, acks)) in scene.members.iter().zip(written) {
        let read = async || cache::read(&member.network.namespace, scene.cache.clone(), name).await;
        let kept = patiently(read).await.context("what Redis has cannot be read")?;
        lost += verdict::lost(name, acks, &kept).len();
    }
    Ok(lost)
}

/// What shows that two members led at once, from the beginning of the run until now.
fn two_leaders(scene: &Scene<'_>) -> Vec<String> {
    let direct = all(&scene.direct);
    let members = scene.members.iter().map(|member| member.name.as_str());
    let direct: Vec<(&str, &[Ack])> = members
        .zip(&direct)
        .map(|(member, (_, acks))| (member, acks.as_slice()))
        .collect();
    verdict::two_leaders(&direct)
}

/// Asks again for a while: a busy machine is slow, not wrong.
async fn patiently<T>(mut ask: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + READ;
    loop {
        match ask().await {
            Err(_) if Instant::now() < end => tokio::time::sleep(scene::LOOK).await,
            answer => return answer,
        }
    }
}

/// Stops the clients, and holds everything that was acknowledged against what is there. After a run that could not go on
/// it may be out of reach, and what was found after each fault stands.
async fn finish(scene: &mut Scene<'_>, report: &mut Report) {
    for writers in [&mut scene.stacks, &mut scene.direct, &mut scene.caches] {
        writers.iter_mut().for_each(Writer::stop);
    }
    let sql = all(scene.stacks.iter().chain(&scene.direct));
    let caches = all(&scene.caches);
    let count = |written: &[Written]| written.iter().map(|(_, acks)| acks.len()).sum();
    (report.postgres_written, report.redis_written) = (count(&sql), count(&caches));
    report.two_leaders = two_leaders(scene);
    if report.stopped.is_some() {
        return;
    }
    let lost = async {
        anyhow::Ok((
            lost_in_postgres(scene, &sql).await?,
            lost_in_redis(scene, &caches).await?,
        ))
    };
    match lost.await {
        Ok((postgres, redis)) => {
            report.postgres_lost.extend(postgres);
            report.redis_lost = redis;
        }
        Err(error) => report.stopped = Some(format!("the last look at what was written: {error:#}")),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
