//! Signals, the service manager and closed pipes, in real child processes.
//!
//! A child is the example `lifecycle_child`, which cargo builds together with the tests.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(10);

/// A child process with what it says on stdout, line by line.
struct ChildProcess {
    child: Child,
    printed: Receiver<String>,
}

impl ChildProcess {
    fn start(main: &str, vars: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program())
            .arg(main)
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .envs(vars.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let printed = listen(child.stdout.take().unwrap());
        Self { child, printed }
    }

    /// Waits for the line; everything before it is ignored.
    #[track_caller]
    fn hear(&self, line: &str) {
        let until = Instant::now() + SOON;
        while let Ok(printed) = self
            .printed
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if printed.ends_with(line) {
                return;
            }
        }
        panic!("the child never said {line:?}");
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the child does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Beside the folder of this test, where cargo puts examples.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap();
    let program = folder.join("examples/lifecycle_child");
    assert!(
        program.exists(),
        "{} is not built; run the tests without --test, or build it: cargo build -p slipway-telemetry --examples",
        program.display()
    );
    program
}

fn listen(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

/// A service manager's socket.
fn manager() -> (TempDir, UnixDatagram, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, socket, path)
}

fn told(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 512];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
}

#[test]
fn a_signal_drains_and_the_manager_is_told() {
    for signal in [Signal::TERM, Signal::INT] {
        let (_dir, socket, path) = manager();
        let mut child = ChildProcess::start("drain", &[("NOTIFY_SOCKET", &path)]);
        assert_eq!(told(&socket), "STATUS=serving");
        assert_eq!(told(&socket), "READY=1");
        child.hear("working");
        child.signal(signal);
        assert_eq!(told(&socket), "STOPPING=1");
        child.hear("task finished");
        child.hear("Drained");
        assert!(child.end().success());
    }
}

#[test]
fn a_second_signal_cuts_what_is_under_way() {
    let mut child = ChildProcess::start("stubborn", &[("GRACE_MS", "60000")]);
    child.hear("working");
    child.signal(Signal::TERM);
    child.hear("soft");
    child.signal(Signal::TERM);
    child.hear("Cut");
    assert!(child.end().success());
}

#[test]
fn the_grace_has_an_end() {
    let mut child = ChildProcess::start("stubborn", &[("GRACE_MS", "400")]);
    child.hear("working");
    let begun = Instant::now();
    child.signal(Signal::INT);
    child.hear("soft");
    child.hear("Cut");
    let waited = begun.elapsed();
    assert!(
        waited >= Duration::from_millis(400) && waited < SOON,
        "{waited:?}"
    );
    assert!(child.end().success());
}

#[test]
fn the_watchdog_hears_of_a_live_runtime_and_not_of_a_stuck_one() {
    let (_dir, socket, path) = manager();
    let child = ChildProcess::start("stuck", &[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "200000")]);
    let mut pings = Vec::new();
    while pings.len() < 11 {
        assert_eq!(told(&socket), "WATCHDOG=1");
        pings.push(Instant::now());
    }
    // Twice a period of 200 ms, so ten of them take a second; hearing the first late makes it seem less.
    let taken = pings[10] - pings[0];
    assert!(
        taken > Duration::from_millis(500) && taken < SOON,
        "ten pings took {taken:?}"
    );

    child.signal(Signal::USR1);
    child.hear("stuck");
    // What was sent before it got stuck may still be there.
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    while socket.recv(&mut [0; 64]).is_ok() {}
    socket.set_read_timeout(Some(Duration::from_millis(800))).unwrap();
    assert!(
        socket.recv(&mut [0; 64]).is_err(),
        "a stuck runtime must not ping"
    );
}

#[test]
fn a_closed_stderr_ends_nothing() {
    for format in ["json", "pretty"] {
        let mut child = ChildProcess::start("log", &[("FORMAT", format)]);
        drop(child.child.stderr.take());
        child.hear("began");
        child.signal(Signal::USR1);
        child.hear("still here");
        assert!(child.end().success(), "{format}");
    }
}

#[test]
fn a_panic_is_a_line_like_any_other() {
    let mut child = ChildProcess::start("panic", &[]);
    assert!(child.end().success());
    let stderr = child.stderr();
    let line = stderr
        .lines()
        .find(|line| line.starts_with('{'))
        .unwrap_or_else(|| panic!("no line in {stderr}"));
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (line["level"].as_str(), line["target"].as_str()),
        (Some("ERROR"), Some("panic"))
    );
    assert_eq!(line["message"], "panicked: the disk of web-1 is gone");
    assert!(line["location"].as_str().unwrap().contains("lifecycle_child.rs"));
    assert_eq!(line["rollout_id"], "ro-7");
}

#[test]
fn traces_that_cannot_be_sent_are_logged() {
    let mut child = ChildProcess::start("lost_traces", &[]);
    assert!(child.end().success());
    let stderr = child.stderr();
    let lines: Vec<serde_json::Value> = stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let told = lines
        .iter()
        .any(|line| line["target"].as_str().unwrap().starts_with("opentelemetry") && line["level"] != "INFO");
    assert!(told, "{stderr}");
    assert!(lines.iter().any(|line| line["message"] == "hello"), "{stderr}");
    assert!(lines.len() < 8, "{stderr}");
}
