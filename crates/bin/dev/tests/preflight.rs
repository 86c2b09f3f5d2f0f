//! Real agents say how things are on their hosts, and the control plane judges it before anything is touched.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::rig::{Rig, reasons};
use serde_json::Value;
use slipway_dev::fleet::Variant;
use slipway_dev::stack::ENVIRONMENT;
use slipway_dev::stack::hosts::strategy;
use slipway_domain::preflight::{Finding, Outcome};
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{ReleaseId, RolloutId, RolloutState};
use slipway_wire::preflight::PreflightReport;
use slipway_wire::rollout::{CreateCommand, CreateRollout, Rollout};

const BOUND: Duration = Duration::from_mins(2);
/// What the issue allows, with a machine that does other things too.
const AT_MOST: Duration = Duration::from_secs(10);

async fn preflight(rig: &Rig, release: ReleaseId) -> PreflightReport {
    let began = Instant::now();
    let report = rig
        .stack
        .api
        .preflight(&ENVIRONMENT.parse().unwrap(), release)
        .await
        .unwrap();
    assert!(began.elapsed() < AT_MOST, "it took {:?}", began.elapsed());
    report
}

fn finding<'a>(report: &'a PreflightReport, check: &str) -> &'a Finding {
    let mut found = report.findings.iter().filter(|finding| finding.check == check);
    found.next().unwrap_or_else(|| panic!("no {check} in {report:?}"))
}

