//! `supervise`: the process around a switch script; and `gate`: the script's own process, before it is the script.

use std::process::ExitCode;

use slipway_host::job::{SupervisedJob, gate_command, supervise as run, wait_at_gate};

use crate::cli::{GateArgs, SuperviseArgs};

/// Succeeds when the script did.
pub(crate) fn supervise(arguments: SuperviseArgs) -> anyhow::Result<ExitCode> {
    let mut command = arguments.command.into_iter();
    let job = SupervisedJob {
        name: arguments.name,
        bound: arguments.seconds,
        program: command.next().unwrap_or_default().into(),
        arguments: command.collect(),
        gate: gate_command,
        echo: arguments.echo,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let exit = runtime.block_on(run(&arguments.state_dir, &job))?;
    Ok(if exit.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns only when the script was not begun. Its supervisor was told why, or is gone.
pub(crate) fn gate(arguments: GateArgs) -> ExitCode {
    let mut command = arguments.command.into_iter();
    let program = command.next().unwrap_or_default();
    let arguments: Vec<String> = command.collect();
    match wait_at_gate(program.as_ref(), &arguments) {
        Err(_told) => ExitCode::FAILURE,
    }
}
