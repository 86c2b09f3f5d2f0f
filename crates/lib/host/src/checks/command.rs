//! `command`: a program's exit status.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::Finding;
use crate::config::HostConfig;
use crate::process::ProcessId;
use crate::text::{Tail, last_lines};

/// What is kept of the output, for the message.
const TAIL_BYTES: usize = 2048;
/// How long output is read on after the program ended.
const DRAIN: Duration = Duration::from_millis(100);

/// A program that cannot be started, or that something killed, is evidence of nothing.
pub(super) async fn run(config: &HostConfig, command: &[String], bound: Duration) -> Finding {
    let Some((program, arguments)) = command.split_first() else {
        return Finding::unknown("no command");
    };
    let cannot = |error: std::io::Error| Finding::unknown(format!("cannot run {program}: {error}"));
    let pipes = std::io::pipe().and_then(|(reader, writer)| Ok((reader, writer.try_clone()?, writer)));
    let (reader, out, err) = match pipes {
        Ok(pipes) => pipes,
        Err(error) => return cannot(error),
    };
    let spawned = {
        let mut command = config.command(program);
        command
            .args(arguments)
            .stdout(Stdio::from(out))
            .stderr(Stdio::from(err));
        command.spawn()
    };
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return cannot(error),
    };
    let mut reader = match tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into()) {
        Ok(reader) => reader,
        Err(error) => return cannot(error),
    };
    let leader = child.id().and_then(|pid| ProcessId::of(i32::try_from(pid).ok()?));
    let mut tail = Tail::new(TAIL_BYTES);
    let mut read = async || {
        let mut buffer = [0; 1024];
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
    let _ = timeout(DRAIN, read()).await;
    match waited {
        Ok(Ok(status)) if status.success() => Finding::pass(),
        Ok(Ok(status)) => {
            let said = last_lines(&tail.text(), 3);
            match (status.code(), status.signal()) {
                (Some(code), _) if said.is_empty() => {
                    Finding::fail(format!("{program} exited with status {code}"))
                }
                (Some(code), _) => Finding::fail(format!("{program} exited with status {code}: {said}")),
                (None, signal) => Finding::unknown(format!(
                    "{program} was killed by signal {}",
                    signal.unwrap_or_default()
                )),
            }
        }
        Ok(Err(error)) => cannot(error),
        Err(_) => {
            if let Some(leader) = leader {
                leader.end(true).await;
            }
            let _ = child.wait().await;
            Finding::fail(format!("{program} did not end within {} s", bound.as_secs()))
        }
    }
}
