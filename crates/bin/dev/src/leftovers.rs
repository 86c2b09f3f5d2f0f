//! Finding and ending processes of a run, and no others.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{Duration, Instant};

use procfs::process::Process;
use rustix::process::Signal;
use slipway_process::{ProcessId, boot_id};

use crate::run_dir::MARKER;

/// How long processes that were asked to end may take before they are killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long killed processes may take to be gone from the process table.
const GONE: Duration = Duration::from_secs(5);
/// The kernel gives a process no more room for its environment.
const MOST_ENVIRON_BYTES: u64 = 8 * 1024 * 1024;

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
pub fn find(id: &str, folder: &Path) -> Vec<ProcessId> {
    let groups = recorded_groups(folder);
    let own = ProcessId::own();
    let processes = procfs::process::all_processes().into_iter().flatten().flatten();
    processes
        // Its number may have gone to another process since the look; then that one is not known by its start.
        .filter_map(|process| Some((ProcessId::of(process.pid)?, process)))
        .filter(|(known, process)| belongs(process, id, folder, &groups) && known.is_alive())
        .map(|(known, _)| known)
        .filter(|known| Some(known) != own.as_ref())
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
        for process in found {
            process.signal(signal);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn belongs(process: &Process, id: &str, folder: &Path, groups: &[ProcessId]) -> bool {
    if environ(process).is_ok_and(|environ| carries(&environ, id)) {
        return true;
    }
    if process.exe().is_ok_and(|exe| exe.starts_with(folder)) {
        return true;
    }
    // Servers that write their title over their environment: known by the group that we made for them. The
    // group's id may have been reused since, but not by something that also works in the run's folder.
    let in_folder = process.cwd().is_ok_and(|cwd| cwd.starts_with(folder));
    in_folder
        && process.stat().is_ok_and(|stat| {
            groups
                .iter()
                .any(|group| group.pid == stat.pgrp && stat.starttime >= group.start_time)
        })
}

/// As it is: what a process wrote over it need not be text.
fn environ(process: &Process) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = process.open_relative("environ").map_err(io::Error::other)?;
    file.take(MOST_ENVIRON_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn carries(environ: &[u8], id: &str) -> bool {
    environ
        .split(|byte| *byte == 0)
        .filter_map(|entry| entry.strip_prefix(MARKER.as_bytes())?.strip_prefix(b"="))
        .any(|runs| runs.split(|byte| *byte == b':').any(|run| run == id.as_bytes()))
}

/// Notes in the run's folder that `pid` leads a process group of this run.
pub fn record(folder: &Path, name: &str, pid: u32) {
    if let Some(leader) = i32::try_from(pid).ok().and_then(ProcessId::of) {
        let line = format!("{} {}\n", leader.pid, leader.start_time);
        // Best effort: the marker finds all but servers that overwrite their environment.
        let _ = fs::write(folder.join("procs").join(format!("{name}-{pid}")), line);
    }
}

fn recorded_groups(folder: &Path) -> Vec<ProcessId> {
    let parse = |text: String| {
        let (pid, started) = text.trim().split_once(' ')?;
        Some(ProcessId {
            pid: pid.parse().ok()?,
            start_time: started.parse().ok()?,
            boot_id: boot_id(),
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
