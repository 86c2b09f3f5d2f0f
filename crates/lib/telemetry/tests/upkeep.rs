//! What the recorder holds on to. A file of its own, because a process has one recorder.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use metrics::histogram;
use slipway_telemetry::install_metrics;

/// Far more than the allocator's own ups and downs, and far less than a round adds when nothing is folded.
const ROUND_MAY_ADD_KIB: u64 = 4 * 1024;
const ROUND: u32 = 1_000_000;
/// Rounds are 1 s apart, and the recorder folds every 5 s: a busy machine gets many chances.
const ROUNDS: u32 = 60;

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn memory_does_not_grow_with_requests_where_nobody_scrapes() {
    let _handle = install_metrics("slipway-test").unwrap();
    let latency = histogram!("http_request_duration_seconds");
    let mut added = Vec::new();
    for round in 0..ROUNDS {
        let before = resident_kib();
        for _ in 0..ROUND {
            latency.record(0.01);
        }
        let grown = resident_kib().saturating_sub(before);
        // The first round fills what every process needs.
        if round > 0 && grown < ROUND_MAY_ADD_KIB {
            return;
        }
        added.push(grown);
        sleep(Duration::from_secs(1));
    }
    panic!("every {ROUND} records add memory, in KiB: {added:?}");
}
