//! Going back on a host with release keys: to its own prior always, and no further by the control plane's word.

use slipway_domain::{AttemptPhase, StepState};
use slipway_release::testing::Signer;

use crate::signed::SignedRig;

/// The number moves with the commit, in one write: a kill at each place between loses neither.
#[test]
fn the_number_is_kept_through_kills_at_every_place_of_a_commit() {
    for failpoint in [
        "committing-written",
        "profile-moved",
        "boot-moved",
        "deadman-disarmed",
        "committed-written",
    ] {
        let it = SignedRig::new();
        let (v2, v3) = (it.rig.v2.clone(), it.rig.closure("v3", |_| {}));
        let old = SignedRig::manifest(2, &v3);
        let manifest = SignedRig::manifest(3, &v2);
        let agent = it.agent_with(&[("SLIPWAY_FAILPOINT", failpoint)]);
        it.rig
            .plane
            .release_signed(&v2, manifest.id, &it.signer.sign(&manifest));
        agent.died();
        assert_eq!(it.rig.journal().signed.unwrap().number, 3, "{failpoint}");
        let _agent = it.agent();
        it.rig.plane.reach(StepState::Committed);
        it.rig.plane.release_signed(&v3, old.id, &it.signer.sign(&old));
        it.refused("this host has committed number 3");
        it.rig.assert_on(&v2, "v2");
    }
}

/// An agent that is killed in an attempt, and started again without a network, knows its manifest still.
#[test]
fn a_kill_in_an_attempt_needs_no_second_word_and_no_number_before_the_commit() {
    let it = SignedRig::new();
    let v2 = it.rig.v2.clone();
    let manifest = SignedRig::manifest(3, &v2);
    let agent = it.agent_with(&[("SLIPWAY_FAILPOINT", "verifying-written")]);
    it.rig
        .plane
        .release_signed(&v2, manifest.id, &it.signer.sign(&manifest));
    agent.died();
    assert_eq!(it.rig.journal().signed, None);
    let _agent = it.agent();
    it.rig.plane.reach(StepState::Committed);
    assert_eq!(it.rig.journal().signed.unwrap().number, 3);
    assert_eq!(it.rig.plane.state().manifest_requests, 1);
}

/// A failed release goes back without a manifest, and its number may come again.
#[test]
fn a_release_that_failed_leaves_no_number() {
    let it = SignedRig::new();
    let _agent = it.agent();
    let v2 = it.rig.v2.clone();
    it.rig.sicken("v2");
    let manifest = SignedRig::manifest(3, &v2);
    it.rig
        .plane
        .release_signed(&v2, manifest.id, &it.signer.sign(&manifest));
    it.rig.plane.reach(StepState::Reverted);
    it.rig.assert_on(&it.rig.v1, "v1");
    assert_eq!(it.rig.journal().signed, None);
}

/// Attempt by attempt the control plane could walk a host back to what was replaced for good reasons.
#[test]
fn the_control_plane_walks_no_host_back_beyond_its_last_prior() {
    let it = SignedRig::new();
    let _agent = it.agent();
    let (v2, v3) = (it.rig.v2.clone(), it.closure("v3"));
    it.commit(1, &v2);
    let first = it.rig.plane.state().assignment.clone().unwrap();
    it.commit(2, &v3);
    let second = it.rig.plane.state().assignment.clone().unwrap();
    let runs = it.rig.count("test v1");

    // The attempt before the last: its prior is two releases back.
    it.rig.plane.change(|state| {
        let mut step = first.clone();
        step.state = StepState::Reverting;
        state.assignment = Some(step);
    });
    it.rig.plane.hear(AttemptPhase::Stuck);
    let message = it.rig.plane.message();
    assert!(
        message.contains("has committed number 2 after this attempt"),
        "{message}"
    );
    // One that this host never heard of, with a prior that is a generation of its profile.
    it.rig.plane.take_over(&v3, &it.rig.v1, StepState::Reverting);
    it.rig.plane.hear(AttemptPhase::Stuck);
    let message = it.rig.plane.message();
    assert!(message.contains("only the control plane names"), "{message}");
    it.rig.assert_on(&v3, "v3");

    // A release over the stuck attempt takes what runs for its prior, and not what was refused.
    let v4 = it.closure("v4");
    it.commit(3, &v4);
    it.rig.plane.abort();
    it.rig.plane.reach(StepState::Reverted);
    it.rig.assert_on(&v3, "v3");
    assert_eq!(it.rig.count("test v1"), runs, "v1 was run");
    drop(second);
}

/// After the commit a host goes back to no system that asks for fewer signatures than it does. From there, the control plane
/// could bring anything.
#[test]
fn a_commit_is_taken_back_only_to_a_system_with_the_same_keys_or_fewer() {
    let it = SignedRig::new();
    let _agent = it.agent();
    let stolen = Signer::new();
    let keys = format!("{}{}", it.signer.public_key(), stolen.public_key());
    let with_stolen = it.rig.closure("v3", |spec| spec.release_keys = Some(keys));
    let after = it.closure("v4");
    // The release that brings the keys, and the one that takes a stolen key away.
    for (number, closure, version, said) in [
        (1, &with_stolen, "v3", "carries no etc/slipway/release-keys"),
        (2, &after, "v4", "this host does not any more"),
    ] {
        it.commit(number, closure);
        it.rig.plane.abort();
        it.rig.plane.hear(AttemptPhase::Stuck);
        let message = it.rig.plane.message();
        assert!(message.contains(said), "{said}: {message}");
        it.rig.assert_on(closure, version);
    }
    // Before the commit every prior is good: nothing may keep a host on what failed.
    let sick = it.closure("v5");
    it.rig.sicken("v5");
    let manifest = SignedRig::manifest(3, &sick);
    it.rig
        .plane
        .release_signed(&sick, manifest.id, &it.signer.sign(&manifest));
    it.rig.plane.reach(StepState::Reverted);
    it.rig.assert_on(&after, "v4");
}
