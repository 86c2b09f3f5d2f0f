use std::fs;
use std::process::Command;

use chrono::TimeDelta;

use super::*;
use crate::manifest;
use crate::signature::Signature;
use crate::testing::{Signer, forged_minisign};

fn manifest() -> Manifest {
    manifest::tests::manifest()
}

/// What a host knows: web-1 in prod, an hour after the manifest was made.
struct Facts {
    host: HostName,
    environment: EnvironmentName,
    closure: StorePath,
    now: Timestamp,
    committed: Option<Committed>,
    release: Option<ReleaseId>,
}

fn ask(signed: &SignedManifest, keys: &ReleaseKeys, change: impl FnOnce(&mut Facts)) -> Result<u64, String> {
    let mut facts = Facts {
        host: "web-1".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        closure: "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-web-1"
            .parse()
            .unwrap(),
        now: Timestamp::from_timestamp(1_800_003_600, 0).unwrap(),
        committed: None,
        release: None,
    };
    change(&mut facts);
    let asked = Question {
        host: &facts.host,
        environment: &facts.environment,
        keys,
        now: facts.now,
        committed: facts.committed,
        closure: &facts.closure,
        release: facts.release,
    };
    admit(signed, &asked)
        .map(|(manifest, ..)| manifest.number)
        .map_err(|error| error.to_string())
}

#[test]
fn a_manifest_that_ssh_keygen_signed_counts() {
    let signer = Signer::new();
    let manifest = manifest();
    let good = signer.sign(&manifest);
    assert_eq!(
        ask(&good, &signer.keys(), |asked| asked.release = Some(manifest.id)),
        Ok(7)
    );
    // The same release again, as after a host was put back.
    let again = Committed {
        number: 7,
        manifest: good.digest(),
    };
    assert_eq!(
        ask(&good, &signer.keys(), |asked| asked.committed = Some(again)),
        Ok(7)
    );
}

#[test]
fn whatever_was_not_signed_for_this_host_is_refused() {
    let signer = Signer::new();
    let manifest = manifest();
    let good = signer.sign(&manifest);
    let neighbour = manifest.hosts[1].closure.clone();
    let committed = |number, manifest| Some(Committed { number, manifest });
    let digest = good.digest();
    let another = Digest::of_bytes(b"another");
    let refused = |change: &dyn Fn(&mut Facts)| {
        ask(&good, &signer.keys(), |facts| change(facts)).expect_err("it counts")
    };
    for (error, said) in [
        (
            refused(&|it| it.host = "web-9".parse().unwrap()),
            "names nothing for the host `web-9`",
        ),
        (refused(&|it| it.closure = neighbour.clone()), "names /nix/store"),
        (
            refused(&|it| it.environment = "staging".parse().unwrap()),
            "is for the environment `prod`",
        ),
        (refused(&|it| it.now = manifest.expires), "expired at"),
        (
            refused(&|it| it.committed = committed(8, digest)),
            "committed number 8",
        ),
        (
            refused(&|it| it.committed = committed(7, another)),
            "another release with the number 7",
        ),
        (
            refused(&|it| it.release = Some(ReleaseId::generate())),
            "and release",
        ),
    ] {
        assert!(error.contains(said), "{said}: {error}");
    }
    assert_eq!(
        ask(&good, &signer.keys(), |asked| asked.now =
            manifest.expires - TimeDelta::seconds(1)),
        Ok(7)
    );
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let signer = Signer::new();
    let good = signer.sign(&manifest());
    for at in 0..good.manifest.len() {
        let mut bytes = good.manifest.clone().into_bytes();
        bytes[at] ^= 1;
        let changed = SignedManifest {
            manifest: String::from_utf8(bytes).unwrap(),
            ..good.clone()
        };
        let error = ask(&changed, &signer.keys(), |_| ()).unwrap_err();
        assert!(error.contains("does not fit the manifest"), "{at}: {error}");
    }
}

