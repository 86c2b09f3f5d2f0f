//! Finding and ending processes of a run, and no others.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::run_dir::MARKER;

/// How long processes that were asked to end may take before they are killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long killed processes may take to be gone from the process table.
const GONE: Duration = Duration::from_secs(5);

/// Ends every process of run `id`, whose folder is `folder`; returns how many there were.
///
/// Blocks for at most seven seconds: they are asked to end, and killed after two.
#[expect(
    clippy::must_use_candidate,
    reason = "the count is for messages; most callers want the effect"
)]
pub fn end_all(id: &str, folder: &Path) -> usize {
    let found = find(id, folder);
    if found.is_empty() {
        return 0;
    }
    signal_until_gone(id, folder, Signal::TERM, GRACE);
    signal_until_gone(id, folder, Signal::KILL, GONE);
    found.len()
}

/// The processes of run `id`, zombies and this process left out.
#[must_use]
pub fn find(id: &str, folder: &Path) -> Vec<Pid> {
    let groups = recorded_groups(folder);
    let own = rustix::process::getpid();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .filter(|pid| *pid != own && belongs(*pid, id, folder, &groups))
        .collect()
}

fn signal_until_gone(id: &str, folder: &Path, signal: Signal, bound: Duration) {
    let deadline = Instant::now() + bound;
    // Killed ones may have had children between two looks, so look again until nothing is left.
    loop {
        let found = find(id, folder);
        if found.is_empty() || Instant::now() > deadline {
            return;
        }
        let groups = recorded_groups(folder);
        for pid in found {
            // The descriptor pins the process: if the id was reused since the look, the second look says so.
            if let Ok(pinned) = pidfd_open(pid, PidfdFlags::empty())
                && belongs(pid, id, folder, &groups)
            {
                let _ = pidfd_send_signal(&pinned, signal);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn belongs(pid: Pid, id: &str, folder: &Path, groups: &[ProcessStat]) -> bool {
    let proc = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
    let Some(stat) = ProcessStat::read(&proc) else {
        return false;
    };
    if stat.state == 'Z' || stat.state == 'X' {
        return false;
    }
    if fs::read(proc.join("environ")).is_ok_and(|environ| carries(&environ, id)) {
        return true;
    }
    if fs::read_link(proc.join("exe")).is_ok_and(|exe| exe.starts_with(folder)) {
        return true;
    }
    // Servers that write their title over their environment: known by the group that we made for them. The
    // group's id may have been reused since, but not by something that also works in the run's folder.
    let in_folder = fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    in_folder
        && groups
            .iter()
            .any(|group| group.pid == stat.group && stat.started >= group.started)
}

fn carries(environ: &[u8], id: &str) -> bool {
    environ
        .split(|byte| *byte == 0)
        .filter_map(|entry| entry.strip_prefix(MARKER.as_bytes())?.strip_prefix(b"="))
        .any(|runs| runs.split(|byte| *byte == b':').any(|run| run == id.as_bytes()))
}

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStat {
    /// Process id; of a recorded one, also the id of the group it leads.
    pub pid: i32,
    /// The kernel's letter for its state.
    pub state: char,
    /// Process group id.
    pub group: i32,
    /// Start time in clock ticks since boot.
    pub started: u64,
}

impl ProcessStat {
    /// Reads it below `proc`, such as `/proc/1`; nothing when the process is gone.
    #[must_use]
    pub fn read(proc: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(proc.join("stat")).ok()?)
    }

    /// The name in the second field may contain anything, so fields are counted from its last parenthesis.
    #[must_use]
    pub fn parse(stat: &str) -> Option<Self> {
        let (head, tail) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        Some(Self {
            pid: head.split_whitespace().next()?.parse().ok()?,
            state: fields.first()?.chars().next()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

/// Notes in the run's folder that `pid` leads a process group of this run.
pub fn record(folder: &Path, name: &str, pid: u32) {
    let proc = Path::new("/proc").join(pid.to_string());
    if let Some(stat) = ProcessStat::read(&proc) {
        let line = format!("{} {}\n", stat.pid, stat.started);
        // Best effort: the marker finds all but servers that overwrite their environment.
        let _ = fs::write(folder.join("procs").join(format!("{name}-{pid}")), line);
    }
}

fn recorded_groups(folder: &Path) -> Vec<ProcessStat> {
    let parse = |text: String| {
        let (pid, started) = text.trim().split_once(' ')?;
        let pid = pid.parse().ok()?;
        Some(ProcessStat {
            pid,
            state: 'S',
            group: pid,
            started: started.parse().ok()?,
        })
    };
    fs::read_dir(folder.join("procs"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| parse(fs::read_to_string(entry.path()).ok()?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_run_is_recognised() {
        let environ = b"A=1\0SLIPWAY_DEV_RUN=aa:bb\0X_SLIPWAY_DEV_RUN=cc\0B=dd\0";
        assert!(carries(environ, "aa") && carries(environ, "bb"));
        assert!(!carries(environ, "a") && !carries(environ, "cc") && !carries(environ, "dd"));
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 1 40 40 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 777 0";
        let parsed = ProcessStat::parse(stat).unwrap();
        assert_eq!(
            (parsed.pid, parsed.state, parsed.group, parsed.started),
            (42, 'S', 40, 777)
        );
    }

    #[test]
    fn a_process_of_another_run_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut ours = sleeper("aaaa1111");
        let mut other = sleeper("bbbb2222");
        assert_eq!(end_all("aaaa1111", folder.path()), 1);
        assert!(!ours.wait().unwrap().success());
        assert!(
            other.try_wait().unwrap().is_none(),
            "the other run's process must live"
        );
        other.kill().unwrap();
        other.wait().unwrap();
    }

    fn sleeper(run: &str) -> std::process::Child {
        std::process::Command::new("sleep")
            .arg("60")
            .env(MARKER, run)
            .spawn()
            .unwrap()
    }
}
