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
    let mut checked = Checked::default();
    for (number, fault) in faults.iter().enumerate() {
        say(&format!(
            "{}/{} {} at the {}",
            number + 1,
            faults.len(),
            fault.kind.words(),
            fault.place.word()
        ));
        let played = match play_during_rollout(&mut scene, plane.as_mut(), *fault).await {
            Ok(played) => played,
            Err(error) => {
                let problem = format!("{} at the {}: {error:#}", fault.kind.words(), fault.place.word());
                say(&format!("    {problem}"));
                report.stopped = Some(problem);
                break;
            }
        };
        let mut result = result(&scene, *fault, &played, &mut checked).await?;
        if let Some(plane) = &plane {
            result.requests_failed = plane.probe.failed(played.began, played.ended);
            report.rollouts += 1;
        }
        say(&format!("    {}", result.line()));
        report.faults.push(result);
    }
    if report.stopped.is_none() {
        finish(&mut scene, &mut report).await?;
    }
    if let Some(plane) = &plane {
        (report.requests, report.requests_failed) = plane.probe.totals();
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

/// How many acknowledged writes of each writer were looked for.
#[derive(Debug, Default)]
struct Checked {
    stacks: [usize; MEMBERS],
    direct: [usize; MEMBERS],
    caches: [usize; MEMBERS],
}

async fn result(
    scene: &Scene<'_>,
    fault: Fault,
    played: &Played,
    checked: &mut Checked,
) -> Result<FaultResult> {
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
    // Before the table is read: what comes later may be missing in it.
    let (stacks, direct) = (
        unchecked(&scene.stacks, &checked.stacks),
        unchecked(&scene.direct, &checked.direct),
    );
    let kept: HashSet<(String, i64)> = patiently(async || scene.ledger().await)
        .await?
        .into_iter()
        .collect();
    let mut postgres_lost = 0;
    for (what, acks, done) in [
        ("stack", stacks, &mut checked.stacks),
        ("direct", direct, &mut checked.direct),
    ] {
        for (index, acks) in acks.iter().enumerate() {
            done[index] += acks.len();
            let name = format!("{what}-{}", scene.members[index].name);
            postgres_lost += verdict::lost(&name, acks, &kept).len();
        }
    }
    let mut redis_lost = 0;
    let caches = unchecked(&scene.caches, &checked.caches);
    for (index, acks) in caches.iter().enumerate() {
        checked.caches[index] += acks.len();
        redis_lost += lost_in_redis(scene, index, acks).await?;
    }
    Ok(FaultResult {
        fault: fault.kind.words(),
        place: fault.place.word(),
        member: played.member.clone(),
        postgres_ms,
        postgres_own_ms,
        redis_ms,
        redis_own_ms,
        whole_after_ms: millis(played.whole_after),
        postgres_lost,
        redis_lost,
        requests_failed: 0,
    })
}

fn unchecked(writers: &[Writer], checked: &[usize; MEMBERS]) -> Vec<Vec<Ack>> {
    let all = writers.iter().zip(checked);
    all.map(|(writer, checked)| writer.acks()[*checked..].to_vec())
        .collect()
}

async fn lost_in_redis(scene: &Scene<'_>, index: usize, acks: &[Ack]) -> Result<usize> {
    let member = &scene.members[index];
    let name = format!("cache-{}", member.name);
    let read = async || cache::read(&member.network.namespace, scene.cache.clone(), &name).await;
    let kept = patiently(read).await.context("what Redis has cannot be read")?;
    Ok(verdict::lost(&name, acks, &kept).len())
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

/// Stops the clients, and holds everything that was acknowledged against what is there.
async fn finish(scene: &mut Scene<'_>, report: &mut Report) -> Result<()> {
    for writers in [&mut scene.stacks, &mut scene.direct, &mut scene.caches] {
        writers.iter_mut().for_each(Writer::stop);
    }
    let scene = &*scene;
    let kept: HashSet<(String, i64)> = patiently(async || scene.ledger().await)
        .await?
        .into_iter()
        .collect();
    for (what, writers) in [("stack", &scene.stacks), ("direct", &scene.direct)] {
        for (member, writer) in scene.members.iter().zip(writers) {
            let name = format!("{what}-{}", member.name);
            let acks = writer.acks();
            report.postgres_written += acks.len();
            let lost = verdict::lost(&name, &acks, &kept);
            report
                .postgres_lost
                .extend(lost.iter().map(|number| format!("{name} {number}")));
        }
    }
    for index in 0..MEMBERS {
        let acks = scene.caches[index].acks().clone();
        report.redis_written += acks.len();
        report.redis_lost += lost_in_redis(scene, index, &acks).await?;
    }
    let direct: Vec<(&str, Vec<Ack>)> = scene
        .members
        .iter()
        .zip(&scene.direct)
        .map(|(member, writer)| (member.name.as_str(), writer.acks().clone()))
        .collect();
    let direct: Vec<(&str, &[Ack])> = direct
        .iter()
        .map(|(name, acks)| (*name, acks.as_slice()))
        .collect();
    report.two_leaders = verdict::two_leaders(&direct);
    Ok(())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
