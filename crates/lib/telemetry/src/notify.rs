//! Words to the service manager. Without one (`NOTIFY_SOCKET` unset) they go nowhere, which is fine.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Says it; a failure is logged, since the service manager may end a process that it does not hear from.
pub(crate) fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "cannot notify the service manager"
        );
    }
}

/// The time within which the service manager wants a sign of life, if it watches.
pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|period| !period.is_zero())
}

/// Sends a sign of life twice a period. This proves that the runtime still runs tasks.
pub(crate) async fn ping(period: Duration, stop: CancellationToken) {
    let mut ticks = interval((period / 2).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => notify(&NotifyState::Watchdog),
        }
    }
}
