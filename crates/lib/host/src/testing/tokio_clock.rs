//! A clock that follows tokio's.

use slipway_domain::Timestamp;
use tokio::time::Instant;

use crate::clock::{BootMs, Clock};

/// A clock that tests move with `tokio::time`.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    began: Instant,
    booted: Option<Instant>,
}

impl TokioClock {
    /// Begins an hour after boot.
    #[must_use]
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            booted: None,
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
}
