//! Processes by number, start and boot, so that a number that the kernel gave to somebody else is never taken for ours.

use std::sync::OnceLock;
use std::time::Duration;

use procfs::process::Stat;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal, test_kill_process_group,
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

/// How long a process may take to end after SIGTERM before it gets SIGKILL, where nobody says otherwise.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
pub(crate) const POLL_EVERY: Duration = Duration::from_millis(20);
/// Stands for a boot that has no name.
pub const UNKNOWN_BOOT: &str = "unknown";

/// The kernel's boot id: changes with every boot. [`UNKNOWN_BOOT`] where `/proc` cannot be read, which equals itself.
#[must_use]
pub fn boot_id() -> String {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    BOOT_ID
        .get_or_init(|| {
            procfs::sys::kernel::random::boot_id()
                .map_or_else(|_| UNKNOWN_BOOT.to_owned(), |id| id.trim().to_owned())
        })
        .clone()
}

/// One process, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: i32,
    /// When it began, in clock ticks since boot.
    pub start_time: u64,
    /// The boot in which that was.
    pub boot_id: String,
}

impl ProcessId {
    /// This process.
    #[must_use]
    pub fn own() -> Option<Self> {
        Self::of(i32::try_from(std::process::id()).ok()?)
    }

    /// The process that has this number now.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        Some(Self::from_stat(&stat(pid)?))
    }

    fn from_stat(stat: &Stat) -> Self {
        Self {
            pid: stat.pid,
            start_time: stat.starttime,
            boot_id: boot_id(),
        }
    }

    fn stat_if_alive(&self) -> Option<Stat> {
        stat(self.pid)
            .filter(|stat| stat.starttime == self.start_time && !matches!(stat.state, 'Z' | 'X'))
            .filter(|_| self.boot_id == boot_id())
    }

    /// Whether it still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.stat_if_alive().is_some()
    }

    /// When it began, in milliseconds by the kernel's boot clock.
    #[must_use]
    pub fn began_boot_ms(&self) -> u64 {
        self.start_time.saturating_mul(1000) / procfs::ticks_per_second()
    }

    /// Sends the signal to this process and to no other.
    pub fn signal(&self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return;
        };
        // The descriptor is tied to whoever has the number when it is opened; if that is ours, it stays ours.
        let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else {
            return;
        };
        if self.is_alive() {
            let _ = pidfd_send_signal(&fd, signal);
        }
    }

    /// Ends it: SIGTERM, and SIGKILL when it does not listen.
    pub async fn end(&self) {
        for signal in [Signal::TERM, Signal::KILL] {
            self.signal(signal);
            let deadline = Instant::now() + GRACE;
            while self.is_alive() {
                if Instant::now() >= deadline {
                    break;
                }
                sleep(POLL_EVERY).await;
            }
        }
    }

    /// Ends it with everything in the group that it leads. What went into a session of its own is left alone.
    /// A process that leads no group is ended alone.
    pub async fn end_group(&self) {
        match ProcessGroup::led_by(self) {
            Some(group) => group.end(GRACE).await,
            None => self.end().await,
        }
    }
}

/// The process group that a process leads, or led.
#[derive(Debug, Clone)]
pub(crate) struct ProcessGroup {
    leader: ProcessId,
    session: i32,
}

impl ProcessGroup {
    /// The group of a leader that still runs.
    pub(crate) fn led_by(leader: &ProcessId) -> Option<Self> {
        let stat = leader.stat_if_alive().filter(|stat| stat.pgrp == leader.pid)?;
        Some(Self {
            leader: leader.clone(),
            session: stat.session,
        })
    }

    /// The group of a child that leads one and was not waited for, even if it has ended.
    pub(crate) fn of_child(pid: i32) -> Option<Self> {
        let stat = stat(pid)?;
        Some(Self {
            leader: ProcessId::from_stat(&stat),
            session: stat.session,
        })
    }

    /// Who is in it, also those who have ended and are not reaped. Until the last one is, the kernel gives the group's and
    /// the session's numbers to nobody else. A member that starts another and ends may be missed.
    fn members(&self) -> Vec<ProcessId> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut pids: Vec<i32> = entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        // The newest first: they are the ones that may end during the look.
        pids.sort_unstable_by(|a, b| b.cmp(a));
        pids.into_iter()
            .filter_map(stat)
            .filter(|stat| {
                stat.pgrp == self.leader.pid
                    && stat.session == self.session
                    && stat.starttime >= self.leader.start_time
            })
            .map(|stat| ProcessId::from_stat(&stat))
            .collect()
    }

    /// Waits until everybody in it has ended, at most for the limit.
    pub(crate) async fn wait_for_end(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.members().iter().any(ProcessId::is_alive) && Instant::now() < deadline {
            sleep(POLL_EVERY).await;
        }
    }

    /// Whether anybody is in a group of this number. The kernel tells it of the group as one, so nobody is missed.
    fn exists(&self) -> bool {
        let number = Pid::from_raw(self.leader.pid);
        number.is_some_and(|number| test_kill_process_group(number) != Err(Errno::SRCH))
    }

    /// Sends the signal to the group as one: nobody can start another and escape. Only for a group of which somebody was
    /// just seen, so that the number is still its own.
    fn signal(&self, signal: Signal) {
        let number = Pid::from_raw(self.leader.pid);
        let _ = number.map(|number| kill_process_group(number, signal));
    }

    /// Ends a group whose leader is another's child and was just seen: SIGTERM, and SIGKILL after the grace.
    /// What a member starts in order to clean up is not told to end again.
    async fn end(&self, grace: Duration) {
        self.signal(Signal::TERM);
        self.wait_for_end(grace).await;
        let deadline = Instant::now() + grace;
        // A look that finds nobody proves nothing.
        while self.exists() && Instant::now() < deadline {
            if !self.members().is_empty() {
                self.signal(Signal::KILL);
                return self.wait_for_end(grace).await;
            }
            sleep(POLL_EVERY).await;
        }
    }
}

fn stat(pid: i32) -> Option<Stat> {
    procfs::process::Process::new(pid).ok()?.stat().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn id(child: &Child) -> ProcessId {
        ProcessId::of(i32::try_from(child.id()).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_process_is_ended_and_a_stranger_is_not() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = id(&child);
        assert!(id.is_alive());
        let stranger = ProcessId {
            start_time: id.start_time + 1,
            ..id.clone()
        };
        let earlier_boot = ProcessId {
            boot_id: "another".to_owned(),
            ..id.clone()
        };
        for other in [stranger, earlier_boot] {
            assert!(!other.is_alive());
            other.end().await;
            other.end_group().await;
        }
        assert!(id.is_alive());
        id.end().await;
        // Not waited for yet: a zombie does not run.
        assert!(!id.is_alive());
        child.wait().unwrap();
    }

    #[test]
    fn a_process_with_brackets_and_spaces_in_its_name_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join(") Z 1 (");
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg("60").spawn().unwrap();
        let id = id(&child);
        assert!(id.is_alive());
        id.signal(Signal::KILL);
        child.wait().unwrap();
        assert!(!id.is_alive());
    }

    #[test]
    fn this_process_began_a_moment_ago() {
        let own = ProcessId::own().unwrap();
        assert!(own.is_alive());
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let now = Duration::try_from(now).unwrap();
        let began = Duration::from_millis(own.began_boot_ms());
        let since = now.checked_sub(began).expect("it began in the past");
        assert!(since < Duration::from_hours(1), "{since:?}");
    }
}
