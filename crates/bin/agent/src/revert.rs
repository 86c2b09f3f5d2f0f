//! `revert` and `deadman`: put a prior back without network, token or a running agent.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use slipway_attempt::deadman::{self, WaitOutcome};
use slipway_attempt::{Executor, JournalStore, RevertOutcome};
use slipway_domain::Instruction;
use slipway_host::job::{JobFiles, SuperviseError};
use slipway_host::{Machine, SystemClock};
use slipway_settings::{LocalSettings, OtelSettings};
use slipway_telemetry::error_chain;
use tokio::sync::watch;

use crate::cli::{RevertArgs, print};
use crate::local;

/// Between two runs of a dead-man that could not put the prior back.
const AGAIN_AFTER: Duration = Duration::from_secs(15);

/// Puts the prior back, unless the attempt was committed or is over. Fails when it cannot.
pub(crate) fn revert(settings: &LocalSettings, arguments: &RevertArgs) -> anyhow::Result<ExitCode> {
    with_runtime(settings, async {
        put_back(
            settings,
            arguments,
            "slipway-agent revert: the dead-man's deadline, or a person",
        )
        .await
    })
}

/// Waits for the deadline, and then does the same.
pub(crate) fn deadman(
    settings: &LocalSettings,
    arguments: &RevertArgs,
    seconds: u32,
) -> anyhow::Result<ExitCode> {
    with_runtime(settings, async {
        let state_dir = &settings.agent.state_dir;
        let store = JournalStore::open(state_dir)?;
        let jobs = JobFiles::open(state_dir)?;
        match deadman::wait(&store, &jobs, &SystemClock, arguments.attempt, seconds).await {
            // The latter was disarmed before it came up.
            Ok(WaitOutcome::Settled) | Err(SuperviseError::Forbidden { .. }) => return Ok(ExitCode::SUCCESS),
            Ok(WaitOutcome::Due) => {}
            Err(error) => return Err(error.into()),
        }
        let reason = format!("the dead-man's deadline of {seconds} s came without a commit");
        // A timer of systemd starts its unit again; we are what there is. Whatever keeps the prior away may pass.
        loop {
            match put_back(settings, arguments, &reason).await {
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

async fn put_back(
    settings: &LocalSettings,
    arguments: &RevertArgs,
    reason: &str,
) -> anyhow::Result<ExitCode> {
    let config = local::host_config(&settings.agent)?;
    let store = JournalStore::open(&config.state_dir)?;
    let keep_releases = config.keep_releases;
    let machine = Arc::new(Machine::new(config).context("cannot use AGENT_STATE_DIR")?);
    let (_nobody, instructions) = watch::channel(Instruction::Idle);
    let (executor, _) = Executor::new(machine, SystemClock, store, keep_releases, instructions);
    let attempt = arguments.attempt;
    let outcome = executor
        .revert_attempt(attempt, arguments.prior.clone(), reason)
        .await;
    let (outcome, code) = match outcome {
        RevertOutcome::Reverted(prior) => (format!("{prior} is back"), ExitCode::SUCCESS),
        RevertOutcome::Settled(phase) => {
            let phase = phase.to_string().replace('_', " ");
            (
                format!("nothing to do: the attempt is {phase}"),
                ExitCode::SUCCESS,
            )
        }
        RevertOutcome::Unknown => (
            "nothing to do: the journal knows no such attempt".to_owned(),
            ExitCode::SUCCESS,
        ),
        RevertOutcome::Stuck(why) => (why, ExitCode::FAILURE),
    };
    tracing::info!(attempt_id = %attempt, %outcome, "the revert is over");
    print(&format!("{attempt}: {outcome}\n"));
    Ok(code)
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
        let init = |otel: &OtelSettings| {
            slipway_telemetry::init("slipway-agent", &settings.log, otel, &settings.sentry)
        };
        // So are spans, but a collector's certificate that is gone must not cost the lines.
        let guard = init(&settings.otel).or_else(|_| init(&OtelSettings::default()));
        let done = work.await;
        drop(guard);
        done
    })
}
