//! Processes by pid and start time, so that a number that the kernel gave to somebody else is never taken for ours.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::boot_id::boot_id;
use crate::clock::BootMs;

/// How long a process may take to end after SIGTERM before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

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
        Some(Self {
            pid,
            start_time: stat(pid)?.start_time,
            boot_id: boot_id(),
        })
    }

    /// Whether it still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.boot_id == boot_id()
            && stat(self.pid)
                .is_some_and(|stat| stat.start_time == self.start_time && !matches!(stat.state, 'Z' | 'X'))
    }

    /// When it began, by the kernel's boot clock.
    #[must_use]
    pub const fn began(&self) -> BootMs {
        /// What the kernel calls a clock tick towards programs, on every machine that Nix knows.
        const MS_PER_TICK: u64 = 10;
        BootMs(self.start_time.saturating_mul(MS_PER_TICK))
    }

    /// Sends the signal to this process and to no other.
    fn signal(&self, signal: Signal) {
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

    /// Ends it: SIGTERM, and SIGKILL when it does not listen. With `group`, everything in the group that it leads; what
    /// went into a session of its own is left alone.
    pub async fn end(&self, group: bool) {
        // While a member lives, the kernel gives the group's and the session's numbers to nobody else.
        let session = self
            .is_alive()
            .then(|| stat(self.pid).map(|stat| stat.session))
            .flatten();
        let members = || -> Vec<Self> {
            let mut all = vec![self.clone()];
            if let (true, Some(session)) = (group, session) {
                all.extend(members(self.pid, session));
            }
            all.retain(Self::is_alive);
            all
        };
        for signal in [Signal::TERM, Signal::KILL] {
            let mut left = GRACE;
            let mut told: Vec<Self> = Vec::new();
            loop {
                let alive = members();
                if alive.is_empty() {
                    return;
                }
                for process in alive.iter().filter(|process| !told.contains(process)) {
                    process.signal(signal);
                }
                told = alive;
                if left.is_zero() {
                    break;
                }
                tokio::time::sleep(LOOK_EVERY).await;
                left = left.saturating_sub(LOOK_EVERY);
            }
        }
    }
}

/// The processes of a group.
fn members(group: i32, session: i32) -> Vec<ProcessId> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = stat(pid)?;
            (stat.group == group && stat.session == session).then(|| ProcessId {
                pid,
                start_time: stat.start_time,
                boot_id: boot_id(),
            })
        })
        .collect()
}

struct Stat {
    state: char,
    group: i32,
    session: i32,
    start_time: u64,
}

/// What `/proc/PID/stat` says. The name in it may hold spaces and brackets.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // proc(5) counts from 1, and the name was field 2.
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        state: field(3)?.chars().next()?,
        group: field(5)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        start_time: field(22)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::clock::{Clock, SystemClock};

    #[tokio::test]
    async fn a_process_is_ended_and_a_stranger_is_not() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcessId::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(id.is_alive());
        let stranger = ProcessId {
            start_time: id.start_time + 1,
            ..id.clone()
        };
        assert!(!stranger.is_alive());
        stranger.end(true).await;
        let earlier_boot = ProcessId {
            boot_id: "another".to_owned(),
            ..id.clone()
        };
        earlier_boot.end(true).await;
        assert!(id.is_alive());
        id.end(false).await;
        // Not waited for yet: a zombie does not run.
        assert!(!id.is_alive());
        child.wait().unwrap();
    }

    #[test]
    fn this_process_runs_since_a_moment_ago() {
        let own = ProcessId::own().unwrap();
        assert!(own.is_alive());
        let age = own.began().left(SystemClock.boot());
        assert_eq!(age, Duration::ZERO, "it began in the past");
        let since = SystemClock.boot().left(own.began());
        assert!(since < Duration::from_hours(1), "{since:?}");
    }
}
