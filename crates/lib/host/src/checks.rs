//! The checks of a closure in `etc/slipway/checks.json`, and the result of one round.
//!
//! A check passes, fails or could not be carried out. Only a failure is evidence against the closure.

mod command;
mod http;
mod manifest;
mod tcp;
mod unit;

use std::time::Duration;

use slipway_domain::agent::Verdict;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::Instrument as _;

pub(crate) use http::get_text;
pub use manifest::{CheckManifest, HealthCheck, HealthCheckKind, ManifestError};
pub(crate) use manifest::{FILE, load, read};
pub(crate) use unit::failed_units;

use crate::config::HostConfig;
use crate::text::one_line;

/// What one check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFinding {
    /// Pass, fail or unknown.
    pub verdict: Verdict,
    /// What was seen, for people.
    pub detail: String,
}

impl CheckFinding {
    pub(crate) fn pass() -> Self {
        Self {
            verdict: Verdict::Pass,
            detail: String::new(),
        }
    }

    pub(crate) fn fail(detail: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            detail: detail.into(),
        }
    }

    pub(crate) fn unknown(detail: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Unknown,
            detail: detail.into(),
        }
    }

    /// An error of our own, such as no descriptors left, says nothing about the closure; any other counts against it.
    pub(crate) fn of_io(what: &str, error: &std::io::Error) -> Self {
        use rustix::io::Errno;
        const OURS: [Errno; 6] = [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::NOBUFS,
            Errno::ADDRNOTAVAIL,
            Errno::AGAIN,
        ];
        let detail = format!("{what}: {error}");
        let ours = error
            .raw_os_error()
            .is_some_and(|code| OURS.iter().any(|errno| errno.raw_os_error() == code));
        if ours {
            Self::unknown(detail)
        } else {
            Self::fail(detail)
        }
    }
}

/// What one round of all checks says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRound {
    /// Fail if any check failed, else unknown if any could not be carried out, else pass.
    pub verdict: Verdict,
    /// The checks that did not pass, for people; empty on a pass.
    pub detail: String,
}

impl CheckRound {
    /// Puts the checks' findings together.
    #[must_use]
    pub fn of(findings: impl IntoIterator<Item = (String, CheckFinding)>) -> Self {
        let mut verdict = Verdict::Pass;
        let (mut fails, mut unknowns) = (Vec::new(), Vec::new());
        for (name, finding) in findings {
            let described = format!("check {name}: {}", finding.detail);
            match finding.verdict {
                Verdict::Pass => {}
                Verdict::Fail => fails.push(described),
                Verdict::Unknown => unknowns.push(described),
            }
        }
        if !fails.is_empty() {
            verdict = Verdict::Fail;
        } else if !unknowns.is_empty() {
            verdict = Verdict::Unknown;
        }
        fails.extend(unknowns);
        Self {
            verdict,
            detail: one_line(&fails.join("; "), 900),
        }
    }
}

/// Runs all checks at once. Takes at most as long as the slowest check's time limit.
pub(crate) async fn round(config: &HostConfig, manifest: &CheckManifest) -> CheckRound {
    let mut running = JoinSet::new();
    for (index, check) in manifest.checks.iter().enumerate() {
        let (config, check) = (config.clone(), check.clone());
        let span = tracing::info_span!(
            "attempt.check",
            otel.name = "run check",
            check = %check.name,
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
        );
        let recorded = span.clone();
        let run = async move {
            let finding = run_check(&config, &check).await;
            if finding.verdict != Verdict::Pass {
                recorded.record("otel.status_code", "ERROR");
                recorded.record("otel.status_description", finding.detail.as_str());
            }
            (index, check.name.clone(), finding)
        };
        running.spawn(run.instrument(span));
    }
    let mut findings = Vec::new();
    while let Some(done) = running.join_next().await {
        if let Ok(done) = done {
            findings.push(done);
        }
    }
    findings.sort_by_key(|(index, ..)| *index);
    let missing = manifest.checks.len() - findings.len();
    let mut named: Vec<(String, CheckFinding)> = findings
        .into_iter()
        .map(|(_, name, finding)| (name, finding))
        .collect();
    if missing > 0 {
        named.push((
            "all".to_owned(),
            CheckFinding::unknown(format!("{missing} checks ended without a word")),
        ));
    }
    CheckRound::of(named)
}

