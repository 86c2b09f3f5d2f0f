//! What the files of Prometheus, Alertmanager and the blackbox exporter are made from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use crate::nix::Nix;
use crate::programs;
use crate::run::Run;
use crate::spec::Spec;

/// Reading a few small files; a busy machine takes its time.
const RENDER: Duration = Duration::from_mins(1);

/// The arguments of `nix/demo/monitoring.nix`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MonitoringPlan {
    /// The name of this machine, which has all that is no host of the fleet.
    pub machine: String,
    /// Who is asked for metrics.
    pub hosts: Vec<WatchedMachine>,
    /// Requests from outside.
    pub probes: Vec<Probe>,
    /// Where Alertmanager listens.
    pub alertmanager: String,
    /// Where the blackbox exporter listens.
    pub blackbox: String,
    /// Whom the blackbox exporter trusts.
    pub authority: PathBuf,
    /// Who hears of alerts; nobody if not given.
    pub webhook: Option<String>,
    /// How Alertmanager puts alerts together; as on a host if not given.
    pub grouping: Option<Grouping>,
    /// How often targets are asked and rules are evaluated.
    pub interval_seconds: u32,
    /// What the time is divided by that each alert's expression must hold.
    pub for_divided_by: u32,
    /// Thresholds other than the rules' own, by alert.
    pub thresholds: BTreeMap<&'static str, BTreeMap<&'static str, u32>>,
    /// The page that alerts link to.
    pub runbooks: String,
}

/// A machine with its targets.
#[derive(Debug, Clone, Serialize)]
pub struct WatchedMachine {
    /// The label `host`.
    pub name: String,
    /// What runs there.
    pub targets: Vec<Target>,
}

/// A process with metrics.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The label `job`.
    pub job: String,
    /// The label `unit`.
    pub unit: Option<String>,
    /// Where it listens.
    pub address: String,
    /// The path of its metrics.
    pub path: String,
    /// Further labels, such as `stack` and `service`.
    pub labels: BTreeMap<&'static str, String>,
    /// Parameters of the request.
    pub params: BTreeMap<&'static str, String>,
}

impl Target {
    /// One on a port of this machine.
    #[must_use]
    pub fn local(job: &str, unit: Option<&str>, port: u16) -> Self {
        Self {
            job: job.to_owned(),
            unit: unit.map(ToOwned::to_owned),
            address: format!("127.0.0.1:{port}"),
            path: "/metrics".to_owned(),
            labels: BTreeMap::new(),
            params: BTreeMap::new(),
        }
    }

    /// A process of a stack.
    #[must_use]
    pub fn of_stack(stack: &str, service: &str, unit: &str, port: u16) -> Self {
        let labels = [("stack", stack), ("service", service)];
        Self {
            labels: labels.map(|(label, value)| (label, value.to_owned())).into(),
            ..Self::local("stack", Some(&format!("{stack}-{unit}")), port)
        }
    }
}

/// A request from outside.
#[derive(Debug, Clone, Serialize)]
pub struct Probe {
    /// Where to.
    pub url: String,
    /// Whose it is.
    pub stack: String,
    /// The certificate's name.
    pub domain: String,
    /// What a good answer is: `ok`, `answer` or `redirect`.
    pub kind: &'static str,
}

/// How Alertmanager puts alerts together and when it sends them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grouping {
    /// Alerts with the same values come together; `...` keeps all apart.
    pub labels: Vec<&'static str>,
    /// Before the first message.
    pub wait_seconds: u32,
    /// Between two messages.
    pub interval_seconds: u32,
    /// Until the same is said again.
    pub repeat_seconds: u32,
}

impl MonitoringPlan {
    /// Makes the files in `folder` with Nix, from the checkout's own rules.
    pub async fn render(&self, run: &Run, nix: &Nix, checkout: &Path, folder: &Path) -> Result<()> {
        let plan = folder.join("plan.json");
        std::fs::write(&plan, serde_json::to_vec(self)?)?;
        let spec = Spec::new("monitoring-files", programs::find("nix-instantiate")?)
            .args(["--eval", "--strict", "--json"])
            .args([checkout.join("nix/demo/monitoring.nix")])
            .args(["--argstr".as_ref(), "plan".as_ref(), plan.as_os_str()]);
        let text = run.supervisor.output(nix.with_build_env(spec), RENDER).await;
        let text = text.context("cannot make the files of Prometheus and Alertmanager")?;
        let files: BTreeMap<String, Value> = serde_json::from_str(&text)?;
        for (name, content) in files {
            std::fs::write(folder.join(name), serde_json::to_vec_pretty(&content)?)?;
        }
        Ok(())
    }
}
