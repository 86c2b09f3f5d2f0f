//! Prometheus, Alertmanager and exporters of the distribution beside a stack, with the rules of this checkout.

pub mod ask;
pub mod exporters;
pub mod plan;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::run::Run;
use crate::spec::Spec;
use crate::stack::DevStack;
use ask::Prometheus;
use exporters::{LAYER, MachineScope};
use plan::{Grouping, MonitoringPlan, Probe, Target, WatchedMachine};

/// The name of the process with the metrics.
pub const PROMETHEUS: &str = "prometheus";
/// The name of the process with the alerts.
pub const ALERTMANAGER: &str = "alertmanager";
/// The label `host` of all that is no host of the fleet.
pub const MACHINE: &str = "control-plane";
/// The label `stack` of the control plane's own processes.
pub const STACK: &str = "slipway";
const START: Duration = Duration::from_mins(1);
/// The page in the checkout that alerts link to.
const RUNBOOKS: &str = "docs/runbooks.md";

/// How to watch.
#[derive(Debug, Clone)]
pub struct Watching {
    /// How often targets are asked and rules are evaluated.
    pub interval_seconds: u32,
    /// What the time is divided by that each alert's expression must hold.
    pub for_divided_by: u32,
    /// Thresholds other than the rules' own, by alert.
    pub thresholds: BTreeMap<&'static str, BTreeMap<&'static str, u32>>,
    /// Who hears of alerts.
    pub webhook: Option<String>,
    /// How alerts are put together; as on a host if not given.
    pub grouping: Option<Grouping>,
    /// What of the machine itself is watched.
    pub machine: MachineScope,
    /// More processes of this machine.
    pub more: Vec<Target>,
}

impl Default for Watching {
    /// As modules/monitoring does it on a host.
    fn default() -> Self {
        Self {
            interval_seconds: 15,
            for_divided_by: 1,
            thresholds: BTreeMap::new(),
            webhook: None,
            grouping: None,
            machine: MachineScope::Whole,
            more: Vec::new(),
        }
    }
}

/// What watches.
#[derive(Debug)]
pub struct Monitoring {
    /// Prometheus, to be asked.
    pub prometheus: Prometheus,
    /// Where Alertmanager is.
    pub alertmanager: String,
    /// How many targets and probes there are.
    pub targets: usize,
}

impl Monitoring {
    /// Starts all of it beside `stack`, and waits until it answers.
    pub async fn start(run: &Run, checkout: &Path, stack: &DevStack, watching: Watching) -> Result<Self> {
        let folder = run.dir.folder("monitoring", None)?;
        let [prometheus, alertmanager, blackbox] = [(); 3].map(|()| run.ports.reserve());
        let (prometheus, alertmanager, blackbox) = (prometheus?, alertmanager?, blackbox?);
        let mut own = exporters::start(run, stack, &watching.machine, blackbox)?;
        own.extend(of_control_plane(stack));
        own.push(Target::local("prometheus", None, prometheus));
        own.push(Target::local("alertmanager", None, alertmanager));
        own.extend(watching.more);
        let mut hosts = vec![WatchedMachine {
            name: MACHINE.to_owned(),
            targets: own,
        }];
        hosts.extend(stack.hosts.iter().map(|host| WatchedMachine {
            name: host.name.to_string(),
            targets: vec![Target::local("agent", None, host.metrics)],
        }));
        let url = format!("{}/", stack.nginx.api_url());
        let plan = MonitoringPlan {
            machine: MACHINE.to_owned(),
            hosts,
            probes: vec![Probe {
                url,
                stack: STACK.to_owned(),
                domain: "localhost".to_owned(),
                // Without a token the api refuses, which is an answer.
                kind: "answer",
            }],
            alertmanager: format!("127.0.0.1:{alertmanager}"),
            blackbox: format!("127.0.0.1:{blackbox}"),
            authority: stack.nginx.ca.clone(),
            webhook: watching.webhook,
            grouping: watching.grouping,
            interval_seconds: watching.interval_seconds,
            for_divided_by: watching.for_divided_by,
            thresholds: watching.thresholds,
            runbooks: RUNBOOKS.to_owned(),
        };
        plan.render(run, &stack.nix, checkout, &folder).await?;
        let spawn = |spec: Spec| run.supervisor.spawn(spec.directory(&folder).layer(LAYER));
        spawn(blackbox_spec(&folder, blackbox)?)?;
        // First: what Prometheus cannot hand over is lost.
        spawn(alertmanager_spec(&folder, alertmanager)?)?;
        let targets = plan.hosts.iter().map(|host| host.targets.len()).sum::<usize>() + plan.probes.len();
        let started = Self {
            prometheus: Prometheus::at(prometheus)?,
            alertmanager: format!("http://127.0.0.1:{alertmanager}"),
            targets,
        };
        let answers = async || ask::answers(&format!("{}/-/ready", started.alertmanager)).await;
        run.supervisor.wait_ready(ALERTMANAGER, START, answers).await?;
        spawn(prometheus_spec(&folder, prometheus)?)?;
        let ready = async || started.prometheus.is_ready().await;
        run.supervisor.wait_ready(PROMETHEUS, START, ready).await?;
        Ok(started)
    }

    /// Waits until every target has been asked with success.
    pub async fn wait_targets_up(&self, bound: Duration) -> Result<()> {
        let end = tokio::time::Instant::now() + bound;
        loop {
            let up = self.prometheus.vector("up == 1").await.unwrap_or_default();
            if up.len() == self.targets {
                return Ok(());
            }
            if tokio::time::Instant::now() > end {
                let down = self.prometheus.vector("up == 0").await?;
                let names: Vec<String> = down.iter().map(|sample| sample.label("instance")).collect();
                anyhow::bail!(
                    "{} of {} targets answered within {bound:?}; these did not: {}",
                    up.len(),
                    self.targets,
                    names.join(", ")
                );
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

/// The processes of the control plane, as targets.
fn of_control_plane(stack: &DevStack) -> Vec<Target> {
    let metrics = stack.control_plane.metrics.iter();
    let target = |(name, port): &(String, u16)| {
        let service = name.split('-').next().unwrap_or(name);
        Target::of_stack(STACK, service, name, *port)
    };
    metrics.map(target).collect()
}

fn blackbox_spec(folder: &Path, port: u16) -> Result<Spec> {
    let program = exporters::either("prometheus-blackbox-exporter", "blackbox_exporter")?;
    Ok(Spec::new("blackbox-exporter", program).args([
        format!("--config.file={}", folder.join("blackbox.yaml").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ]))
}

fn prometheus_spec(folder: &Path, port: u16) -> Result<Spec> {
    let program = crate::programs::find("prometheus").context("--monitoring needs Prometheus")?;
    Ok(Spec::new(PROMETHEUS, program).args([
        format!("--config.file={}", folder.join("prometheus.yaml").display()),
        format!("--storage.tsdb.path={}", folder.join("metrics").display()),
        "--storage.tsdb.retention.time=1d".to_owned(),
        "--storage.tsdb.retention.size=1GB".to_owned(),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ]))
}

fn alertmanager_spec(folder: &Path, port: u16) -> Result<Spec> {
    let program = exporters::either("prometheus-alertmanager", "alertmanager")?;
    Ok(Spec::new(ALERTMANAGER, program).args([
        format!("--config.file={}", folder.join("alertmanager.yaml").display()),
        format!("--storage.path={}", folder.join("silences").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        // Alone, it has nobody to gossip with.
        "--cluster.listen-address=".to_owned(),
    ]))
}
