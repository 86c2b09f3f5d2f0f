//! What systemd says of itself, and of the clock.

use std::path::Path;
use std::time::Duration;

use slipway_domain::facts::SystemdState;

use super::Places;
use crate::checks;
use crate::config::HostConfig;
use tokio::time::timeout;

/// It answers at once or not at all.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// Such as `running`, with the units that failed. Nothing where systemd does not run.
pub(super) async fn state(config: &HostConfig, places: &Places<'_>) -> Option<SystemdState> {
    if !Path::new(places.systemd).is_dir() {
        return None;
    }
    let mut command = config.command("systemctl");
    command.arg("is-system-running");
    // It says the state, and ends with 0 only if that is `running`.
    let answer = slipway_process::capture(command, ASK_WITHIN).await;
    let state = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    if state.is_empty() || state.contains(char::is_whitespace) {
        return None;
    }
    let failed = timeout(ASK_WITHIN, checks::failed_units(config)).await.ok()??;
    Some(SystemdState {
        state,
        failed_units: failed.into_iter().collect(),
    })
}

/// Whether the kernel's clock is kept right, by whichever service.
pub(super) async fn synchronised(config: &HostConfig, places: &Places<'_>) -> Option<bool> {
    if !Path::new(places.systemd).is_dir() {
        return None;
    }
    let mut command = config.command("timedatectl");
    command.args(["show", "--property=NTPSynchronized", "--value"]);
    let answer = slipway_process::capture(command, ASK_WITHIN).await;
    match String::from_utf8_lossy(&answer.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}
