//! Processes in sessions of their own.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;

use slipway_domain::AttemptId;
use tokio::process::Child;

use super::RunnerError;
use crate::config::HostConfig;
use crate::door::Runnable;

/// Our own program, also when its file was replaced or removed since we started.
const OWN_EXE: &str = "/proc/self/exe";

/// Starts this agent's program with the arguments. The new process first leaves our session by itself. It does not
/// depend on us: tokio reaps it while we live, init afterwards.
pub(super) fn spawn(
    config: &HostConfig,
    log: &Path,
    arguments: &[String],
    env: Vec<(&'static str, String)>,
) -> Result<Child, RunnerError> {
    let output = || {
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(log)
            .map_or_else(|_| Stdio::null(), Stdio::from)
    };
    let mut command = tokio::process::Command::new(OWN_EXE);
    for name in &config.hidden_env {
        command.env_remove(name);
    }
    command
        .arg0("slipway-agent")
        .args(arguments)
        .envs(config.unit_env.iter().map(|(name, value)| (name, value)))
        .envs(env)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output())
        .stderr(output())
        .spawn()
        .map_err(|source| RunnerError::Spawn {
            program: config.agent_exe.display().to_string(),
            source,
        })
}

/// What follows `slipway-agent` on the watchdog's command line.
pub(super) fn deadman_arguments(attempt: AttemptId, prior: &Runnable, seconds: u32) -> Vec<String> {
    vec![
        "deadman".to_owned(),
        attempt.to_string(),
        seconds.to_string(),
        "--prior".to_owned(),
        prior.path().to_string(),
    ]
}