/// Agents send their first facts a moment after their first sync, and are asked from then on.
async fn facts_are_there(rig: &Rig, release: ReleaseId) -> PreflightReport {
    let began = Instant::now();
    loop {
        let report = preflight(rig, release).await;
        let all = rig.stack.hosts.len() as u64;
        let asked = report.findings.iter().any(|found| {
            found.check == "cache" && found.outcome == Outcome::Passed && found.host_count == all
        });
        if asked && finding(&report, "facts").outcome == Outcome::Passed {
            return report;
        }
        assert!(began.elapsed() < BOUND, "{report:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn state_of(rig: &Rig, id: RolloutId, wanted: RolloutState) -> Rollout {
    let began = Instant::now();
    loop {
        let rollout = rig.stack.api.rollout(id).await.unwrap();
        if rollout.summary.state == wanted {
            return rollout;
        }
        assert!(
            began.elapsed() < BOUND && !rollout.summary.state.is_terminal(),
            "{wanted} is not reached: {}",
            reasons(&rollout)
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn narinfo(cache: &Path, closure: &Path) -> PathBuf {
    let hash = &closure.file_name().unwrap().to_str().unwrap()[..32];
    cache.join(format!("{hash}.narinfo"))
}

#[tokio::test]
async fn each_host_says_whether_its_own_caches_have_the_release_and_fetches_nothing() {
    let rig = Rig::new(3).await;
    let closures = rig.publish(&[("v1", Variant::Works)]).await.remove(0);
    let release = rig.release(&closures).await;
    let report = facts_are_there(&rig, release).await;
    let blocking: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|found| found.outcome == Outcome::Blocking)
        .collect();
    assert!(!report.blocked && blocking.is_empty(), "{blocking:?}");
    for check in [
        "cache",
        "cache-paths",
        "nix",
        "memory",
        "clock",
        "workers",
        "release-hosts",
    ] {
        assert_eq!(
            finding(&report, check).outcome,
            Outcome::Passed,
            "{check}: {report:?}"
        );
    }
    assert_eq!((report.hosts, finding(&report, "cache-paths").host_count), (3, 3));
    assert!(report.findings.len() >= 30, "{}", report.findings.len());
    // Here is no systemd, and no host keys: what is not known is not passed.
    assert_eq!(finding(&report, "systemd").outcome, Outcome::Unknown);
    assert!(
        closures.iter().all(|path| !path.exists()),
        "a look must not fetch"
    );

    // The cache loses what one host needs.
    std::fs::remove_file(narinfo(&rig.stack.nix.cache, &closures[1])).unwrap();
    let report = preflight(&rig, release).await;
    let missing = finding(&report, "cache-paths");
    assert!(
        report.blocked && missing.outcome == Outcome::Blocking,
        "{report:?}"
    );
    assert_eq!(missing.hosts, [rig.stack.hosts[1].name.clone()]);

    // As a person sees it.
    let token = rig.run.dir.path().join("admin-token");
    let cli = |args: &[&str]| {
        std::process::Command::new(&rig.stack.binaries.cli)
            .args(["preflight", ENVIRONMENT, &release.to_string()])
            .args(args)
            .env("SLIPWAY_URL", rig.stack.nginx.api_url())
            .env("SLIPWAY_CA_FILE", &rig.stack.nginx.ca)
            .env("SLIPWAY_TOKEN_FILE", &token)
            .output()
            .unwrap()
    };
    let shown = cli(&[]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.status.code(), Some(30), "{text}");
    let mut lines = text.lines().skip_while(|line| !line.contains("cache-paths"));
    let (row, cure) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(
        row.contains("BLOCKS") && row.contains(rig.stack.hosts[1].name.as_str()),
        "{row}"
    );
    assert!(cure.contains("cure: copy it there: nix copy"), "{cure}");
    let json: Value = serde_json::from_slice(&cli(&["--json"]).stdout).unwrap();
    assert_eq!(json["blocked"], true);
    // Looked at from here, and by nobody else.
    let mut findings = json["findings"].as_array().unwrap().iter();
    let certificate = findings.find(|found| found["check"] == "control-plane-certificate");
    assert_eq!(certificate.unwrap()["outcome"], "passed", "{json}");
    rig.run.close().await.unwrap();
}

#[tokio::test]
async fn a_rollout_stops_before_its_first_activation_for_what_blocks_on_a_host() {
    let rig = Rig::new(2).await;
    let variants = [("v1", Variant::Works), ("other", Variant::OtherMachine)];
    let closures = rig.publish(&variants).await;
    let done = rig.roll_out(&closures[0], strategy(0, 2)).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));
    let release = rig
        .release(&[closures[0][0].clone(), closures[1][1].clone()])
        .await;
    facts_are_there(&rig, release).await;
    let start = async |skip: &[&str]| {
        let mut how = strategy(0, 2);
        how.skip_checks = skip.iter().map(|&name| name.to_owned()).collect();
        let request = CreateRollout {
            environment: ENVIRONMENT.parse().unwrap(),
            release: release.into(),
            strategy: Some(how),
            not_before: None,
            override_freeze: None,
            hosts: Vec::new(),
            reboot: false,
        };
        rig.stack.api.create_rollout(&request).await.unwrap().summary.id
    };
    let blocked = start(&[]).await;
    let paused = state_of(&rig, blocked, RolloutState::Paused).await;
    let why = paused.summary.reason.clone().unwrap();
    let host = rig.stack.hosts[1].name.as_str();
    assert!(
        why.contains("preflight: architecture") && why.contains(host) && why.contains("riscv64-linux"),
        "{why}"
    );
    assert_eq!(rig.versions().await, ["v1", "v1"]);
    // A resume looks again, and finds the same.
    let command = |command| CreateCommand {
        command,
        reason: None,
        plan: None,
    };
    rig.stack
        .api
        .command_rollout(blocked, &command(CommandKind::Resume))
        .await
        .unwrap();
    let again = Instant::now();
    let events = loop {
        let query = slipway_wire::audit::EventQuery::default();
        let events = rig
            .stack
            .api
            .rollout_events(blocked, &query, None)
            .await
            .unwrap()
            .items;
        let times = events
            .iter()
            .filter(|event| event.event.to.as_deref() == Some("paused"))
            .count();
        if times == 2 {
            break events;
        }
        assert!(again.elapsed() < BOUND, "{events:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(
        events
            .iter()
            .all(|event| event.event.to.as_deref() != Some("activating")),
        "{events:?}"
    );
    rig.stack
        .api
        .command_rollout(blocked, &command(CommandKind::Abort))
        .await
        .unwrap();
    state_of(&rig, blocked, RolloutState::Aborted).await;
    // Somebody who knows better names the check.
    let skipping = start(&["architecture"]).await;
    let done = state_of(&rig, skipping, RolloutState::Succeeded).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded);
    assert_eq!(rig.versions().await, ["v1", "other"]);
    rig.run.close().await.unwrap();
}
