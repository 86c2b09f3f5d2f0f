//! Signals that ask the process to stop.

use std::future::Future;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{CliFailure, Exit};

/// Waits for the first of Ctrl-C, SIGTERM and SIGHUP, and says how the process ends then.
pub async fn asked() -> Exit {
    let (mut interrupt, mut terminate, mut hangup) = (
        listen(SignalKind::interrupt()),
        listen(SignalKind::terminate()),
        listen(SignalKind::hangup()),
    );
    tokio::select! {
        () = next(&mut interrupt) => Exit::Interrupted,
        () = next(&mut terminate) => Exit::Terminated,
        () = next(&mut hangup) => Exit::HungUp,
    }
}

/// Does the work until it is done or somebody asks to stop. What the work holds, such as files half made and programs
/// under way, is cleaned up either way.
///
/// Not around questions on the terminal: they block, so the signal would wait for the answer.
pub async fn or_stop<T>(work: impl Future<Output = Result<T, CliFailure>>) -> Result<T, CliFailure> {
    tokio::select! {
        done = work => done,
        exit = asked() => Err(CliFailure::stopped(exit)),
    }
}

/// None where the signal cannot be listened for: then it ends the process by itself.
fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).ok()
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
