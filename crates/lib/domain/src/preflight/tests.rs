//! Each check with a case that passes and those that do not.

mod cases;

use std::collections::BTreeSet;

use FilesystemRole::Boot;
use Outcome::{Blocking, Unknown};
use cases::{CASES, facts, room};

use super::*;
use crate::drift::{Drift, DriftKind};
use crate::facts::*;
use crate::host_plan::HostPlan;
use crate::{StorePath, Strategy, Timestamp};

const MIB: u64 = 1024 * 1024;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn path(name: &str) -> StorePath {
    format!("/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-{name}")
        .parse()
        .unwrap()
}

fn filesystem(role: FilesystemRole) -> Filesystem {
    Filesystem {
        role,
        path: "/nix".to_owned(),
        total_bytes: 100_000 * MIB,
        free_bytes: 50_000 * MIB,
        inodes: 1_000_000,
        free_inodes: 900_000,
        read_only: role == FilesystemRole::Store,
    }
}

fn good_facts() -> HostFacts {
    use FilesystemRole::{NixState, State, Store};
    HostFacts {
        attempt: None,
        system: Some("x86_64-linux".to_owned()),
        filesystems: Some([Store, NixState, Boot, State].map(filesystem).to_vec()),
        memory: Some(Memory {
            total_bytes: 4096 * MIB,
            available_bytes: 2048 * MIB,
            swap_free_bytes: 0,
        }),
        pressure: Some(Pressure {
            cpu: 10,
            io: 5,
            memory: 0,
        }),
        load: Some(Load {
            five_minutes: 120,
            processors: 2,
        }),
        systemd: Some(SystemdState {
            state: "running".to_owned(),
            failed_units: Vec::new(),
        }),
        clock_synchronised: Some(true),
        generations: Some(7),
        nix_problem: Some(String::new()),
        release_keys: Some(vec!["ssh key SHA256:abc".to_owned()]),
        readable_host_keys: Some(Vec::new()),
        certificates: Some(vec![Certificate {
            file: "/var/lib/acme/a/cert.pem".to_owned(),
            expires: Some(at(60 * 24 * 3600)),
            problem: None,
        }]),
        backups: Some(vec![backup("dump"), backup("drill")]),
        clusters: Some(vec![cluster(3, 3)]),
        closure: Some(ClosureFacts {
            path: path("new"),
            availability: Availability::Fetchable,
            download_bytes: 10 * MIB,
            unpacked_bytes: 100 * MIB,
            system: Some("x86_64-linux".to_owned()),
            boot_bytes: Some(60 * MIB),
            problem: None,
        }),
    }
}

fn backup(kind: &str) -> Backup {
    Backup {
        stack: "shop".to_owned(),
        kind: kind.to_owned(),
        last_success: Some(at(-3600)),
        ok: true,
        problem: None,
    }
}

fn cluster(healthy: usize, all: usize) -> Cluster {
    let member = |place: usize| ClusterMember {
        name: format!("ha-{place}"),
        leads: place == 0,
        healthy: place < healthy,
    };
    Cluster {
        name: "main".to_owned(),
        members: (0..all).map(member).collect(),
        problem: None,
    }
}

fn good() -> Subject {
    Subject {
        now: at(0),
        release: ReleaseSubject {
            expires: Some(at(24 * 3600)),
            number: Some(11),
            signed_by: vec!["ssh key SHA256:abc".to_owned()],
            committed_number: Some(11),
            without_closure: Vec::new(),
            plans: vec![HostPlan::default()],
        },
        environment: EnvironmentSubject {
            name: "prod".parse().unwrap(),
            strategy: Strategy::default(),
            approval_required: true,
            approvers: 2,
            related: Vec::new(),
            open_rollout: None,
            hold: None,
            out: Vec::new(),
        },
        plane: PlaneSubject {
            version: "1.0.0".to_owned(),
            workers: 2,
            audit_problem: None,
            pending_migrations: Some(0),
        },
        hosts: vec![HostSubject {
            name: "web-1".parse().unwrap(),
            labels: [("role".to_owned(), "web".to_owned())].into(),
            closure: path("new"),
            seen: Some(at(-1)),
            online: true,
            agent_version: Some("1.0.0".to_owned()),
            clock_skew_seconds: Some(-1),
            doubt: None,
            live: Some(path("old")),
            boot_default: Some(path("old")),
            drift: Some(Vec::new()),
            unsettled: false,
            journal_trouble: None,
            plan: None,
            facts: Some((at(-30), good_facts())),
        }],
    }
}

fn drift(kind: DriftKind, found: &str) -> Drift {
    Drift {
        kind,
        expected: "nothing".to_owned(),
        found: found.to_owned(),
        since: at(-60),
    }
}

fn of<'a>(findings: &'a [Finding], check: &str) -> Vec<&'a Finding> {
    findings.iter().filter(|finding| finding.check == check).collect()
}

#[test]
fn a_good_release_passes_every_check_there_is() {
    let findings = judge(&good());
    let bad: Vec<String> = findings
        .iter()
        .filter(|finding| finding.outcome != Outcome::Passed)
        .map(Finding::in_words)
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let names: BTreeSet<&str> = findings.iter().map(|finding| finding.check.as_str()).collect();
    let all: BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(names, all);
    assert!(all.len() >= 30 && all.len() == CHECKS.len(), "{}", all.len());
}

