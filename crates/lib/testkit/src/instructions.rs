//! What something costs in instructions, which Valgrind counts: no other program on the machine changes them.
//!
//! The numbers are of the tests' own builds. A compiler may do a little better or worse, so only a clear excess fails.

use std::future::poll_fn;
use std::pin::pin;
use std::process::Command;

/// How many percent of the number before are an excess.
const EXCESS: u64 = 125;

/// Fails if this test of the same program takes clearly more than it took before, in thousands of instructions.
///
/// # Panics
/// Then, and as [`thousands_of_instructions`].
pub fn assert_costs_as_before(test: &str, before: u64) {
    let now = thousands_of_instructions(test);
    assert!(
        now * 100 < before * EXCESS,
        "{test} takes {now} thousand instructions, and took {before} thousand before. Make it cheaper, or write the new number \
         into this test and say why in the commit"
    );
}

/// Runs one test of the same program under Valgrind, which counts what is within [`measured`] or [`measured_async`].
///
/// # Panics
/// When Valgrind is not installed, the test fails, or nothing was within.
#[must_use]
pub fn thousands_of_instructions(test: &str) -> u64 {
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--collect-atstart=no",
            "--callgrind-out-file=/dev/null",
        ])
        .arg("--toggle-collect=*measured_here*")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1"])
        .output()
        .expect("valgrind must be installed; ./dev installs what is missing");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{printed}");
    let collected = told.lines().find_map(|line| line.split_once("Collected :"));
    let count: u64 = collected.expect(&told).1.trim().parse().unwrap();
    assert!(count > 1000, "Valgrind has not seen the work: {told}");
    count / 1000
}

/// Does the work where Valgrind counts.
pub fn measured<T>(work: impl FnOnce() -> T) -> T {
    measured_here(work)
}

/// As [`measured`]. What tasks of their own do for it is not counted.
pub async fn measured_async<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| measured_here(|| work.as_mut().poll(context))).await
}

/// Not inlined, and named as Valgrind is told to look for it.
#[inline(never)]
fn measured_here<T>(work: impl FnOnce() -> T) -> T {
    work()
}
