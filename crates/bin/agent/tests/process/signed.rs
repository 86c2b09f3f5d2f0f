//! With release keys the agent runs what was signed for its host, and nothing else that the control plane names.

use std::fs;
use std::time::{Duration, Instant};

use slipway_domain::agent::ManifestRef;
use slipway_domain::digest::Digest;
use slipway_domain::{ReleaseId, StepState, StorePath};
use slipway_release::testing::{Signer, manifest, now};
use slipway_release::{Manifest, SignedManifest};

use crate::AgentRig;
use crate::rig::AgentProcess;

/// A host in `prod` that trusts one key.
pub(super) struct SignedRig {
    pub(super) rig: AgentRig,
    pub(super) signer: Signer,
}

impl SignedRig {
    pub(super) fn new() -> Self {
        let (rig, signer) = (AgentRig::new(), Signer::new());
        fs::write(rig.nix.dir().join("release-keys"), signer.public_key()).unwrap();
        Self { rig, signer }
    }

    fn settings(&self) -> [(&'static str, String); 2] {
        let file = self.rig.nix.dir().join("release-keys");
        [
            ("AGENT_ENVIRONMENT", "prod".to_owned()),
            ("AGENT_RELEASE_KEYS_FILE", file.display().to_string()),
        ]
    }

    pub(super) fn agent(&self) -> AgentProcess {
        self.agent_with(&[])
    }

    pub(super) fn agent_with(&self, env: &[(&str, &str)]) -> AgentProcess {
        let mut command = self.rig.command(&["run"]);
        command.envs(self.settings()).envs(env.iter().copied());
        self.rig.spawn(command)
    }

    /// A closure that carries the host's release keys, as every one of such a host does.
    pub(super) fn closure(&self, version: &str) -> StorePath {
        let keys = self.signer.public_key();
        self.rig.closure(version, |spec| spec.release_keys = Some(keys))
    }

    pub(super) fn manifest(number: u64, closure: &StorePath) -> Manifest {
        manifest(number, now(), &[("web-1", closure)])
    }

    /// Rolls a signed release out until it is committed.
    pub(super) fn commit(&self, number: u64, closure: &StorePath) -> (Manifest, SignedManifest) {
        let manifest = Self::manifest(number, closure);
        let signed = self.signer.sign(&manifest);
        self.rig.plane.release_signed(closure, manifest.id, &signed);
        self.rig.plane.reach(StepState::Committed);
        (manifest, signed)
    }

    /// The attempt under way ends with the host untouched, and says why.
    pub(super) fn refused(&self, said: &str) {
        self.rig.plane.reach(StepState::Reverted);
        let message = self.rig.plane.message();
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[test]
fn what_a_trusted_key_signed_for_this_host_is_run() {
    let it = SignedRig::new();
    let _agent = it.agent();
    let v2 = it.rig.v2.clone();
    let (_, signed) = it.commit(1, &v2);
    it.rig.assert_on(&v2, "v2");
    let committed = it.rig.journal().signed.unwrap();
    assert_eq!((committed.number, committed.manifest), (1, signed.digest()));
    assert_eq!(it.rig.plane.state().manifest_requests, 1);
    let log = it.rig.agent_log();
    assert!(log.contains("takes signed releases only"), "{log}");
    // Its own prior needs no manifest.
    let (v3, v4) = (it.closure("v3"), it.closure("v4"));
    it.commit(2, &v3);
    it.commit(3, &v4);
    it.rig.plane.abort();
    it.rig.plane.reach(StepState::Reverted);
    it.rig.assert_on(&v3, "v3");
}

/// What somebody with the control plane, its database or its Redis can name: each is refused before anything is touched,
/// and the report names it.
#[test]
fn what_nobody_signed_for_this_host_is_refused() {
    let it = SignedRig::new();
    let _agent = it.agent();
    let (v2, v3) = (it.rig.v2.clone(), it.rig.closure("v3", |_| {}));
    let (old, old_signed) = it.commit(4, &v2);
    it.commit(5, &v2);
    let runs = it.rig.log().len();
    let plane = &it.rig.plane;
    let stranger = Signer::new();
    let good = SignedRig::manifest(6, &v3);
    let change = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        it.signer.sign(&manifest)
    };

    // A closure without a manifest, as whoever writes to the database can name it.
    plane.release(&v3, crate::quick());
    it.refused("takes signed releases only");
    for (closure, signed, said) in [
        (&v3, stranger.sign(&good), "the trusted keys are"),
        (&v2, it.signer.sign(&good), "names /"),
        (&v2, old_signed.clone(), "this host has committed number 5"),
        (
            &v3,
            change(&|it| it.environment = "staging".parse().unwrap()),
            "for the environment `staging`",
        ),
        (
            &v3,
            change(&|it| it.hosts[0].name = "web-2".parse().unwrap()),
            "names nothing for the host `web-1`",
        ),
        (
            &v3,
            change(&|it| it.number = 5),
            "another release with the number 5",
        ),
        (
            &v3,
            change(&|it| it.hosts[0].checks = Digest::of_bytes(b"others")),
            "its etc/slipway/checks.json is not the one",
        ),
        (
            &v3,
            change(&|it| it.hosts[0].hooks = Some(Digest::of_bytes(b"some"))),
            "its etc/slipway/hooks.json is not the one",
        ),
        (
            &v3,
            change(&|it| {
                it.expires = now() - Duration::from_secs(1);
                it.created = it.expires - Duration::from_mins(1);
            }),
            "expired at",
        ),
    ] {
        let id = if said.contains("committed number") {
            old.id
        } else {
            good.id
        };
        plane.release_signed(closure, id, &signed);
        it.refused(said);
    }
    let signed = it.signer.sign(&good);
    let cut = SignedManifest {
        manifest: signed.manifest[..signed.manifest.len() - 40].to_owned(),
        ..signed.clone()
    };
    // Of another manifest: the agent has the good one already, and would go by that.
    let other = SignedRig::manifest(7, &v3);
    let mut twice = it.signer.sign(&other);
    twice.signatures.push(twice.signatures[0].clone());
    for (release, handed_out, said) in [
        (good.id, &cut, "changed or cut short"),
        (other.id, &twice, "signed twice"),
    ] {
        plane.release_signed(&v3, release, handed_out);
        it.refused(said);
    }
    // The right manifest under another release's name, another one than was named, and none at all.
    plane.release_signed(&v3, ReleaseId::generate(), &signed);
    it.refused("was named");
    let named = ManifestRef {
        release: good.id,
        digest: Digest::of_bytes(b"named"),
    };
    plane.release_named(&v3, named, Some(&signed));
    it.refused("handed out");
    let unknown = ManifestRef {
        release: ReleaseId::generate(),
        digest: Digest::of_bytes(b"nowhere"),
    };
    plane.release_named(&v3, unknown, None);
    it.refused("does not hand out the manifest");

    assert_eq!(it.rig.log().len(), runs, "a script ran");
    it.rig.assert_on(&v2, "v2");
    // After all of that the good one still counts.
    plane.release_signed(&v3, good.id, &signed);
    plane.reach(StepState::Committed);
    it.rig.assert_on(&v3, "v3");
}

/// Expiry counts at the activation, not only when it was fetched.
#[test]
fn a_manifest_that_expires_while_it_waits_is_refused_at_the_door() {
    let it = SignedRig::new();
    let _agent = it.agent();
    let v2 = it.rig.v2.clone();
    let mut manifest = SignedRig::manifest(1, &v2);
    manifest.expires = now() + Duration::from_secs(15);
    let signed = it.signer.sign(&manifest);
    it.rig
        .plane
        .change(|state| state.hold_at = Some(StepState::Staged));
    it.rig.plane.release_signed(&v2, manifest.id, &signed);
    it.rig.plane.reach(StepState::Staged);
    let until = Instant::now() + Duration::from_mins(1);
    while now() < manifest.expires {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(50));
    }
    it.rig.plane.go_on();
    it.refused("expired at");
    it.rig.assert_on(&it.rig.v1, "v1");
}

/// A key is exchanged with an overlap. A release that would leave the host without the key that signed it is refused.
#[test]
fn a_key_goes_only_with_a_release_that_a_staying_key_signed() {
    let it = SignedRig::new();
    let _agent = it.agent();
    let next = Signer::new();
    let (old, new) = (it.signer.public_key(), next.public_key());
    let with = |version: &str, keys: String| it.rig.closure(version, |spec| spec.release_keys = Some(keys));
    let both = with("v3", format!("{old}{new}"));
    let only_new = with("v4", new.clone());
    let broken = with("v5", "# none\n".to_owned());

    let release = |closure: &StorePath, number, signed: &dyn Fn(&Manifest) -> SignedManifest| {
        let manifest = SignedRig::manifest(number, closure);
        it.rig
            .plane
            .release_signed(closure, manifest.id, &signed(&manifest));
    };
    release(&only_new, 1, &|manifest| it.signer.sign(manifest));
    it.refused("does not trust the key of its manifest");
    release(&broken, 1, &|manifest| it.signer.sign(manifest));
    it.refused("holds no usable keys");
    it.commit(1, &both);
    // Signed with both, the old key may go: this host knows the old one, and the closure the new one.
    release(&only_new, 2, &|manifest| {
        let mut signed = it.signer.sign(manifest);
        signed.signatures.extend(next.sign(manifest).signatures);
        signed
    });
    it.rig.plane.reach(StepState::Committed);
    it.rig.assert_on(&only_new, "v4");
}

#[test]
fn the_agent_says_whom_it_trusts_and_does_not_start_on_half_a_word() {
    let it = SignedRig::new();
    let agent = it.rig.agent();
    it.rig.eventually("a word on trust", |rig| {
        rig.agent_log().contains("it trusts the control plane")
    });
    agent.kill();
    let keys = it.rig.nix.dir().join("release-keys");
    let output = |settings: &[(&str, String)]| {
        let mut command = it.rig.command(&["run"]);
        let output = command.envs(settings.iter().cloned()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let [environment, file] = it.settings();
    let said = output(std::slice::from_ref(&file));
    assert!(said.contains("AGENT_ENVIRONMENT is not"), "{said}");
    fs::write(&keys, "# taken away\n").unwrap();
    let said = output(&[environment.clone(), file.clone()]);
    assert!(
        said.contains("release-keys") && said.contains("there is no key"),
        "{said}"
    );
    fs::remove_file(&keys).unwrap();
    let said = output(&[environment, file]);
    assert!(said.contains("cannot read AGENT_RELEASE_KEYS_FILE="), "{said}");
}