#[test]
fn each_check_finds_what_it_is_for_and_no_other_case() {
    for (check, outcome, said, change) in CASES {
        let mut subject = good();
        change(&mut subject);
        let findings = judge(&subject);
        let found = of(&findings, check);
        let words = found.iter().map(|finding| finding.in_words());
        let words: Vec<String> = words.collect();
        assert!(
            found.len() == 1 && found[0].outcome == *outcome && words[0].contains(said),
            "{check} {outcome:?} {said}: {words:?}"
        );
        let info = CHECKS.iter().find(|info| info.name == *check).unwrap();
        assert!(found[0].cure.is_some(), "{check} has no cure: {words:?}");
        assert!(
            *outcome != Blocking || !info.blocks.is_empty(),
            "the table does not say that {check} blocks"
        );
    }
}

#[test]
fn every_check_has_a_case_that_fails_and_every_blocking_one_a_case_that_blocks() {
    for info in CHECKS {
        let cases: Vec<Outcome> = CASES
            .iter()
            .filter(|case| case.0 == info.name)
            .map(|case| case.1)
            .collect();
        assert!(!cases.is_empty(), "{} has no case", info.name);
        assert_eq!(
            cases.contains(&Blocking),
            !info.blocks.is_empty(),
            "{}: what the table says of blocking and the cases differ",
            info.name
        );
    }
}

/// An approver that one makes may not approve what one starts, so to make one is no cure.
#[test]
fn the_cure_for_no_approver_helps_whoever_reads_it() {
    let mut subject = good();
    subject.environment.approvers = 0;
    let findings = judge(&subject);
    let cure = of(&findings, "approvers")[0].cure.as_deref().unwrap();
    for part in ["another admin", "--related-approval-allowed true"] {
        assert!(cure.contains(part), "{cure}");
    }
}

/// A rollout is for hosts that are behind: that one is so says nothing against it.
#[test]
fn a_host_that_is_only_behind_passes_as_one_that_does_not_drift() {
    let mut subject = good();
    subject.hosts[0].drift = Some(vec![drift(DriftKind::Behind, "/nix/store/earlier")]);
    let findings = judge(&subject);
    assert_eq!(of(&findings, "drift")[0].outcome, Outcome::Passed);
    // Nobody has looked yet.
    subject.hosts[0].drift = None;
    assert!(of(&judge(&subject), "drift").is_empty());
}

/// An agent that sends no facts is no reason to believe that all is well, nor to stop a rollout.
#[test]
fn facts_of_an_old_agent_are_unknown_and_stop_no_rollout() {
    let mut subject = good();
    subject.hosts[0].facts = None;
    let findings = judge(&subject);
    for check in [
        "store-space",
        "memory",
        "systemd",
        "cache",
        "backups",
        "database-quorum",
    ] {
        let found = of(&findings, check);
        assert_eq!((found.len(), found[0].outcome), (1, Unknown), "{check}");
    }
    assert_eq!(obstacles(&subject, &[]), []);
    let mut old = good();
    old.now = at(FACTS_AGE_SECONDS);
    facts(&mut old).memory.as_mut().unwrap().available_bytes = 0;
    assert_eq!(of(&judge(&old), "memory")[0].outcome, Unknown);
}

#[test]
fn a_rollout_runs_its_own_checks_and_skips_those_that_are_named() {
    let mut subject = good();
    facts(&mut subject).memory.as_mut().unwrap().available_bytes = 0;
    room(&mut subject, Boot, |boot| boot.free_bytes = 0);
    // Enforced elsewhere, or by nobody in a rollout.
    subject.environment.open_rollout = Some("this one".to_owned());
    subject.environment.approvers = 0;
    let names = |found: Vec<Finding>| found.into_iter().map(|finding| finding.check).collect::<Vec<_>>();
    assert_eq!(names(obstacles(&subject, &[])), ["boot-space", "memory"]);
    assert_eq!(names(obstacles(&subject, &["boot-space".to_owned()])), ["memory"]);

    let mut subject = good();
    subject.hosts[0].clock_skew_seconds = Some(-3600);
    subject.release.signed_by.clear();
    // The next commit mends it.
    subject.hosts[0].journal_trouble = Some("torn".to_owned());
    assert_eq!(names(obstacles(&subject, &[])), ["clock", "release-trusted"]);
}

#[test]
fn hosts_with_the_same_finding_are_put_together_and_what_blocks_comes_first() {
    let mut subject = good();
    facts(&mut subject).generations = Some(500);
    for name in ["web-2", "web-3"] {
        let mut host = subject.hosts[0].clone();
        host.name = name.parse().unwrap();
        host.unsettled = name == "web-3";
        subject.hosts.push(host);
    }
    let findings = judge(&subject);
    assert_eq!(
        (findings[0].check.as_str(), findings[0].hosts.len()),
        ("open-attempt", 1)
    );
    let generations = of(&findings, "generations");
    assert_eq!((generations.len(), generations[0].host_count), (1, 3));
    let passed = of(&findings, "memory");
    assert_eq!((passed[0].hosts.len(), passed[0].host_count), (0, 3));
    assert!(
        generations[0]
            .in_words()
            .starts_with("generations: web-1 and 2 more: its profile")
    );
}

#[test]
fn names_of_checks_are_words_with_hyphens() {
    for info in CHECKS {
        assert!(
            info.name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
            "{}",
            info.name
        );
        assert!(is_check(info.name) && !is_check("no-such-check"));
    }
}
