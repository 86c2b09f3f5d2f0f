//! A script waits behind this gate until its process is noted.
//!
//! The note of its process leads to a script whose supervisor was killed. The note takes the process's number, so the
//! process must be there before the note, and the script must not run before it. The supervisor therefore starts its own
//! program as a *gate*, which waits for the word and then becomes the script. When the supervisor dies before it gave
//! the word, the gate ends and the script never runs.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The word: a line, so that a shell can be a gate as well.
const WORD: &[u8] = b"\n";
/// The longest complaint of a gate that could not become its script.
const COMPLAINT_BYTES: u64 = 1024;

/// The supervisor's end.
pub(super) struct ScriptGate {
    stream: tokio::net::UnixStream,
}

impl ScriptGate {
    /// A gate, and what its process needs as standard input.
    pub(super) fn new() -> io::Result<(Self, Stdio)> {
        let (ours, its) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let stream = tokio::net::UnixStream::from_std(ours)?;
        Ok((Self { stream }, OwnedFd::from(its).into()))
    }

    /// Lets the script run, and returns once it does. `Err` when the gate could not become the script.
    pub(super) async fn open(mut self) -> io::Result<()> {
        self.stream.write_all(WORD).await?;
        // The gate's end closes when it becomes the script.
        let mut complaint = String::new();
        (&mut self.stream)
            .take(COMPLAINT_BYTES)
            .read_to_string(&mut complaint)
            .await?;
        if complaint.is_empty() {
            Ok(())
        } else {
            Err(io::Error::other(complaint))
        }
    }
}

/// Starts our own program as a gate, also when its file was replaced or removed since we started.
#[must_use]
pub fn gate_command() -> tokio::process::Command {
    let mut command = tokio::process::Command::new("/proc/self/exe");
    command.args(["gate", "--"]);
    command
}

/// The other end: waits at standard input for the word, and becomes the program. Returns only when it cannot.
pub fn wait_at_gate(program: &Path, arguments: &[String]) -> io::Result<Infallible> {
    // Closes when the program takes our place.
    let mut supervisor = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    supervisor.read_exact(&mut [0; WORD.len()])?;
    let error = Command::new(program).args(arguments).stdin(Stdio::null()).exec();
    supervisor.write_all(error.to_string().as_bytes())?;
    Err(error)
}
