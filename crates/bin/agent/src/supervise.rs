//! `supervise`: the process around a switch script.

use std::process::ExitCode;

use slipway_host::job::{Supervised, supervise as run};

use crate::cli::Supervise;

/// Succeeds when the script did.
pub(crate) fn supervise(asked: Supervise) -> anyhow::Result<ExitCode> {
    let mut command = asked.command.into_iter();
    let job = Supervised {
        name: asked.name,
        bound: asked.seconds,
        program: command.next().unwrap_or_default().into(),
        arguments: command.collect(),
        echo: asked.echo,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let exit = runtime.block_on(run(&asked.state_dir, &job))?;
    Ok(if exit.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
