//! `supervise`: the process around a switch script; and `gate`: the script's own process, before it is the script.

use std::process::ExitCode;

use slipway_host::job::{Supervised, gate_command, supervise as run, wait_at_gate};

use crate::cli::{Gate, Supervise};

/// Succeeds when the script did.
pub(crate) fn supervise(asked: Supervise) -> anyhow::Result<ExitCode> {
    let mut command = asked.command.into_iter();
    let job = Supervised {
        name: asked.name,
        bound: asked.seconds,
        program: command.next().unwrap_or_default().into(),
        arguments: command.collect(),
        gate: gate_command,
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

/// Returns only when the script was not begun. Its supervisor was told why, or is gone.
pub(crate) fn gate(asked: Gate) -> ExitCode {
    let mut command = asked.command.into_iter();
    let program = command.next().unwrap_or_default();
    let arguments: Vec<String> = command.collect();
    match wait_at_gate(program.as_ref(), &arguments) {
        Err(_told) => ExitCode::FAILURE,
    }
}
