//! Faults in the real stack, while the real Prometheus and Alertmanager watch it with the rules of this checkout. Each must
//! bring its alert to a webhook, and no other, and the alert must end with the fault.

mod audit;
mod backup;
mod careful;
mod disk;
mod judge;
mod kind;
mod result;
mod scene;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

pub use kind::FaultKind;

use crate::monitoring::Monitoring;
use crate::monitoring::ask::Sample;
use crate::run::Run;
use crate::say::{print, say};
use crate::stack::binaries::Binaries;
use crate::webhook::HeardAlert;
use judge::Judge;
use result::{FaultResult, Report};
use scene::Scene;

/// The environment whose rollouts need an approval.
const CAREFUL: &str = "careful";
/// The label `job` of the target that can answer garbage.
const ANSWERS: &str = "answers";
/// How soon an alert must be heard, and how soon its end.
const SOON: Duration = Duration::from_mins(2);
/// How long nothing may fire before the first fault.
const QUIET: Duration = Duration::from_secs(15);
/// All faults together, but for the start of the stack.
const BOUND: Duration = Duration::from_mins(12);
/// Jobs of exporters.
const EXPORTERS: [&str; 5] = ["node", "postgres", "redis", "nginx", "blackbox"];
/// How often the webhook is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Only these faults; all if none is named.
    pub only: Vec<FaultKind>,
    /// What the time is divided by that each alert's expression must hold.
    pub faster: u32,
    /// Whether the result comes as JSON.
    pub json: bool,
}

/// Starts everything, injects the faults one after another, and prints a table. Fails when one is not as it should be.
pub async fn run(run: &Run, checkout: &Path, binaries: Binaries, wanted: &Wanted) -> Result<()> {
    let scene = Scene::set(run, checkout, binaries, wanted.faster).await?;
    scene.monitoring.wait_targets_up(SOON).await?;
    say(&format!(
        "all {} targets answer; alerts wait a {}th of their time",
        scene.monitoring.targets, wanted.faster
    ));
    let mut judge = Judge::default();
    let mut report = Report::new(wanted.faster);
    let start = Instant::now();
    quiet(&scene, &mut judge).await?;
    let faults = FaultKind::all()
        .iter()
        .filter(|fault| wanted.only.is_empty() || wanted.only.contains(fault));
    for fault in faults {
        if start.elapsed() > BOUND {
            bail!(
                "the faults took longer than {BOUND:?}; the last one was not {}",
                fault.name()
            );
        }
        say(&format!("{}: {}", fault.name(), fault.words()));
        let result = one(&scene, &mut judge, *fault).await?;
        say(&format!("    {}", result.line()));
        report.faults.push(result);
    }
    report.figures = figures(&scene.monitoring).await?;
    if wanted.json {
        print(&serde_json::to_string(&report)?);
    } else {
        print(&report.table());
    }
    if report.is_good() {
        return Ok(());
    }
    bail!("not every fault brought its alert and no other");
}

/// A stack without faults has no alert.
async fn quiet(scene: &Scene<'_>, judge: &mut Judge) -> Result<()> {
    let end = Instant::now() + QUIET;
    while Instant::now() < end {
        if let Some(alert) = judge.unexpected(&scene.webhook.heard(), None) {
            bail!("without a fault there is the alert {alert}");
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// One fault, from its beginning to the end of its alert.
async fn one(scene: &Scene<'_>, judge: &mut Judge, fault: FaultKind) -> Result<FaultResult> {
    let mut result = FaultResult::of(fault);
    if let Some(reason) = scene.cannot(fault) {
        result.skipped = Some(reason);
        return Ok(result);
    }
    scene.prepare(fault).await?;
    let began = Instant::now();
    scene.inject(fault).await?;
    result.detected = wait(scene, judge, fault, began, &mut result, judge::fires).await;
    let cured = Instant::now();
    scene.cure(fault).await?;
    result.resolved = wait(scene, judge, fault, cured, &mut result, judge::is_over).await;
    Ok(result)
}

/// Waits until the webhook has heard what `is` asks, and notes every alert that should not be.
async fn wait(
    scene: &Scene<'_>,
    judge: &mut Judge,
    fault: FaultKind,
    since: Instant,
    result: &mut FaultResult,
    is: fn(FaultKind, &[HeardAlert], Instant) -> Option<Instant>,
) -> Option<f64> {
    loop {
        let heard = scene.webhook.heard();
        if let Some(alert) = judge.unexpected(&heard, Some(fault)) {
            result.others.push(alert);
        }
        if let Some(at) = is(fault, &heard, since) {
            return Some(at.saturating_duration_since(since).as_secs_f64());
        }
        if since.elapsed() > SOON {
            return None;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What each program of the stack takes: the process, MiB of memory, per cent of a core.
async fn figures(monitoring: &Monitoring) -> Result<Vec<(String, f64, f64)>> {
    let memory = monitoring
        .prometheus
        .vector("process_resident_memory_bytes / 1048576")
        .await?;
    let cpu = monitoring
        .prometheus
        .vector("rate(process_cpu_seconds_total[5m]) * 100")
        .await?;
    let of = |instance: &str| {
        let found = cpu.iter().find(|sample| sample.label("instance") == instance);
        found.map_or(f64::NAN, Sample::number)
    };
    let figures = memory.iter().map(|sample| {
        let instance = sample.label("instance");
        let share = of(&instance);
        // An exporter has the name of what it asks.
        let exporter = EXPORTERS.contains(&sample.label("job").as_str());
        let name = if exporter {
            format!("{instance} exporter")
        } else {
            instance
        };
        (name, sample.number(), share)
    });
    Ok(figures.collect())
}
