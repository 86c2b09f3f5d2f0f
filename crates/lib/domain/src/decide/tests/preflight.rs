//! What blocks stops a rollout before its first activation, and never after it.

use super::*;
use crate::preflight::{Finding, Outcome};

fn obstacle(check: &str, hosts: &[&str]) -> Finding {
    Finding {
        check: check.to_owned(),
        outcome: Outcome::Blocking,
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        host_count: hosts.len() as u64,
        message: "3 MiB".to_owned(),
        cure: Some("free some".to_owned()),
    }
}

fn staged() -> Snapshot {
    snapshot(RolloutState::Staging, &[StepState::Staged, StepState::Staged])
}

#[test]
fn a_rollout_rolls_when_nothing_stands_in_its_way() {
    assert_eq!(round(&staged()), ["rollout:rolling"]);
}

#[test]
fn facts_that_are_about_to_come_are_waited_for() {
    let mut it = staged();
    it.preflight.awaited = Some("host-1".parse().unwrap());
    assert_eq!(round(&it), [""; 0]);
}

#[test]
fn what_blocks_pauses_it_and_says_why() {
    let mut it = staged();
    it.preflight.obstacles = vec![obstacle("memory", &["web-1"]), obstacle("nix", &["web-0"])];
    assert_eq!(round(&it), ["rollout:paused"]);
    assert_eq!(
        cause(&it),
        "preflight: memory: web-1: 3 MiB; free some (and 1 more: slipway preflight); resume when it is mended, \
         or abort and start one for other hosts (--host) or with its name in skip_checks"
    );
    it.preflight.obstacles = vec![obstacle("release-expiry", &[])];
    assert!(cause(&it).ends_with("or abort and start one with its name in skip_checks"));
    // Whoever was activated already is judged by its checks alone.
    it.steps[0].prior = Some(it.steps[0].closure.clone());
    assert_eq!(round(&it), ["rollout:rolling"]);
}

fn one_may_fail() -> Snapshot {
    let mut it = snapshot(RolloutState::Staging, &[StepState::Staged; 4]);
    it.rollout.strategy.on_failure = OnFailure::RevertHost;
    it
}

/// A host says itself how it is there, so a lie must not hold up the others.
#[test]
fn where_single_hosts_may_fail_only_the_host_in_the_way_does() {
    let mut it = one_may_fail();
    it.preflight.obstacles = vec![
        obstacle("memory", &["web-1"]),
        obstacle("nix", &["web-1", "web-3"]),
    ];
    assert_eq!(round(&it), ["web-1:reverted", "web-3:reverted"]);
    let changes = decide(&it, now(), &mut AttemptId::random);
    let causes: Vec<&str> = changes.iter().map(|change| change.cause.as_str()).collect();
    assert_eq!(
        causes,
        [
            "preflight: memory: 3 MiB; free some",
            "preflight: nix: 3 MiB; free some"
        ]
    );
    for change in &changes {
        it.apply(change, now()).unwrap();
    }
    // Nobody asks about them any more.
    it.preflight.obstacles.clear();
    assert_eq!(round(&it), ["rollout:rolling"]);
}

#[test]
fn a_canary_all_hosts_or_the_release_in_the_way_stop_it_for_a_person() {
    let ways: [&[Finding]; 3] = [
        &[obstacle("memory", &["web-0"])],
        &[obstacle("cache", &["web-0", "web-1", "web-2", "web-3"])],
        &[obstacle("memory", &["web-1"]), obstacle("release-expiry", &[])],
    ];
    for way in ways {
        let mut it = one_may_fail();
        it.preflight.obstacles = way.to_vec();
        assert_eq!(round(&it), ["rollout:paused"], "{way:?}");
    }
    // Without canaries too: if no host is left, it is no single one.
    let mut it = one_may_fail();
    it.steps[0].canary = false;
    it.preflight.obstacles = vec![obstacle("cache", &["web-0", "web-1", "web-2", "web-3"])];
    assert_eq!(round(&it), ["rollout:paused"]);
}
