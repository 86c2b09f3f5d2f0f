//! Programs that die with the agent: bounded, their output's end kept.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::process::ProcessId;
use crate::text::Tail;

/// What is kept of the output.
const TAIL_BYTES: usize = 16 * 1024;
/// How long output is read on after the program ended: what it left running may hold the pipe for ever.
const DRAIN: Duration = Duration::from_millis(100);

/// How a program ended.
#[derive(Debug)]
pub(crate) enum Ran {
    /// By itself.
    Ended(ExitStatus),
    /// It could not be started.
    NotStarted(io::Error),
    /// It ran for too long, and was killed with its process group.
    TimedOut,
}

/// Runs it to its end or the bound. When this is dropped before, the program is killed.
pub(crate) async fn run(mut command: Command, bound: Duration) -> (Ran, String) {
    let started = || -> io::Result<_> {
        let (reader, out) = io::pipe()?;
        command
            .stdout(Stdio::from(out.try_clone()?))
            .stderr(Stdio::from(out));
        let child = command.spawn()?;
        // The command holds the pipe's writing end, and reading would not end before it lets go.
        drop(command);
        let reader = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())?;
        Ok((child, reader))
    };
    let (mut child, mut reader) = match started() {
        Ok(started) => started,
        Err(error) => return (Ran::NotStarted(error), String::new()),
    };
    let leader = child.id().and_then(|pid| ProcessId::of(i32::try_from(pid).ok()?));
    let mut tail = Tail::new(TAIL_BYTES);
    let mut read = async || {
        let mut buffer = vec![0; 8 * 1024];
        while let Ok(count) = reader.read(&mut buffer).await {
            if count == 0 {
                break;
            }
            tail.push(&buffer[..count]);
        }
    };
    let waited = timeout(bound, async {
        // A program that fills the pipe must be read to end.
        tokio::select! {
            status = child.wait() => status,
            () = read() => child.wait().await,
        }
    })
    .await;
    let ran = match waited {
        Ok(Ok(status)) => Ran::Ended(status),
        Ok(Err(error)) => Ran::NotStarted(error),
        Err(_) => {
            if let Some(leader) = leader {
                leader.end(true).await;
            }
            let _ = child.wait().await;
            Ran::TimedOut
        }
    };
    let _ = timeout(DRAIN, read()).await;
    (ran, tail.text())
}
