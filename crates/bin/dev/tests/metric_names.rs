//! Every metric that an alert or a dashboard asks for is one that a running program shows. Prometheus watches the real
//! stack through the exporters of the distribution.
//!
//! Metrics that cannot be there are named with the reason, and with the program or file that writes them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::Base;
use common::metrics::documented;
use common::promql;
use serde_json::Value;
use slipway_dev::monitoring::{Monitoring, Watching};
use slipway_dev::programs;
use slipway_dev::run::Run;
use slipway_dev::stack::DevStack;
use slipway_dev::stack::binaries::Binaries;

const BOUND: Duration = Duration::from_mins(2);

/// Metrics that this test cannot see, by the beginning of their names.
const ELSEWHERE: [(&str, Written); 16] = [
    // The Redis here has no Sentinels.
    (
        "redis_sentinel_",
        Written::Program(["prometheus-redis-exporter", "redis_exporter"]),
    ),
    // It is the init of few containers.
    (
        "node_systemd_",
        Written::Program(["prometheus-node-exporter", "node_exporter"]),
    ),
    // Some kernels do not count pressure.
    (
        "node_pressure_",
        Written::Program(["prometheus-node-exporter", "node_exporter"]),
    ),
    // No disk here is part of a RAID.
    (
        "node_md_",
        Written::Program(["prometheus-node-exporter", "node_exporter"]),
    ),
    // The server has no copy here.
    (
        "pg_stat_replication_",
        Written::Program(["prometheus-postgres-exporter", "postgres_exporter"]),
    ),
    // These need a host with systemd, for node_exporter's files of text.
    ("slipway_job_", Written::Source("modules/stack/jobs.sh")),
    ("slipway_host_", Written::Source("modules/telemetry/facts.sh")),
    ("slipway_anchor_", Written::Source("modules/audit-anchor.sh")),
    // No host here shares an address.
    (
        "slipway_floating_",
        Written::Source("modules/floating/telemetry.nix"),
    ),
    // The one server here is no member of a cluster.
    (
        "slipway_cluster_",
        Written::Source("modules/cluster/certificate.sh"),
    ),
    // Debian has neither fluent-bit nor VictoriaLogs.
    ("slipway_log_", Written::Parts(SHIPPER)),
    ("slipway_proxy_", Written::Parts(SHIPPER)),
    ("fluentbit_", Written::Nowhere),
    ("vl_", Written::Nowhere),
    ("patroni_", Written::Nowhere),
    ("etcd_", Written::Nowhere),
];
const SHIPPER: &str = "modules/telemetry/logs/pipeline.nix";

