//! The dead-man of the one boot: a timer that the next boot has, whatever it boots.
//!
//! The transient timer of an activation ends with its boot. This one is a file in systemd's folder of persistent settings,
//! which comes before the units of any closure. It runs the prior's own agent, so it does not need the new one.

use std::fmt::Write as _;
use std::path::PathBuf;

use slipway_domain::AttemptId;

use super::{BootError, file};
use crate::config::HostConfig;
use crate::door::Runnable;
use crate::runner::prior_agent;

/// Anybody may read a unit.
const READABLE: u32 = 0o644;

/// Its name.
fn name(attempt: AttemptId) -> String {
    format!("slipway-deadman-{attempt}-boot")
}

struct Files {
    service: PathBuf,
    timer: PathBuf,
    wants: PathBuf,
}

fn files(config: &HostConfig, attempt: AttemptId) -> Files {
    let (units, name) = (&config.boot.units, name(attempt));
    Files {
        service: units.join(format!("{name}.service")),
        timer: units.join(format!("{name}.timer")),
        wants: units.join("timers.target.wants").join(format!("{name}.timer")),
    }
}

/// Every file of the dead-man of an attempt's one boot.
pub(crate) fn deadman_files(config: &HostConfig, attempt: AttemptId) -> Vec<PathBuf> {
    let Files {
        service,
        timer,
        wants,
    } = files(config, attempt);
    vec![service, timer, wants]
}

/// Writes it. From the next boot on it counts from the kernel's start.
pub(super) fn write(
    config: &HostConfig,
    attempt: AttemptId,
    prior: &Runnable,
    seconds: u32,
) -> Result<(), BootError> {
    let files = files(config, attempt);
    for folder in [Some(config.boot.units.as_path()), files.wants.parent()]
        .into_iter()
        .flatten()
    {
        slipway_durable::folder(folder, 0o755).map_err(|source| file(folder, source))?;
    }
    let about = format!("Slipway: the dead-man of attempt {attempt} after its one boot");
    let exe = prior_agent(config, prior).unwrap_or_else(|| config.agent_exe.clone());
    let mut service = format!(
        "[Unit]\nDescription={about}\nStartLimitIntervalSec=0\n\n[Service]\nType=exec\nKillMode=control-group\nTimeoutStopSec=15\nUMask=0077\nRestart=on-failure\nRestartSec=15\n"
    );
    for (name, value) in &config.unit_env {
        // Writing to a String cannot fail.
        let _ = writeln!(service, "Environment={}", quoted(&format!("{name}={value}")));
    }
    let _ = writeln!(
        service,
        "ExecStart={} revert {attempt} --prior {}",
        quoted(&exe.display().to_string()),
        prior.path()
    );
    let timer = format!("[Unit]\nDescription={about}\n\n[Timer]\nOnBootSec={seconds}s\nAccuracySec=1s\n");
    let put = |path: &PathBuf, text: &str| {
        slipway_durable::write(path, text.as_bytes(), READABLE).map_err(|source| file(path, source))
    };
    put(&files.service, &service)?;
    put(&files.timer, &timer)?;
    slipway_durable::link(&files.wants, &files.timer).map_err(|source| file(&files.wants, source))
}

/// Removes it. What is gone already is as good.
pub(super) fn remove(config: &HostConfig, attempt: AttemptId) -> Result<(), BootError> {
    let Files {
        service,
        timer,
        wants,
    } = files(config, attempt);
    for path in [wants, timer, service] {
        match slipway_durable::remove(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(file(&path, source)),
            _ => {}
        }
    }
    Ok(())
}

/// One word of a unit file, whatever is in it.
fn quoted(word: &str) -> String {
    let mut quoted = String::from("\"");
    for char in word.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '%' => quoted.push_str("%%"),
            '\n' => quoted.push_str("\\n"),
            _ => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
