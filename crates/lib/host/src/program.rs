//! Programs that die with the agent: bounded, their output's end kept.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::process::ProcessId;
use crate::text::Tail;

/// What is kept of the output.
const TAIL_BYTES: usize = 16 * 1024;
/// The longest answer that is kept whole: the description of a closure of tens of thousands of paths.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// How long output is read on after the program ended: what it left running may hold the pipe for ever.
const DRAIN: Duration = Duration::from_millis(100);

/// How long to wait for a killed program. A program that hangs in the kernel, on a disk without an answer, only dies
/// when the disk answers.
const LAST_WAIT: Duration = Duration::from_secs(5);

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

impl Ran {
    /// Whether it ended by itself and well.
    pub(crate) fn is_success(&self) -> bool {
        matches!(self, Self::Ended(status) if status.success())
    }
}

/// What a program said on its standard output, apart from its complaints.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) ran: Ran,
    pub(crate) said: Vec<u8>,
    pub(crate) complaints: String,
}

/// Runs it to its end or the bound, and keeps the end of all that it prints. When this is dropped before, the program
/// and its process group are killed.
pub(crate) async fn run(mut command: Command, bound: Duration) -> (Ran, String) {
    let started = || -> io::Result<_> {
        let (reader, out) = io::pipe()?;
        command
            .stdout(Stdio::from(out.try_clone()?))
            .stderr(Stdio::from(out));
        Ok((Running::spawn(command)?, receiver(reader.into())?))
    };
    let (running, mut reader) = match started() {
        Ok(started) => started,
        Err(error) => return (Ran::NotStarted(error), String::new()),
    };
    let mut tail = Tail::new(TAIL_BYTES);
    let ran = running
        .finish(bound, read(&mut reader, |bytes| tail.push(bytes)))
        .await;
    let _ = timeout(DRAIN, read(&mut reader, |bytes| tail.push(bytes))).await;
    (ran, tail.text())
}

/// As [`run`], with standard output kept whole.
pub(crate) async fn ask(mut command: Command, bound: Duration) -> Answer {
    let started = || -> io::Result<_> {
        let (out_reader, out) = io::pipe()?;
        let (err_reader, err) = io::pipe()?;
        command.stdout(Stdio::from(out)).stderr(Stdio::from(err));
        let running = Running::spawn(command)?;
        Ok((
            running,
            receiver(out_reader.into())?,
            receiver(err_reader.into())?,
        ))
    };
    let mut said = Vec::new();
    let mut tail = Tail::new(TAIL_BYTES);
    let (running, mut out, mut err) = match started() {
        Ok(started) => started,
        Err(error) => {
            return Answer {
                ran: Ran::NotStarted(error),
                said,
                complaints: String::new(),
            };
        }
    };
    let mut read_both = async || {
        let keep = |bytes: &[u8]| {
            let room = ANSWER_BYTES.saturating_sub(said.len());
            said.extend_from_slice(&bytes[..bytes.len().min(room)]);
        };
        tokio::join!(read(&mut out, keep), read(&mut err, |bytes| tail.push(bytes)));
    };
    let ran = running.finish(bound, read_both()).await;
    let _ = timeout(DRAIN, read_both()).await;
    Answer {
        ran,
        said,
        complaints: tail.text(),
    }
}

fn receiver(reader: OwnedFd) -> io::Result<Receiver> {
    Receiver::from_owned_fd(reader)
}

async fn read(reader: &mut Receiver, mut keep: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(count) = reader.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        keep(&buffer[..count]);
    }
}

/// A program that leads its process group, and takes the group with it when nobody waits for it any more.
struct Running {
    child: Child,
    /// The group's number, until its end was seen: from then on it may be a stranger's.
    group: Option<Pid>,
}

impl Running {
    fn spawn(mut command: Command) -> io::Result<Self> {
        // Ours must be the leader: its number is what the group is killed by.
        let child = command.process_group(0).spawn()?;
        // The command holds the pipes' writing ends, and reading would not end before it lets go.
        drop(command);
        let group = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        Ok(Self { child, group })
    }

    async fn finish(mut self, bound: Duration, reading: impl Future<Output = ()>) -> Ran {
        let leader = self.group.and_then(|pid| ProcessId::of(pid.as_raw_pid()));
        let waited = timeout(bound, async {
            // A program that fills the pipe must be read to end.
            tokio::select! {
                status = self.child.wait() => status,
                () = reading => self.child.wait().await,
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
                wait_for_killed(self.child.wait()).await;
                Ran::TimedOut
            }
        };
        self.group = None;
        ran
    }
}

/// Waits for the end of a program that was killed, but not for ever. One that is left is reaped when it ends.
pub(crate) async fn wait_for_killed(end: impl Future<Output = io::Result<ExitStatus>>) {
    if timeout(LAST_WAIT, end).await.is_err() {
        tracing::warn!(
            seconds = LAST_WAIT.as_secs(),
            "a killed program has not ended; it hangs in the kernel"
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The leader was not waited for, so nobody else can have its number.
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A shell that starts a child and waits for it; both write their pids down.
    fn family(dir: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        let script = "trap '' TERM; sleep 1000 & echo $! > child; echo $$ > leader; wait; wait";
        command.args(["-c", script]).current_dir(dir).kill_on_drop(true);
        command
    }

    async fn members(dir: &Path) -> [ProcessId; 2] {
        let read = |name: &str| {
            let text = std::fs::read_to_string(dir.join(name)).ok()?;
            ProcessId::of(text.trim().parse().ok()?)
        };
        let wait = async {
            loop {
                if let (Some(leader), Some(child)) = (read("leader"), read("child")) {
                    return [leader, child];
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_mins(1), wait).await.unwrap()
    }

    async fn gone(process: &ProcessId) {
        let wait = async {
            while process.is_alive() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_mins(1), wait).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_killed_program_that_hangs_in_the_kernel_is_waited_for_within_a_bound() {
        let bounded = timeout(LAST_WAIT * 2, wait_for_killed(std::future::pending()));
        bounded.await.expect("it is waited for without end");
    }

    #[tokio::test]
    async fn a_program_that_is_dropped_takes_its_children_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let far = Duration::from_hours(1);
        for asks in [false, true] {
            let (path, command) = (dir.path(), family(dir.path()));
            let [leader, child] = if asks {
                tokio::select! {
                    answer = ask(command, far) => panic!("{answer:?}"),
                    members = members(path) => members,
                }
            } else {
                tokio::select! {
                    (ran, said) = run(command, far) => panic!("{ran:?} {said}"),
                    members = members(path) => members,
                }
            };
            gone(&leader).await;
            gone(&child).await;
            for name in ["leader", "child"] {
                std::fs::remove_file(path.join(name)).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn what_a_program_left_running_when_it_ended_is_left_alone() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 1000 >/dev/null 2>&1 & echo $!"]);
        let answer = ask(command, Duration::from_mins(1)).await;
        assert!(answer.ran.is_success(), "{answer:?}");
        let pid = String::from_utf8(answer.said).unwrap().trim().parse().unwrap();
        let left = ProcessId::of(pid).unwrap();
        assert!(left.is_alive());
        left.end(false).await;
    }

    #[tokio::test]
    async fn an_answer_is_kept_whole_and_apart_from_complaints() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "head -c 300000 /dev/zero | tr '\\0' x; echo oh >&2"]);
        let answer = ask(command, Duration::from_mins(1)).await;
        assert_eq!((answer.said.len(), answer.complaints.as_str()), (300_000, "oh\n"));
    }
}
