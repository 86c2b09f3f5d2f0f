//! `command`: a program's exit status.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rustix::process::Signal;

use super::CheckFinding;
use crate::config::HostConfig;
use crate::text::last_lines;
use slipway_process::RunOutcome;

/// Signals for a program's own fault, and that of `abort`.
const CRASHES: [Signal; 7] = [
    Signal::ILL,
    Signal::TRAP,
    Signal::ABORT,
    Signal::BUS,
    Signal::FPE,
    Signal::SEGV,
    Signal::SYS,
];

/// A program that cannot be started, or that was killed from outside, such as by the kernel for lack of memory,
/// proves nothing. A crash counts against the closure, which brought the program.
pub(super) async fn run(config: &HostConfig, command: &[String], bound: Duration) -> CheckFinding {
    let Some((program, arguments)) = command.split_first() else {
        return CheckFinding::unknown("no command");
    };
    let mut command = config.command(program);
    command.args(arguments);
    let (outcome, output) = slipway_process::run(command, bound).await;
    let status = match outcome {
        RunOutcome::Exited(status) if status.success() => return CheckFinding::pass(),
        RunOutcome::Exited(status) => status,
        RunOutcome::Failed(error) => return CheckFinding::unknown(format!("cannot run {program}: {error}")),
        RunOutcome::TimedOut => {
            return CheckFinding::fail(format!("{program} did not end within {} s", bound.as_secs()));
        }
    };
    let Some(code) = status.code() else {
        let signal = status.signal().unwrap_or_default();
        return if CRASHES.iter().any(|crash| crash.as_raw() == signal) {
            CheckFinding::fail(format!("{program} crashed: killed by signal {signal}"))
        } else {
            CheckFinding::unknown(format!("{program} was killed by signal {signal}"))
        };
    };
    let said = last_lines(&output, 3);
    let colon = if said.is_empty() { "" } else { ": " };
    CheckFinding::fail(format!("{program} exited with status {code}{colon}{said}"))
}
