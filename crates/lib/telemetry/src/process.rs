//! The process's own numbers from `/proc`, under the names that Prometheus' own clients use.

use metrics::{Unit, describe_gauge, gauge};
use procfs::process::{LimitValue, Process};

const START_TIME: &str = "process_start_time_seconds";
const OPEN_FDS: &str = "process_open_fds";
const MAX_FDS: &str = "process_max_fds";
const RESIDENT_MEMORY: &str = "process_resident_memory_bytes";
const CPU: &str = "process_cpu_seconds_total";

pub(crate) fn describe() {
    describe_gauge!(
        START_TIME,
        Unit::Seconds,
        "Start of the process, in seconds since 1970."
    );
    describe_gauge!(OPEN_FDS, Unit::Count, "Open file descriptors.");
    describe_gauge!(MAX_FDS, Unit::Count, "The limit of open file descriptors.");
    describe_gauge!(RESIDENT_MEMORY, Unit::Bytes, "Resident memory.");
    describe_gauge!(
        CPU,
        Unit::Seconds,
        "Processor time used, in user and system mode."
    );
}

/// Brings the numbers up to date. What cannot be read is left out.
pub(crate) fn record() {
    let Ok(process) = Process::myself() else {
        return;
    };
    let stat = process.stat().ok();
    let cpu = stat
        .as_ref()
        .map(|stat| seconds(stat.utime) + seconds(stat.stime));
    set(CPU, cpu);
    let boot = procfs::boot_time_secs().ok().map(number);
    let since_boot = stat.as_ref().map(|stat| seconds(stat.starttime));
    set(START_TIME, boot.zip(since_boot).map(|(boot, since)| boot + since));
    let kibibytes = process.status().ok().and_then(|status| status.vmrss);
    set(
        RESIDENT_MEMORY,
        kibibytes.map(|kibibytes| number(kibibytes) * 1024.0),
    );
    let limits = process.limits().ok();
    let max_fds = limits.and_then(|limits| match limits.max_open_files.soft_limit {
        LimitValue::Value(most) => Some(number(most)),
        LimitValue::Unlimited => None,
    });
    set(MAX_FDS, max_fds);
    // The directory being read is open itself.
    let open = process.fd_count().ok();
    set(OPEN_FDS, open.map(|open| number(open.saturating_sub(1) as u64)));
}

fn set(name: &'static str, value: Option<f64>) {
    if let Some(value) = value {
        gauge!(name).set(value);
    }
}

fn seconds(ticks: u64) -> f64 {
    number(ticks) / number(procfs::ticks_per_second())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no number of a process comes near 2^53"
)]
const fn number(value: u64) -> f64 {
    value as f64
}
