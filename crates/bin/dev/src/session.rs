//! A run under the signals that end it.

use std::path::Path;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cleanup;
use crate::run::Run;
use crate::say::say;

/// A signal asked us to stop; not a failure, but not a success either.
#[derive(Debug)]
pub struct Interrupted {
    /// Its number.
    pub signal: i32,
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stopped by signal {}", self.signal)
    }
}

impl std::error::Error for Interrupted {}

/// Cleans up after dead runs, does `body` in a new run, and ends it, also when a signal or an error does.
/// A second signal while it is ending kills what is left at once.
pub async fn with_run<T>(base: &Path, body: impl AsyncFnOnce(&Run) -> Result<T>) -> Result<T> {
    let mut signals = Signals::listen()?;
    std::fs::create_dir_all(base).with_context(|| format!("cannot create {}", base.display()))?;
    for dead in cleanup::dead_runs(base)? {
        say(&format!(
            "cleaned up after the killed run {} ({} processes)",
            dead.id, dead.processes
        ));
    }
    let run = Run::create(base)?;
    let result = tokio::select! {
        result = body(&run) => result,
        signal = signals.next() => Err(Interrupted { signal }.into()),
    };
    let interrupted = result.as_ref().is_err_and(anyhow::Error::is::<Interrupted>);
    if interrupted {
        say("stopping: all that was started ends, and its files go; another Ctrl-C kills it at once");
    } else if result.is_err()
        && let Some(logs) = run.keep_logs()
    {
        say(&format!("the logs of this run are in {}", logs.display()));
    }
    tokio::select! {
        closed = run.close() => {
            closed?;
            if interrupted {
                say("stopped: nothing of it is left");
            }
            result
        }
        signal = signals.next() => Err(Interrupted { signal }.into()),
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.hangup.recv() => SignalKind::hangup().as_raw_value(),
        }
    }
}
