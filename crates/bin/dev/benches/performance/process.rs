//! What processes take of the machine, from /proc.

use procfs::process::{Process, all_processes};

/// What a process and all that it started take.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds of a processor, of those that ended too.
    pub(crate) cpu_seconds: f64,
    /// MiB, with shared pages divided among those that share them.
    pub(crate) memory_mib: f64,
}

impl Usage {
    /// Of this process and its descendants.
    pub(crate) fn of(pid: u32) -> Self {
        let everyone: Vec<(i32, i32)> = all_processes()
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|process| Some((process.pid, process.stat().ok()?.ppid)))
            .collect();
        let mut family: Vec<i32> = i32::try_from(pid).into_iter().collect();
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            next += 1;
            family.extend(
                everyone
                    .iter()
                    .filter(|(_, of)| *of == parent)
                    .map(|(pid, _)| *pid),
            );
        }
        let first = family.first().copied();
        let mut usage = Self::default();
        for pid in family {
            let Ok(process) = Process::new(pid) else { continue };
            if let Ok(stat) = process.stat() {
                // Those that ended count with whoever waited for them.
                let ended = if Some(pid) == first {
                    stat.cutime + stat.cstime
                } else {
                    0
                };
                let ticks = stat.utime + stat.stime + u64::try_from(ended).unwrap_or(0);
                usage.cpu_seconds += ticks as f64 / procfs::ticks_per_second() as f64;
            }
            if let Ok(rollup) = process.smaps_rollup() {
                let maps = rollup.memory_map_rollup.iter();
                let bytes: u64 = maps.filter_map(|map| map.extension.map.get("Pss")).sum();
                usage.memory_mib += bytes as f64 / 1024.0 / 1024.0;
            }
        }
        usage
    }

    /// What was used since then.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            ..self
        }
    }
}
