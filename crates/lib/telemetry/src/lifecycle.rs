//! From ready to gone: signals, draining, and the service manager's view of it.

use std::future::Future;
use std::io;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::notify;

/// How a process came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Every task finished by itself.
    Drained,
    /// The grace was over, or a second signal came, while tasks were under way.
    Cut,
}

/// One process's way from ready to gone; clones are the same one.
///
/// SIGTERM or SIGINT cancels the soft token: accept nothing new, finish what is under way. After the grace, or at a
/// second signal, the hard token is cancelled: stop at once. A closed pipe is an error value and never a signal, since
/// Rust starts with SIGPIPE ignored.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
}

impl Lifecycle {
    /// Takes over SIGTERM and SIGINT, and answers the service manager's watchdog if it has one. Needs a Tokio runtime.
    ///
    /// `grace` is the time between the soft and the hard token.
    pub fn start(grace: Duration) -> io::Result<Self> {
        let signals = ShutdownSignals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        };
        let lifecycle = Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        tokio::spawn(lifecycle.clone().conduct(signals, grace));
        if let Some(period) = notify::watchdog() {
            tokio::spawn(notify::ping(period, lifecycle.hard()));
        }
        Ok(lifecycle)
    }

    /// Cancelled when the process is to accept nothing new and to finish what is under way.
    #[must_use]
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when the process is to stop at once.
    #[must_use]
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Begins the shutdown as a first signal would, for example because a task that all depends on has failed.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Runs a task that the shutdown waits for. It should end soon after the soft token, and must not outlive the hard.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Tells the service manager that the process serves.
    pub fn ready(&self) {
        notify::notify(&NotifyState::Ready);
    }

    /// Tells the service manager, and so `systemctl status`, what the process is about.
    pub fn status(&self, text: &str) {
        notify::notify(&NotifyState::Status(text));
    }

    /// Waits for the soft token, and then for every task or the hard token.
    pub async fn finished(&self) -> Shutdown {
        self.soft.cancelled().await;
        self.tasks.close();
        tokio::select! {
            biased;
            () = self.tasks.wait() => Shutdown::Drained,
            () = self.hard.cancelled() => Shutdown::Cut,
        }
    }

    async fn conduct(self, mut signals: ShutdownSignals, grace: Duration) {
        tokio::select! {
            name = signals.next() => tracing::info!(signal = name, "stopping"),
            () = self.soft.cancelled() => tracing::info!("stopping"),
        }
        notify::notify(&NotifyState::Stopping);
        self.soft.cancel();
        tokio::select! {
            name = signals.next() => tracing::warn!(signal = name, "stopping at once"),
            () = sleep(grace) => tracing::warn!(grace_seconds = grace.as_secs(), "the grace is over, stopping at once"),
        }
        self.hard.cancel();
    }
}

struct ShutdownSignals {
    term: Signal,
    int: Signal,
}

impl ShutdownSignals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}
