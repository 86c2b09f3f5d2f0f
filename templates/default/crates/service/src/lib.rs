//! What systemd and a process say to each other. Without systemd all of it does nothing.

use std::io;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM or SIGINT. Made early: from then on neither ends the process by itself.
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits to be told to stop.
    pub async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Says that the work can begin, and from now on gives signs of life, if the unit asks for them (`WatchdogSec=`). They
/// come from the runtime that does the work: one that hangs gives none, and is started again.
pub fn ready() {
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    if let Some(limit) = sd_notify::watchdog_enabled() {
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(limit / 3);
            loop {
                beat.tick().await;
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
        });
    }
}

/// Says that no more work is begun.
pub fn stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}