/// Who writes a metric.
enum Written {
    /// A program, under Debian's name or that of nixpkgs. The rest of the metric's name is in it.
    Program([&'static str; 2]),
    /// A file of the checkout, with the whole name.
    Source(&'static str),
    /// A file of the checkout, with the rest of the name as a text.
    Parts(&'static str),
    /// Nothing that is here.
    Nowhere,
}

impl Written {
    fn has(&self, start: &str, metric: &str) -> bool {
        let read = |path: &str| fs::read_to_string(checkout().join(path)).unwrap();
        let rest = metric.strip_prefix(start).unwrap();
        match self {
            Self::Program(names) => {
                let program = names.iter().find_map(|name| programs::find(name).ok()).unwrap();
                let content = fs::read(program).unwrap();
                content.windows(rest.len()).any(|part| part == rest.as_bytes())
            }
            Self::Source(path) => read(path).contains(metric),
            Self::Parts(path) => {
                let ends = ["_bucket", "_count", "_sum"];
                let name = ends.iter().find_map(|end| rest.strip_suffix(end)).unwrap_or(rest);
                read(path).contains(&format!("\"{name}\""))
            }
            Self::Nowhere => true,
        }
    }
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Who asks, by metric.
type Asked = BTreeMap<String, BTreeSet<String>>;

fn ask(asked: &mut Asked, who: &str, expression: &str) {
    for metric in promql::metrics(expression) {
        asked.entry(metric).or_default().insert(who.to_owned());
    }
}

/// The rules as Prometheus has read them.
fn of_rules(asked: &mut Asked, file: &Path) {
    let rules: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    for group in rules["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            ask(
                asked,
                rule["alert"].as_str().unwrap(),
                rule["expr"].as_str().unwrap(),
            );
        }
    }
}

/// What only workers of a control plane are believed; Prometheus drops it of all others (nix/monitoring/scrapes.nix).
const OF_FLEET: [&str; 5] = [
    "slipway_rollout",
    "slipway_host_",
    "slipway_fleet_",
    "slipway_audit_",
    "slipway_deliver",
];

/// Any program of a stack may show a metric of any name. A rule that does not say whose it reads would take its word, and fire
/// for every label that it makes up.
fn assert_rules_name_the_job(file: &Path) {
    let rules: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut loose = BTreeSet::new();
    for group in rules["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            for (metric, matchers) in promql::selectors(rule["expr"].as_str().unwrap()) {
                let names_job = matchers.contains("job=") || matchers.contains("job!~");
                if !names_job && !OF_FLEET.iter().any(|start| metric.starts_with(start)) {
                    loose.insert(format!("{}: {metric}{matchers}", rule["alert"].as_str().unwrap()));
                }
            }
        }
    }
    assert!(loose.is_empty(), "{loose:#?}");
}

/// The queries in a dashboard. `metrics` says whether those around ask Prometheus.
fn of_dashboard(asked: &mut Asked, who: &str, value: &Value, metrics: bool) {
    match value {
        Value::Object(object) => {
            let source = object
                .get("datasource")
                .and_then(|source| source["type"].as_str());
            let metrics = source.map_or(metrics, |source| source == "prometheus");
            for (key, value) in object {
                match value.as_str() {
                    Some(text) if metrics && key == "expr" => ask(asked, who, text),
                    // A variable: label_values(SERIES, LABEL).
                    Some(text) if metrics && key == "query" && text.starts_with("label_values(") => {
                        ask(asked, who, text.rsplit_once(',').unwrap().0);
                    }
                    _ => of_dashboard(asked, who, value, metrics),
                }
            }
        }
        Value::Array(array) => {
            for value in array {
                of_dashboard(asked, who, value, metrics);
            }
        }
        _ => {}
    }
}

/// The metrics of our own programs, which tests/metrics.rs compares with the running ones.
fn of_ours() -> BTreeSet<String> {
    let table = documented(&checkout().join("docs/metrics.md"));
    let parts = |(name, kind): (String, String)| {
        let ends: &[&str] = if kind == "histogram" {
            &["_bucket", "_sum", "_count"]
        } else {
            &[""]
        };
        ends.iter().map(|end| format!("{name}{end}")).collect::<Vec<_>>()
    };
    table.into_values().flatten().flat_map(parts).collect()
}

#[tokio::test]
async fn every_metric_of_an_alert_or_a_dashboard_is_one_that_something_shows() {
    let base = Base::new();
    let run = Run::create(base.path()).unwrap();
    let folder = Path::new(env!("CARGO_BIN_EXE_slipway-dev")).parent().unwrap();
    let binaries = Binaries::in_folder(folder).unwrap();
    let stack = DevStack::start(&run, binaries, &|_| ()).await.unwrap();
    let watching = Watching {
        interval_seconds: 5,
        ..Watching::default()
    };
    let monitoring = Monitoring::start(&run, &checkout(), &stack, watching)
        .await
        .unwrap();
    monitoring.wait_targets_up(BOUND).await.unwrap();

    let mut asked = Asked::new();
    let rules = run.dir.path().join("monitoring/rules.yaml");
    of_rules(&mut asked, &rules);
    assert_rules_name_the_job(&rules);
    for file in fs::read_dir(checkout().join("deploy/monitoring/dashboards")).unwrap() {
        let path = file.unwrap().path();
        let who = path.file_name().unwrap().to_string_lossy().into_owned();
        let dashboard = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        of_dashboard(&mut asked, &who, &dashboard, false);
    }
    assert!(asked.len() > 80, "{} metrics are asked for", asked.len());

    let ours = of_ours();
    // Some series come with the first evaluation of rules.
    let end = Instant::now() + BOUND;
    loop {
        let shown = monitoring
            .prometheus
            .vector(r#"count by (__name__) ({__name__=~".+"})"#)
            .await
            .unwrap();
        let shown: BTreeSet<String> = shown.iter().map(|sample| sample.label("__name__")).collect();
        let is_elsewhere = |metric: &str| {
            let mut known = ELSEWHERE.iter().filter(|(start, _)| metric.starts_with(start));
            known.any(|(start, written)| written.has(start, metric))
        };
        let missing: Vec<String> = asked
            .iter()
            .filter(|(metric, _)| {
                !shown.contains(*metric) && !ours.contains(*metric) && !is_elsewhere(metric)
            })
            .map(|(metric, who)| format!("{metric}, which {who:?} ask for"))
            .collect();
        if missing.is_empty() {
            break;
        }
        assert!(
            Instant::now() < end,
            "nothing shows these metrics:\n{}",
            missing.join("\n")
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    run.close().await.unwrap();
}
