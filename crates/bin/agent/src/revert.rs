//! `revert` and `deadman`: put a prior back without network, token or a running agent.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use slipway_attempt::deadman::{self, Woken};
use slipway_attempt::{Executor, Fired, JournalStore};
use slipway_domain::Instruction;
use slipway_host::job::{JobFiles, SuperviseError};
use slipway_host::{Machine, SystemClock};
use slipway_settings::LocalSettings;
use slipway_telemetry::error_chain;
use tokio::sync::watch;

use crate::cli::{Revert, print};
use crate::local;

/// Between two runs of a dead-man that could not put the prior back.
const AGAIN_AFTER: Duration = Duration::from_secs(15);

/// Puts the prior back, unless the attempt was committed or is over. Fails when it cannot.
pub(crate) fn revert(settings: &LocalSettings, asked: &Revert) -> anyhow::Result<ExitCode> {
    with_runtime(settings, async {
        fire(
            settings,
            asked,
            "slipway-agent revert: the dead-man's deadline, or a person",
        )
        .await
    })
}

/// Waits for the deadline, and then does the same.
pub(crate) fn deadman(settings: &LocalSettings, asked: &Revert, seconds: u32) -> anyhow::Result<ExitCode> {
    with_runtime(settings, async {
        let state_dir = &settings.agent.state_dir;
        let store = JournalStore::open(state_dir)?;
        let jobs = JobFiles::open(state_dir)?;
        match deadman::wait(&store, &jobs, &SystemClock, asked.attempt, seconds).await {
            // The latter was disarmed before it came up.
            Ok(Woken::Settled) | Err(SuperviseError::Forbidden { .. }) => return Ok(ExitCode::SUCCESS),
            Ok(Woken::Due) => {}
            Err(error) => return Err(error.into()),
        }
        let reason = format!("the dead-man's deadline of {seconds} s came without a commit");
        // A timer of systemd starts its unit again; we are what there is. Whatever keeps the prior away may pass.
        loop {
            match fire(settings, asked, &reason).await {
                Ok(ExitCode::SUCCESS) => return Ok(ExitCode::SUCCESS),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = error_chain(error.as_ref()), "the dead-man could not act");
                }
            }
            // A host that is gone as a whole has nothing to go back to.
            if !store.exists() {
                return Ok(ExitCode::FAILURE);
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    })
}

async fn fire(settings: &LocalSettings, asked: &Revert, reason: &str) -> anyhow::Result<ExitCode> {
    let config = local::host_config(&settings.agent)?;
    let store = JournalStore::open(&config.state_dir)?;
    let keep_releases = config.keep_releases;
    let machine = Arc::new(Machine::new(config).context("cannot use AGENT_STATE_DIR")?);
    let (_nobody, told) = watch::channel(Instruction::Idle);
    let (executor, _) = Executor::new(machine, SystemClock, store, keep_releases, told);
    let attempt = asked.attempt;
    let fired = executor.fire(attempt, asked.prior.clone(), reason).await;
    let (said, code) = match fired {
        Fired::Reverted(prior) => (format!("{prior} is back"), ExitCode::SUCCESS),
        Fired::Settled(phase) => (
            format!("nothing to do: the attempt is {}", word(phase)?),
            ExitCode::SUCCESS,
        ),
        Fired::Unknown => (
            "nothing to do: the journal knows no such attempt".to_owned(),
            ExitCode::SUCCESS,
        ),
        Fired::Stuck(why) => (why, ExitCode::FAILURE),
    };
    tracing::info!(%attempt, %said, "fired");
    print(&format!("{attempt}: {said}\n"));
    Ok(code)
}

fn word(phase: slipway_attempt::JournalPhase) -> anyhow::Result<String> {
    let json = serde_json::to_value(phase)?;
    Ok(json.as_str().unwrap_or_default().replace('_', " "))
}

fn with_runtime(
    settings: &LocalSettings,
    work: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Log lines are worth having; without them the prior comes back all the same.
        let guard = slipway_telemetry::init("slipway-agent", &settings.log, &settings.otel, &settings.sentry);
        let done = work.await;
        drop(guard);
        done
    })
}
