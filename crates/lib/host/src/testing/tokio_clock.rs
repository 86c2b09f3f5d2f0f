//! A clock that follows tokio's.

use std::time::Duration;

use slipway_domain::Timestamp;
use tokio::time::Instant;

use crate::clock::{BootMs, Clock};

/// A clock that tests move with `tokio::time`.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    began: Instant,
    booted: Option<Instant>,
    container_booted: Option<Instant>,
}

impl TokioClock {
    /// Begins an hour after boot.
    #[must_use]
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            booted: None,
            container_booted: None,
        }
    }

    /// The clock of the boot that begins now.
    #[must_use]
    pub fn rebooted(self) -> Self {
        Self {
            booted: Some(Instant::now()),
            ..self
        }
    }

    /// The clock of a container that boots now: its machine's boot time goes on.
    #[must_use]
    pub fn container_rebooted(self) -> Self {
        Self {
            container_booted: Some(Instant::now()),
            ..self
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn wall(&self) -> Timestamp {
        let since = chrono::TimeDelta::from_std(self.began.elapsed()).unwrap_or_default();
        Timestamp::from_timestamp(1_800_000_000, 0).unwrap_or_default() + since
    }

    fn boot(&self) -> BootMs {
        match self.booted {
            Some(booted) => BootMs(0).after(booted.elapsed()),
            None => BootMs(3_600_000).after(self.began.elapsed()),
        }
    }

    fn since_boot(&self) -> Duration {
        self.container_booted
            .map_or_else(|| Duration::from_millis(self.boot().0), |booted| booted.elapsed())
    }
}
