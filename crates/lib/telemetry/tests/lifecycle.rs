//! Signals, the service manager and closed pipes, in real child processes.
//!
//! A child is this program again, running one of the ignored tests at its end, which is its `main`.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use slipway_settings::{LogFormat, LogSettings, OtelSettings, SentrySettings, Source};
use slipway_telemetry::{Guard, Lifecycle, Shutdown, init};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(10);
/// Set in children only, so that `--run-ignored` finds mains that return at once.
const CHILD: &str = "SLIPWAY_TEST_CHILD";

/// A child process with what it says on stdout, line by line.
struct Running {
    child: Child,
    said: Receiver<String>,
}

impl Running {
    fn start(main: &str, vars: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", main, "--ignored", "--nocapture", "--test-threads=1"])
            .env(CHILD, "1")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .envs(vars.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = listen(child.stdout.take().unwrap());
        Self { child, said }
    }

    /// Waits for the line; everything before it is passed over.
    #[track_caller]
    fn hear(&self, line: &str) {
        let until = Instant::now() + SOON;
        while let Ok(said) = self
            .said
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if said.ends_with(line) {
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

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
        let mut child = Running::start("main_drain", &[("NOTIFY_SOCKET", &path)]);
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
    let mut child = Running::start("main_stubborn", &[("GRACE_MS", "60000")]);
    child.hear("working");
    child.signal(Signal::TERM);
    child.hear("soft");
    child.signal(Signal::TERM);
    child.hear("Cut");
    assert!(child.end().success());
}

#[test]
fn the_grace_has_an_end() {
    let mut child = Running::start("main_stubborn", &[("GRACE_MS", "400")]);
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
    let child = Running::start(
        "main_stuck",
        &[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "200000")],
    );
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
        let mut child = Running::start("main_log", &[("FORMAT", format)]);
        drop(child.child.stderr.take());
        child.hear("began");
        child.signal(Signal::USR1);
        child.hear("still here");
        assert!(child.end().success(), "{format}");
    }
}

#[test]
fn a_panic_is_a_line_like_any_other() {
    let mut child = Running::start("main_panic", &[]);
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
    assert!(
        line["location"]
            .as_str()
            .unwrap()
            .contains(Path::new(file!()).file_name().unwrap().to_str().unwrap())
    );
    assert_eq!(line["rollout_id"], "ro-7");
}

#[test]
fn traces_that_cannot_be_sent_are_logged() {
    let mut child = Running::start("main_lost_traces", &[]);
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

// What the children run.

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.into_string().unwrap())
}

fn is_child() -> bool {
    variable(CHILD).is_some()
}

fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").unwrap();
    stdout.flush().unwrap();
}

fn log(format: LogFormat) -> Guard {
    let log = LogSettings {
        format,
        ..LogSettings::default()
    };
    init(
        "child",
        &log,
        &OtelSettings::default(),
        &SentrySettings::default(),
    )
    .unwrap()
}

#[tokio::test]
#[ignore = "the main of a child process"]
async fn main_lost_traces() {
    if !is_child() {
        return;
    }
    // A port that was free a moment ago: nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let source = Source::from_map([("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}"))]);
    let otel = OtelSettings::from_source(&source).unwrap();
    let guard = init(
        "child",
        &LogSettings::default(),
        &otel,
        &SentrySettings::default(),
    )
    .unwrap();
    tracing::info_span!("lost").in_scope(|| tracing::info!("hello"));
    guard.shutdown();
}

#[tokio::test]
#[ignore = "the main of a child process"]
async fn main_drain() {
    if !is_child() {
        return;
    }
    let lifecycle = Lifecycle::start(Duration::from_mins(1)).unwrap();
    let soft = lifecycle.soft();
    lifecycle.spawn(async move {
        say("working");
        soft.cancelled().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        say("task finished");
    });
    lifecycle.status("serving");
    lifecycle.ready();
    say(&format!("{:?}", lifecycle.finished().await));
}

#[tokio::test]
#[ignore = "the main of a child process"]
async fn main_stubborn() {
    if !is_child() {
        return;
    }
    let grace = variable("GRACE_MS").unwrap().parse().unwrap();
    let lifecycle = Lifecycle::start(Duration::from_millis(grace)).unwrap();
    let (soft, hard) = (lifecycle.soft(), lifecycle.hard());
    lifecycle.spawn(async move {
        say("working");
        soft.cancelled().await;
        say("soft");
        std::future::pending::<()>().await;
    });
    assert_eq!(lifecycle.finished().await, Shutdown::Cut);
    assert!(hard.is_cancelled());
    say("Cut");
}

#[tokio::test]
#[ignore = "the main of a child process"]
async fn main_stuck() {
    if !is_child() {
        return;
    }
    let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1()).unwrap();
    let _lifecycle = Lifecycle::start(Duration::from_mins(1)).unwrap();
    signal.recv().await;
    say("stuck");
    // The one thread of this runtime.
    thread::sleep(Duration::from_mins(1));
}

#[tokio::test]
#[ignore = "the main of a child process"]
async fn main_log() {
    if !is_child() {
        return;
    }
    let format = if variable("FORMAT").as_deref() == Some("pretty") {
        LogFormat::Pretty
    } else {
        LogFormat::Json
    };
    let _guard = log(format);
    let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1()).unwrap();
    say("began");
    signal.recv().await;
    let failed = writeln!(std::io::stderr(), "to nobody").is_err();
    assert!(failed, "the pipe must be closed for this to be a test");
    for n in 0..100 {
        tracing::info!(n, "to nobody");
    }
    say("still here");
}

#[test]
#[ignore = "the main of a child process"]
fn main_panic() {
    if !is_child() {
        return;
    }
    let _guard = log(LogFormat::Json);
    let panicked = thread::spawn(|| {
        let _span = tracing::info_span!("job.roll_out", rollout_id = "ro-7").entered();
        panic!("the disk of {} is gone", "web-1");
    });
    assert!(panicked.join().is_err());
}
