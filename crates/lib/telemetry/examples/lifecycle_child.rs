//! What the tests of the lifecycle run as child processes: `lifecycle_child drain`, and so on.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use slipway_settings::{LogFormat, LogSettings, OtelSettings, SentrySettings, SettingsSource};
use slipway_telemetry::{Lifecycle, Shutdown, TelemetryGuard, init};

fn main() {
    let name = std::env::args().nth(1).unwrap();
    if name == "panic" {
        return panic_in_a_thread();
    }
    // One thread, so that one of these can get all of it stuck.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        match name.as_str() {
            "drain" => drain().await,
            "stubborn" => stubborn().await,
            "stuck" => stuck().await,
            "log" => log().await,
            "lost_traces" => lost_traces(),
            other => panic!("{other} is none of the tests' children"),
        }
    });
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.into_string().unwrap())
}

fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").unwrap();
    stdout.flush().unwrap();
}

fn log_as(format: LogFormat) -> TelemetryGuard {
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

fn lost_traces() {
    // A port that was free a moment ago: nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let source =
        SettingsSource::from_map([("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}"))]);
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

async fn drain() {
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

async fn stubborn() {
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

async fn stuck() {
    let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1()).unwrap();
    let _lifecycle = Lifecycle::start(Duration::from_mins(1)).unwrap();
    signal.recv().await;
    say("stuck");
    // The one thread of this runtime.
    thread::sleep(Duration::from_mins(1));
}

async fn log() {
    let format = if variable("FORMAT").as_deref() == Some("pretty") {
        LogFormat::Pretty
    } else {
        LogFormat::Json
    };
    let _guard = log_as(format);
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

fn panic_in_a_thread() {
    let _guard = log_as(LogFormat::Json);
    let panicked = thread::spawn(|| {
        let _span = tracing::info_span!("job.roll_out", rollout_id = "ro-7").entered();
        panic!("the disk of {} is gone", "web-1");
    });
    assert!(panicked.join().is_err());
}
