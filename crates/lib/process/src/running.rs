//! A program that leads a process group, and takes the group with it when nobody waits for it any more.

use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::FusedFuture as _;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};

use crate::id::{GRACE, POLL_EVERY, ProcessGroup};

/// How long output is read on after the program ended: what it left running may hold the pipe for ever.
const DRAIN: Duration = Duration::from_millis(200);
/// How long a killed program is waited for. One that hangs in the kernel, on a disk that does not answer, ends when the
/// disk does.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// How long a program may take.
#[derive(Debug, Clone, Copy)]
pub struct RunLimits {
    /// From its start to its end.
    pub run: Duration,
    /// From SIGTERM, which it gets when that is over, to SIGKILL.
    pub grace: Duration,
    /// Whether what it left running in its group is killed when it has ended by itself.
    pub end_leftovers: bool,
}

impl From<Duration> for RunLimits {
    fn from(run: Duration) -> Self {
        Self {
            run,
            grace: GRACE,
            end_leftovers: false,
        }
    }
}

/// How a run of a program ended.
#[derive(Debug)]
pub enum RunOutcome {
    /// By itself, or by somebody else's signal.
    Exited(ExitStatus),
    /// It could not be started, or it printed more than its caller can take.
    Failed(io::Error),
    /// It ran for too long, and was ended with its process group.
    TimedOut,
}

impl RunOutcome {
    /// Whether it ended by itself and well.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }
}

/// A program that runs. When this is dropped before its end was seen, it is killed with its process group.
#[derive(Debug)]
pub struct RunningProgram {
    child: Child,
    /// The group's number, until its leader's end was seen: from then on it may be a stranger's.
    number: Option<Pid>,
    group: Option<ProcessGroup>,
}

impl RunningProgram {
    /// Starts the program as the leader of a process group: its number is what the group is killed by.
    pub fn spawn(mut command: Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        // The command holds the pipes' writing ends, and reading would not end before it lets go.
        drop(command);
        let number = child.id().and_then(|pid| i32::try_from(pid).ok());
        Ok(Self {
            child,
            number: number.and_then(Pid::from_raw),
            // The child may have ended by now. Nobody waited for it yet, so the number is still its own.
            group: number.and_then(ProcessGroup::of_child),
        })
    }

    /// Its number, until its end was seen.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Its standard input, once, where it was asked for.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.number = None;
        }
        Ok(status)
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.number = None;
        Ok(status)
    }

    /// Sends the signal to it alone. Nothing happens once its end was seen.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.number.map_or(Ok(()), |pid| Ok(kill_process(pid, signal)?))
    }

    /// Sends the signal to its group. Nothing happens once its end was seen.
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        self.number
            .map_or(Ok(()), |pid| Ok(kill_process_group(pid, signal)?))
    }

    /// Waits for its end within the limits, and reads meanwhile: a program that fills a pipe must be read to end.
    ///
    /// `reading` ends when all writers have closed the pipe. The program may do that early, and what it left running may
    /// never do it. When `reading` fails, the program is ended.
    pub async fn finish(
        mut self,
        limits: RunLimits,
        reading: impl Future<Output = io::Result<()>>,
    ) -> RunOutcome {
        let mut reading = pin!(reading.fuse());
        let waited = {
            let end_leftovers = limits.end_leftovers;
            let mut waiting = pin!(timeout(limits.run, async {
                if end_leftovers && self.wait_unreaped().await.is_ok() {
                    let _ = self.signal_group(Signal::KILL);
                }
                self.wait().await
            }));
            tokio::select! {
                biased;
                waited = &mut waiting => Ok(waited),
                read = &mut reading => match read {
                    Ok(()) => Ok(waiting.await),
                    Err(error) => Err(error),
                },
            }
        };
        match waited {
            Ok(Ok(Ok(status))) => {
                if !reading.is_terminated()
                    && let Ok(Err(error)) = timeout(DRAIN, reading).await
                {
                    return RunOutcome::Failed(error);
                }
                RunOutcome::Exited(status)
            }
            Ok(Ok(Err(error))) => RunOutcome::Failed(error),
            Ok(Err(_)) => {
                let mut ending = pin!(self.end(limits.grace));
                // What it prints when it is told to end is of use, and its last words may still be in the pipe.
                tokio::select! {
                    () = &mut ending => {
                        if !reading.is_terminated() {
                            let _ = timeout(DRAIN, reading).await;
                        }
                    }
                    _ = &mut reading => ending.await,
                }
                RunOutcome::TimedOut
            }
            Err(error) => {
                self.end(limits.grace).await;
                RunOutcome::Failed(error)
            }
        }
    }

    /// Sends the signal to it alone and waits so long for its end. Then what is left of its group is killed.
    pub async fn stop(mut self, signal: Signal, limit: Duration) {
        let _ = self.signal(signal);
        let _ = timeout(limit, self.wait_unreaped()).await;
        let _ = self.signal_group(Signal::KILL);
        wait_for_killed(self.wait()).await;
    }

    /// Waits for its end and does not reap it. Until then its number stays the group's. So the kernel can kill the whole
    /// group at once, also what a member starts meanwhile.
    async fn wait_unreaped(&self) -> io::Result<()> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while let Some(pid) = self.number
            && waitid(WaitId::Pid(pid), options)?.is_none()
        {
            sleep(POLL_EVERY).await;
        }
        Ok(())
    }

    /// Ends it with its group: SIGTERM, and SIGKILL after the grace. One that hangs in the kernel is not waited for.
    ///
    /// The group is told as one, so nobody slips through between two looks. What a member starts in order to clean up is
    /// not told to end again.
    async fn end(&mut self, grace: Duration) {
        let _ = self.signal_group(Signal::TERM);
        match &self.group {
            Some(group) => group.wait_for_end(grace).await,
            None => sleep(grace).await,
        }
        // Also where nobody was found: a member that starts another and ends is never there long enough to be found.
        let _ = self.signal_group(Signal::KILL);
        if let Some(group) = &self.group {
            group.wait_for_end(grace).await;
        }
        wait_for_killed(self.wait()).await;
    }
}

/// Waits for the end of a program that was killed, but not for ever. One that is left is reaped when it ends.
async fn wait_for_killed(end: impl Future<Output = io::Result<ExitStatus>>) {
    if timeout(LAST_WAIT, end).await.is_err() {
        tracing::warn!(
            seconds = LAST_WAIT.as_secs(),
            "a killed program has not ended; it hangs in the kernel"
        );
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        // The leader was not waited for, so nobody else can have its number.
        let _ = self.signal_group(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_killed_program_that_hangs_in_the_kernel_is_waited_for_within_a_bound() {
        let bounded = timeout(LAST_WAIT * 2, wait_for_killed(std::future::pending()));
        bounded.await.expect("it is waited for without end");
    }

    #[tokio::test]
    async fn a_program_of_an_unknown_group_has_its_grace_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("/bin/sh");
        let script =
            "trap 'sleep 0.3; echo > cleaned; exit' TERM; echo > ready; while :; do sleep 0.01; done";
        command.args(["-c", script]).current_dir(dir.path());
        let mut running = RunningProgram::spawn(command).unwrap();
        // Nothing is known of it where `/proc` cannot be read.
        running.group = None;
        while !dir.path().join("ready").exists() {
            sleep(Duration::from_millis(5)).await;
        }
        running.end(Duration::from_secs(2)).await;
        assert!(dir.path().join("cleaned").exists());
    }
}
