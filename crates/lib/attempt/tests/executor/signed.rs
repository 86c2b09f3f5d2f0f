//! A host with release keys: what it has committed decides how far the control plane's word brings it back.

use slipway_domain::agent::ManifestRef;
use slipway_domain::{AttemptId, AttemptPhase, Instruction};
use slipway_host::{Clock, ReleaseTrust};
use slipway_release::testing::{Signer, manifest};

use super::rig::{ExecutorRig, closure};

/// A host that trusts one key, on a first system that carries that key too.
struct SignedHost {
    rig: ExecutorRig,
    signer: Signer,
}

impl SignedHost {
    fn new() -> Self {
        let (rig, signer) = (ExecutorRig::new(), Signer::new());
        {
            let mut state = rig.host.state();
            state.trust = Some(ReleaseTrust {
                host: "web-1".parse().unwrap(),
                environment: "prod".parse().unwrap(),
                keys: signer.keys(),
            });
            state.keeps_keys = ["a", "b", "c"].map(closure).into();
        }
        Self { rig, signer }
    }

    /// Signs a release of this closure, and hands its manifest out.
    fn sign(&self, number: u64, name: &str) -> ManifestRef {
        let closure = closure(name);
        let manifest = manifest(number, self.rig.clock.wall(), &[("web-1", &closure)]);
        let signed = self.signer.sign(&manifest);
        let named = ManifestRef {
            release: manifest.id,
            digest: signed.digest(),
        };
        self.rig.host.state().manifests.insert(named.digest, signed);
        named
    }

    fn stage(&self, name: &str, manifest: Option<ManifestRef>) -> AttemptId {
        let attempt = AttemptId::random();
        self.rig.instructions.send_replace(Instruction::Stage {
            attempt,
            closure: closure(name),
            timeout_seconds: 60,
            origin: None,
            manifest,
        });
        attempt
    }

    /// Rolls the release out, until it is verified.
    async fn verify(&mut self, name: &str, manifest: ManifestRef) -> AttemptId {
        let attempt = self.stage(name, Some(manifest));
        self.rig.reach(attempt, AttemptPhase::Staged).await;
        self.rig.activate(attempt, name);
        self.rig.reach(attempt, AttemptPhase::Verified).await;
        attempt
    }

    async fn commit(&mut self, name: &str, manifest: ManifestRef) -> AttemptId {
        let attempt = self.verify(name, manifest).await;
        self.rig.commit(attempt);
        self.rig.reach(attempt, AttemptPhase::Committed).await;
        attempt
    }

    /// The number that was committed last, by the journal.
    fn number(&self) -> Option<u64> {
        self.rig.store.peek().unwrap().signed.map(|signed| signed.number)
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_signed_is_not_even_fetched() {
    let mut host = SignedHost::new();
    host.rig
        .behave("b", |it| it.fetch_fails = Some("it was fetched".to_owned()));
    let signed_for_another_closure = host.sign(1, "c");
    for (manifest, said) in [
        (None, "this host takes signed releases only"),
        (Some(signed_for_another_closure), "names /nix/store"),
    ] {
        let attempt = host.stage("b", manifest);
        let message = host.rig.message(attempt, AttemptPhase::StageFailed).await;
        assert!(message.contains(said), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_number_moves_with_the_commit_and_not_before() {
    let mut host = SignedHost::new();
    let release = host.sign(7, "b");
    let attempt = host.verify("b", release).await;
    assert_eq!(host.number(), None);
    host.rig.commit(attempt);
    host.rig.reach(attempt, AttemptPhase::Committed).await;
    assert_eq!(host.number(), Some(7));
}

/// The attempt got stuck with a release that another one committed later, from another prior. Its own prior is further back
/// than the host goes by the control plane's word.
#[tokio::test(start_paused = true)]
async fn a_stuck_attempts_number_does_not_vouch_for_its_way_back() {
    let mut host = SignedHost::new();
    let (between, last) = (host.sign(2, "b"), host.sign(3, "c"));
    let stuck = host.verify("c", last).await;
    host.rig.behave("a", |it| it.test_exit = 1);
    host.rig.revert(stuck, None);
    host.rig.reach(stuck, AttemptPhase::Stuck).await;
    host.rig.behave("a", |_| {});
    host.commit("b", between).await;
    let committed = host.commit("c", last).await;
    assert_eq!(host.number(), Some(3));

    host.rig.revert(stuck, None);
    let message = host.rig.message(stuck, AttemptPhase::Stuck).await;
    assert!(
        message.contains("has committed number 3 after this attempt"),
        "{message}"
    );
    assert_eq!(host.rig.now(), ExecutorRig::on("c", "c"));

    // The attempt that did commit it goes back to its own prior.
    host.rig.revert(committed, None);
    host.rig.reach(committed, AttemptPhase::Reverted).await;
    assert_eq!(host.rig.now(), ExecutorRig::on("b", "b"));
}
