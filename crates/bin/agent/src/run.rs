//! `run`: serve this host until SIGTERM.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use slipway_attempt::{Executor, ExecutorView, JournalStore};
use slipway_domain::{HostName, Instruction, Observation, StorePath};
use slipway_host::boot_id;
use slipway_host::job::JobFiles;
use slipway_host::{Clock, HostConfig, HostOperations, Machine, SystemClock};
use slipway_settings::{AgentSettings, SettingsSource};
use slipway_telemetry::Lifecycle;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::facts;
use crate::local;
use crate::plane::PlaneClient;
use crate::printed;
use crate::sync::{self, ExecutorLink};

/// After SIGTERM. Nothing needs finishing: what was begun goes on without us and is found again.
const GRACE: Duration = Duration::from_secs(3);

/// Runs until a signal.
pub(crate) fn run(source: &SettingsSource, settings: AgentSettings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let done = runtime.block_on(serve(source, settings));
    // A program that does not die at once must not keep us.
    runtime.shutdown_background();
    done
}

async fn serve(source: &SettingsSource, settings: AgentSettings) -> anyhow::Result<()> {
    let _guard = slipway_telemetry::init("slipway-agent", &settings.log, &settings.otel, &settings.sentry)?;
    for warning in source.warnings() {
        warn!("{warning}");
    }
    let name: HostName = settings.plane.host.parse().context("AGENT_HOST cannot be used")?;
    let mut config = local::host_config(&settings.agent)?;
    config.trust = local::release_trust(&settings.plane)?;
    say_whom_it_trusts(&config);
    if !config
        .gcroots_dir
        .components()
        .any(|part| part.as_os_str() == "gcroots")
    {
        warn!(dir = %config.gcroots_dir.display(), "AGENT_GCROOTS_DIR is in no folder named gcroots: Nix may not see it");
    }
    let plane = Arc::new(PlaneClient::new(source, settings.clone(), &config)?);
    let runner = config.runner;
    let keep_releases = config.keep_releases;
    let store = JournalStore::open(&config.state_dir)?;
    let _only_one = store.lock_for_run().context("is another agent running?")?;
    let machine = Machine::new(config).context("cannot use AGENT_STATE_DIR")?;
    let machine = Arc::new(machine);

    let lifecycle = Lifecycle::start(GRACE)?;
    let handle = slipway_telemetry::install_metrics("slipway-agent")?;
    metrics::describe_counter!(
        "slipway_agent_syncs_total",
        "Requests to the control plane by outcome: ok, failed, denied."
    );
    metrics::describe_gauge!(
        "slipway_agent_unsettled",
        "1 while an attempt is begun and neither committed nor taken back."
    );
    metrics::describe_gauge!(
        "slipway_agent_last_sync_timestamp_seconds",
        "When the control plane last answered, since 1970; 0: not since the start."
    );
    metrics::gauge!("slipway_agent_last_sync_timestamp_seconds").set(0.0);
    if let Some(addr) = settings.metrics.addr(None) {
        let listener = slipway_telemetry::bind_metrics(addr).await?;
        lifecycle.spawn(slipway_telemetry::serve_metrics(
            listener,
            handle,
            lifecycle.soft(),
        ));
    }

    let (instruct, instructions) = watch::channel(Instruction::Idle);
    let (executor, view) = Executor::new(
        Arc::clone(&machine),
        SystemClock,
        store,
        keep_releases,
        instructions,
    );
    let mut executor = executor
        .of_host(&name)
        .with_least_switch_seconds(settings.agent.min_switch_seconds)
        .with_most_reboots_per_day(settings.agent.max_reboots_per_day);
    // Ready before the journal is read: a dead-man has it while its switch script restarts us and waits for this word.
    lifecycle.ready();
    let stop = lifecycle.soft();
    tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        () = executor.recall() => {}
    }
    let work = lifecycle.spawn(executor.run(stop.clone()));
    let (sink, printing, ended) = (Arc::clone(&plane), view.clone(), stop.clone());
    let jobs = JobFiles::open(&machine.config().state_dir).context("cannot use AGENT_STATE_DIR")?;
    lifecycle.spawn(async move { printed::run(&*sink, &jobs, printing, ended).await });
    let link = ExecutorLink {
        view,
        instructions: instruct,
    };
    let outdated = plane.outdated();
    let (facts, gatherer) = facts::link();
    let of_host = machine.config().clone();
    let gather = move |attempt, closure: Option<StorePath>| {
        let config = of_host.clone();
        async move { slipway_host::facts::gather(&config, attempt, closure.as_ref()).await }
    };
    lifecycle.spawn(gatherer.run(gather, stop.clone()));
    lifecycle.spawn(async move {
        let observe = |view: &ExecutorView| observe(&name, &machine, view);
        sync::run(&*plane, observe, link, facts, stop).await;
    });
    info!(
        host = settings.plane.host,
        ?runner,
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );

    // Without the executor there is nothing left to serve; started again, we finish what it was at.
    let ended = tokio::select! {
        ended = work => ended,
        () = outdated.cancelled() => Ok(()),
    };
    lifecycle.stop();
    lifecycle.finished().await;
    ended.context("the executor failed")
}

/// At every start, so that nobody believes that signatures are asked for where they are not.
fn say_whom_it_trusts(config: &HostConfig) {
    let Some(trust) = &config.trust else {
        warn!(
            "this host has no release keys: it trusts the control plane, and runs whatever that names and a key of the cache signed; set AGENT_RELEASE_KEYS_FILE (docs/trust.md)"
        );
        return;
    };
    let keys: Vec<String> = trust.keys.as_slice().iter().map(ToString::to_string).collect();
    info!(environment = %trust.environment, keys = keys.join(", "), "takes signed releases only");
}

fn observe(name: &HostName, machine: &Machine, view: &ExecutorView) -> Observation {
    let observed = machine.observe();
    if let Some(trouble) = &observed.trouble {
        warn!(%trouble, "the host cannot be looked at whole");
    }
    metrics::gauge!("slipway_agent_unsettled").set(f64::from(u8::from(view.unsettled.is_some())));
    Observation {
        host: name.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        clock: SystemClock.wall(),
        boot_id: observed.boot_id.clone(),
        counter: boot_id::counter(),
        overrides: machine.overrides(&observed, view.unsettled),
        live: observed.live,
        boot_default: observed.boot_default,
        report: view.report.clone(),
        unsettled: view.unsettled,
        journal_trouble: view.trouble.clone(),
        plan: None,
        facts: None,
        pending_reboot: Some(machine.pending_reboot()),
    }
}
