//! The process's own numbers from `/proc`, under the names that Prometheus' own clients use.

use std::fs;

use metrics::{Unit, describe_gauge, gauge};

const START_TIME: &str = "process_start_time_seconds";
const OPEN_FDS: &str = "process_open_fds";
const MAX_FDS: &str = "process_max_fds";
const RESIDENT_MEMORY: &str = "process_resident_memory_bytes";
const CPU: &str = "process_cpu_seconds_total";

/// Ticks a second in `/proc`: `USER_HZ`, which the kernel's interface fixes at 100 on every platform that we build for.
const TICKS: f64 = 100.0;

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
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    set(START_TIME, start_time(&stat, &boot));
    set(CPU, cpu_seconds(&stat));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    set(RESIDENT_MEMORY, resident_bytes(&status));
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    set(MAX_FDS, max_fds(&limits));
    // The directory being read is open itself.
    let open = fs::read_dir("/proc/self/fd").map(|fds| fds.count().saturating_sub(1));
    set(
        OPEN_FDS,
        open.ok().and_then(|open| u32::try_from(open).ok()).map(f64::from),
    );
}

fn set(name: &'static str, value: Option<f64>) {
    if let Some(value) = value {
        gauge!(name).set(value);
    }
}

/// Field `number` of `/proc/self/stat`, counted from 1 as in proc(5). The second field is the program's name in
/// parentheses, which may itself hold spaces and parentheses.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace()
        .nth(number.checked_sub(3)?)?
        .parse()
        .ok()
}

fn start_time(stat: &str, boot: &str) -> Option<f64> {
    let boot: f64 = boot
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(boot + field(stat, 22)? / TICKS)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS)
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

fn max_fds(limits: &str) -> Option<f64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_spaces_and_parentheses_is_skipped() {
        let stat = format!(
            "7 (a) b (c)) S {}",
            (4..=30).map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
        );
        assert_eq!(field(&stat, 14), Some(14.0));
        assert_eq!(cpu_seconds(&stat), Some(0.29));
        assert_eq!(start_time(&stat, "cpu 1\nbtime 1000\n"), Some(1000.22));
    }

    #[test]
    fn this_process_has_plausible_numbers() {
        let read = |path: &str| fs::read_to_string(path).unwrap();
        assert!(resident_bytes(&read("/proc/self/status")).unwrap() > 100_000.0);
        assert!(max_fds(&read("/proc/self/limits")).unwrap() > 3.0);
        let start = start_time(&read("/proc/self/stat"), &read("/proc/stat")).unwrap();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        assert!((now - start).abs() < 3600.0, "started at {start}, now {now}");
    }
}