#[test]
fn signatures_that_are_none_are_told_apart() {
    let signer = Signer::new();
    let stranger = Signer::new();
    let manifest = manifest();
    let good = signer.sign(&manifest);
    let with = |signatures: Vec<String>| SignedManifest {
        signatures,
        ..good.clone()
    };
    let own = good.signatures[0].clone();
    let strange = stranger.sign(&manifest).signatures.remove(0);
    let other_use = signer.signature(good.manifest.as_bytes(), "file");
    let cut = own[..own.len() - 40].to_owned();
    for (signed, said) in [
        (with(vec![]), "is not signed"),
        (with(vec![own.clone(), own.clone()]), "signed twice"),
        (with(vec![format!("{own}{strange}")]), "more than one signature"),
        (with(vec![own.clone(); 9]), "9 signatures"),
        (with(vec![strange.clone()]), "and the trusted keys are"),
        (with(vec![other_use]), "for the namespace `file`"),
        (with(vec![cut]), "cannot be read"),
        (with(vec!["x".repeat(5000)]), "are the most"),
        (with(vec!["hello".to_owned()]), "neither one of minisign"),
    ] {
        let error = ask(&signed, &signer.keys(), |_| ()).unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
    }
    // While keys are exchanged a release has both, and each host knows the one or the other.
    let both = with(vec![strange, own]);
    assert_eq!(ask(&both, &signer.keys(), |_| ()), Ok(7));
    assert_eq!(ask(&both, &stranger.keys(), |_| ()), Ok(7));
}

#[test]
fn a_signature_that_brings_its_own_key_along_counts_for_nothing() {
    let signer = Signer::new();
    let thief = Signer::new();
    let mut forged = thief.sign(&manifest());
    // The trusted key's name over the thief's signature.
    let key_of = |text: &str| ssh_key::SshSig::from_pem(text).unwrap();
    let (own, theirs) = (
        key_of(&signer.sign(&manifest()).signatures[0]),
        key_of(&forged.signatures[0]),
    );
    let mixed = ssh_key::SshSig::new(
        own.public_key().clone(),
        "slipway-release",
        theirs.hash_alg(),
        theirs.signature().clone(),
    );
    forged.signatures = vec![mixed.unwrap().to_pem(ssh_key::LineEnding::LF).unwrap()];
    let error = ask(&forged, &signer.keys(), |_| ()).unwrap_err();
    assert!(error.contains("does not fit the manifest"), "{error}");
}

/// Anybody can read a key's id in any signature, and write it over bytes that nobody signed.
#[test]
fn a_minisign_signature_that_only_names_a_trusted_key_counts_for_nothing() {
    let keys = ReleaseKeys::read("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").unwrap();
    let forged = SignedManifest {
        manifest: String::from_utf8(manifest().to_bytes().unwrap()).unwrap(),
        signatures: vec![forged_minisign(0xE762_0F18_42B4_E81F)],
    };
    let signature: Signature = forged.signatures[0].parse().unwrap();
    assert!(signature.names(&keys.as_slice()[0]));
    assert_eq!(signature.fits(forged.manifest.as_bytes()), None);
    let error = ask(&forged, &keys, |_| ()).unwrap_err();
    assert!(error.contains("does not fit the manifest"), "{error}");
}

/// Where the distribution has minisign; the form of its keys is also tested without it.
#[test]
fn a_manifest_that_minisign_signed_counts() {
    let dir = tempfile::tempdir().unwrap();
    let minisign = |arguments: &[&str]| {
        Command::new("minisign")
            .args(arguments)
            .current_dir(dir.path())
            .output()
    };
    if minisign(&["-v"]).is_err() {
        return;
    }
    let made = minisign(&["-G", "-W", "-p", "key.pub", "-s", "key"]).unwrap();
    assert!(made.status.success(), "{made:?}");
    let bytes = manifest().to_bytes().unwrap();
    fs::write(dir.path().join("manifest"), &bytes).unwrap();
    let signed = minisign(&["-S", "-s", "key", "-m", "manifest"]).unwrap();
    assert!(signed.status.success(), "{signed:?}");
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let keys = ReleaseKeys::read(&read("key.pub")).unwrap();
    let good = SignedManifest {
        manifest: String::from_utf8(bytes).unwrap(),
        signatures: vec![read("manifest.minisig")],
    };
    assert_eq!(ask(&good, &keys, |_| ()), Ok(7));
    let changed = SignedManifest {
        manifest: good.manifest.replace("web-2", "web-3"),
        ..good.clone()
    };
    assert!(ask(&changed, &keys, |_| ()).unwrap_err().contains("does not fit"));
    let cut = SignedManifest {
        signatures: vec![good.signatures[0].lines().take(2).collect::<Vec<_>>().join("\n")],
        ..good
    };
    assert!(
        ask(&cut, &keys, |_| ())
            .unwrap_err()
            .contains("2 lines and not 4")
    );
}
