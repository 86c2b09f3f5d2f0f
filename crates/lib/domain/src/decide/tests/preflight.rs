//! What blocks stops a rollout before its first activation, and never after it.

use super::*;

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
    it.preflight.obstacles = vec!["memory: web-1: 3 MiB".to_owned(), "nix: web-2: no".to_owned()];
    assert_eq!(round(&it), ["rollout:paused"]);
    assert_eq!(
        cause(&it),
        "preflight: memory: web-1: 3 MiB (and 1 more: slipway preflight); resume when it is mended"
    );
    // Whoever was activated already is judged by its checks alone.
    it.steps[0].prior = Some(it.steps[0].closure.clone());
    assert_eq!(round(&it), ["rollout:rolling"]);
}