async fn run_check(config: &HostConfig, check: &HealthCheck) -> CheckFinding {
    let bound = Duration::from_secs(check.timeout_seconds());
    let late = || format!("no answer within {} s", bound.as_secs());
    match &check.kind {
        HealthCheckKind::Http {
            url, expect_status, ..
        } => match timeout(bound, http::get(url)).await {
            Ok(Ok(status)) if status == *expect_status => CheckFinding::pass(),
            Ok(Ok(status)) => {
                CheckFinding::fail(format!("GET {url} answered {status}, expected {expect_status}"))
            }
            Ok(Err(finding)) => finding,
            Err(_) => CheckFinding::fail(format!("GET {url}: {}", late())),
        },
        HealthCheckKind::Tcp { address, .. } => timeout(bound, tcp::connect(address))
            .await
            .unwrap_or_else(|_| CheckFinding::fail(format!("connect to {address}: {}", late()))),
        HealthCheckKind::Command { command, .. } => command::run(config, command, bound).await,
        HealthCheckKind::Systemd { unit } => unit::check(config, unit, bound).await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::boot::BootConfig;
    use crate::config::RunnerKind;

    fn config() -> HostConfig {
        HostConfig {
            state_dir: "/nowhere".into(),
            profile: "/nowhere".into(),
            live_link: "/nowhere".into(),
            gcroots_dir: "/nowhere".into(),
            store_dir: slipway_domain::StoreDir::default(),
            runner: RunnerKind::Process,
            boot: BootConfig::default(),
            keep_releases: 3,
            trust: None,
            agent_exe: "/nowhere".into(),
            hidden_env: vec!["SECRET_OF_THE_TEST".to_owned()],
            unit_env: Vec::new(),
        }
    }

    fn manifest(json: &str) -> CheckManifest {
        manifest::parse("checks.json", json.as_bytes()).unwrap()
    }

    async fn run_round(json: &str) -> CheckRound {
        round(&config(), &manifest(json)).await
    }

    /// A server that answers every connection with these bytes, or holds it open when there are none.
    async fn server(answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer).await;
                if answer.is_empty() {
                    held.push(stream);
                } else {
                    let _ = stream.write_all(answer).await;
                }
            }
        });
        port
    }

    fn http_check(port: u16) -> String {
        format!(
            r#"{{"checks":[{{"name":"web","type":"http","url":"http://127.0.0.1:{port}/health","timeout_seconds":1}}]}}"#
        )
    }

    #[tokio::test]
    async fn an_http_check_reads_the_status() {
        let good = server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        assert_eq!(run_round(&http_check(good)).await.verdict, Verdict::Pass);
        let bad = server(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n").await;
        let round = run_round(&http_check(bad)).await;
        assert_eq!(round.verdict, Verdict::Fail);
        assert!(
            round.detail.ends_with("/health answered 500, expected 200"),
            "{round:?}"
        );
    }

    #[tokio::test]
    async fn a_refused_connection_a_hang_and_nonsense_are_failures() {
        let free = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        for (port, said) in [
            (free, "refused"),
            (server(b"").await, "no answer within 1 s"),
            (server(b"SSH-2.0-OpenSSH\r\n").await, "no HTTP"),
        ] {
            let round = run_round(&http_check(port)).await;
            assert_eq!(round.verdict, Verdict::Fail, "{round:?}");
            assert!(round.detail.contains(said), "{round:?}");
        }
    }

    #[tokio::test]
    async fn a_tcp_check_connects() {
        let port = server(b"hello").await;
        let json =
            |port| format!(r#"{{"checks":[{{"name":"t","type":"tcp","address":"127.0.0.1:{port}"}}]}}"#);
        assert_eq!(run_round(&json(port)).await.verdict, Verdict::Pass);
        let round = run_round(&json(1)).await;
        assert_eq!(round.verdict, Verdict::Fail);
        assert!(
            round.detail.contains("check t: connect to 127.0.0.1:1"),
            "{round:?}"
        );
    }

    #[tokio::test]
    async fn a_command_that_cannot_be_run_is_no_evidence() {
        let json = |command: &str| {
            format!(
                r#"{{"checks":[{{"name":"c","type":"command","command":{command},"timeout_seconds":1}}]}}"#
            )
        };
        for (command, verdict, said) in [
            (r#"["/bin/true"]"#, Verdict::Pass, ""),
            (
                r#"["/bin/sh","-c","echo oh no; exit 3"]"#,
                Verdict::Fail,
                "exited with status 3: oh no",
            ),
            (r#"["/bin/sleep","60"]"#, Verdict::Fail, "did not end within 1 s"),
            (
                r#"["/no/such/program"]"#,
                Verdict::Unknown,
                "cannot run /no/such/program",
            ),
            (
                r#"["/bin/sh","-c","kill -9 $$"]"#,
                Verdict::Unknown,
                "killed by signal 9",
            ),
            (
                r#"["/bin/sh","-c","kill -TERM $$"]"#,
                Verdict::Unknown,
                "killed by signal 15",
            ),
            (
                r#"["/bin/sh","-c","kill -SEGV $$"]"#,
                Verdict::Fail,
                "crashed: killed by signal 11",
            ),
            (
                r#"["/bin/sh","-c","kill -ABRT $$"]"#,
                Verdict::Fail,
                "crashed: killed by signal 6",
            ),
            (
                r#"["/bin/sh","-c","test -z \"$SECRET_OF_THE_TEST\""]"#,
                Verdict::Pass,
                "",
            ),
        ] {
            let round = run_round(&json(command)).await;
            assert_eq!(round.verdict, verdict, "{command}: {round:?}");
            assert!(round.detail.contains(said), "{command}: {round:?}");
        }
    }

    #[tokio::test]
    async fn a_unit_check_without_systemd_is_no_evidence() {
        if std::path::Path::new("/run/systemd/system").is_dir() {
            let round =
                run_round(r#"{"checks":[{"name":"u","type":"systemd","unit":"no-such-unit.service"}]}"#)
                    .await;
            assert_eq!(round.verdict, Verdict::Fail, "{round:?}");
            return;
        }
        let round = run_round(r#"{"checks":[{"name":"u","type":"systemd","unit":"sshd.service"}]}"#).await;
        assert_eq!(round.verdict, Verdict::Unknown, "{round:?}");
        assert!(round.detail.contains("systemctl"), "{round:?}");
    }

    #[test]
    fn one_failure_outweighs_what_is_unknown() {
        let named = |finding| ("x".to_owned(), finding);
        let round = CheckRound::of([named(CheckFinding::unknown("u")), named(CheckFinding::fail("f"))]);
        assert_eq!(round.verdict, Verdict::Fail);
        assert_eq!(round.detail, "check x: f; check x: u");
        let round = CheckRound::of([named(CheckFinding::unknown("u")), named(CheckFinding::pass())]);
        assert_eq!(round.verdict, Verdict::Unknown);
    }

    #[test]
    fn running_out_of_descriptors_is_no_evidence() {
        let error = rustix::io::Errno::MFILE.into();
        assert_eq!(CheckFinding::of_io("connect", &error).verdict, Verdict::Unknown);
        let error = rustix::io::Errno::CONNREFUSED.into();
        assert_eq!(CheckFinding::of_io("connect", &error).verdict, Verdict::Fail);
    }
}
