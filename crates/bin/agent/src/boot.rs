//! `boot-once` and `boot-clear`: what the agent cannot do in its own unit, which may not write to `/boot`.

use std::future::Future;
use std::process::ExitCode;

use slipway_host::boot::{self, BootError, OnceJob};
use slipway_settings::LocalSettings;

use crate::cli::{BootArgs, BootOnceArgs};
use crate::local;

/// Succeeds when the next boot brings the closure, and the one after it the default.
pub(crate) fn once(settings: &LocalSettings, arguments: BootOnceArgs) -> anyhow::Result<ExitCode> {
    let config = local::host_config(&settings.agent)?;
    let job = OnceJob {
        attempt: arguments.boot.attempt,
        default: arguments.boot.default,
        closure: arguments.closure,
        prior: arguments.prior,
        deadman_seconds: arguments.deadman_seconds,
    };
    finish(boot::boot_once(&config, &job))
}

/// Succeeds when every boot brings the default.
pub(crate) fn clear(settings: &LocalSettings, arguments: &BootArgs) -> anyhow::Result<ExitCode> {
    let config = local::host_config(&settings.agent)?;
    finish(boot::boot_clear(&config, arguments.attempt, &arguments.default))
}

fn finish(work: impl Future<Output = Result<(), BootError>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)?;
    Ok(ExitCode::SUCCESS)
}
