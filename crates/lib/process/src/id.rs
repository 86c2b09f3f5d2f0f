//! Processes by number, start and boot, so that a number that the kernel gave to somebody else is never taken for ours.

use std::sync::OnceLock;
use std::time::Duration;

use procfs::process::Stat;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

/// How long a process may take to end after SIGTERM before it gets SIGKILL, where nobody says otherwise.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const POLL_EVERY: Duration = Duration::from_millis(20);
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
        end(GRACE, || Vec::from([self.clone()])).await;
    }

    /// Ends it with everything in the group that it leads. What went into a session of its own is left alone.
    pub async fn end_group(&self) {
        if let Some(group) = ProcessGroup::led_by(self) {
            group.end(GRACE).await;
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
        let stat = leader.stat_if_alive()?;
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

    /// Who runs of it. While one does, the kernel gives the group's and the session's numbers to nobody else.
    pub(crate) fn members(&self) -> Vec<ProcessId> {
        let processes = procfs::process::all_processes().into_iter().flatten().flatten();
        processes
            .filter_map(|process| process.stat().ok())
            .filter(|stat| {
                stat.pgrp == self.leader.pid
                    && stat.session == self.session
                    && stat.starttime >= self.leader.start_time
            })
            .map(|stat| ProcessId::from_stat(&stat))
            .collect()
    }

    /// Sends the signal to every member.
    pub(crate) fn signal(&self, signal: Signal) {
        for member in self.members() {
            member.signal(signal);
        }
    }

    /// Waits until everybody in it has ended, at most for the limit.
    pub(crate) async fn wait_for_end(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.members().iter().any(ProcessId::is_alive) && Instant::now() < deadline {
            sleep(POLL_EVERY).await;
        }
    }

    /// Signals member by member: the leader may have been waited for, and its number may be a stranger's.
    async fn end(&self, grace: Duration) {
        end(grace, || {
            let mut all = self.members();
            // A process that leads no group is ended alone.
            if !all.contains(&self.leader) {
                all.push(self.leader.clone());
            }
            all
        })
        .await;
    }
}

/// Tells everybody once to end, newcomers too; after the grace it is SIGKILL.
async fn end(grace: Duration, members: impl Fn() -> Vec<ProcessId>) {
    for signal in [Signal::TERM, Signal::KILL] {
        let deadline = Instant::now() + grace;
        let mut signalled: Vec<ProcessId> = Vec::new();
        loop {
            let mut alive = members();
            alive.retain(ProcessId::is_alive);
            if alive.is_empty() {
                return;
            }
            for process in alive.iter().filter(|process| !signalled.contains(process)) {
                process.signal(signal);
            }
            signalled = alive;
            if Instant::now() >= deadline {
                break;
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
