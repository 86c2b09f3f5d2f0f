//! Whose word makes a closure fit to run: what is in the store already, forged, half signed, or leads out.

use super::*;

/// What somebody on this host added or built is in the store, and is no release for that. Nix itself takes both for
/// trusted: the one is content-addressed, the other was built here.
#[tokio::test]
async fn an_unsigned_closure_that_is_there_already_is_refused() {
    let rig = MachineRig::new();
    let folder = rig.folder(|_| {});
    let added = rig.nix.add_unsigned(&folder);
    let path = rig.nix.run(
        "nix",
        ["store", "add-path", folder.to_str().unwrap(), "--name", "other"],
    );
    let built = rig.nix.build(&folder);
    for closure in [added, path.parse().unwrap(), built] {
        // Nix finds nothing wrong with it.
        rig.machine
            .fetch(AttemptId::random(), &closure, BOUND)
            .await
            .unwrap();
        let error = rig.unfit(&closure).await;
        assert!(
            error.starts_with(&format!("{closure} lacks a signature by a trusted key")),
            "{error}"
        );
    }
}

/// A user may give a path that goes by its content any signatures that he likes; only a true one counts.
#[tokio::test]
async fn a_forged_signature_on_a_content_addressed_path_is_refused() {
    let rig = MachineRig::new();
    let closure = rig.nix.add_unsigned(&rig.folder(|_| {}));
    let (good, other) = (rig.nix.key("good-1"), rig.nix.key("other-1"));
    // The name of a trusted key on somebody else's signature.
    let secret = fs::read_to_string(&other.secret).unwrap();
    fs::write(&other.secret, secret.replace("other-1:", "good-1:")).unwrap();
    rig.nix.sign(&closure, &other);
    rig.nix.configure("", &good.public);
    let error = rig.unfit(&closure).await;
    assert!(error.contains("lacks a signature by a trusted key"), "{error}");
    rig.nix.sign(&closure, &good);
    rig.machine
        .admit_release(&closure, &ReleaseClaim::unsigned(), BOUND)
        .await
        .unwrap();
}

/// The top is signed and a part is not: the whole closure counts.
#[tokio::test]
async fn a_signed_closure_with_an_unsigned_part_is_refused() {
    let rig = MachineRig::new();
    let part = rig.nix.add_unsigned(&{
        let folder = rig.nix.dir().join("part");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("file"), "x").unwrap();
        folder
    });
    let folder = rig.folder(|_| {});
    fs::write(folder.join("reference"), part.as_str()).unwrap();
    let closure = rig.nix.build_with(&folder, &part);
    let key = rig.nix.key("good-1");
    let secret = key.secret.display().to_string();
    rig.nix
        .run("nix", ["store", "sign", "--key-file", &secret, closure.as_str()]);
    rig.nix.configure("", &key.public);
    let error = rig.unfit(&closure).await;
    assert!(
        error.starts_with(&format!("{part} lacks a signature by a trusted key")),
        "{error}"
    );
    rig.nix.sign(&closure, &key);
    rig.machine
        .admit_release(&closure, &ReleaseClaim::unsigned(), BOUND)
        .await
        .unwrap();
}

/// A host that built a part itself has no signature for it. Where a cache has one for the very same content, it counts;
/// one for other content does not.
#[tokio::test]
async fn a_caches_signature_counts_for_what_was_there_before() {
    let rig = MachineRig::new();
    let closure = rig.nix.build(&rig.folder(|_| {}));
    let key = rig.nix.key("good-1");
    let cache = rig.nix.copy_to_cache("cache", &closure, Some(&key));
    rig.nix
        .configure(&format!("file://{}", cache.display()), &key.public);
    rig.machine
        .admit_release(&closure, &ReleaseClaim::unsigned(), BOUND)
        .await
        .unwrap();

    let rig = MachineRig::new();
    let closure = rig.nix.build(&rig.folder(|_| {}));
    let key = rig.nix.key("good-1");
    let cache = rig.nix.copy_to_cache("cache", &closure, Some(&key));
    rig.nix
        .configure(&format!("file://{}", cache.display()), &key.public);
    let narinfo = narinfo(&cache, &closure);
    let text = fs::read_to_string(&narinfo).unwrap();
    let other = text.replace("NarSize: ", "NarSize: 1");
    fs::write(&narinfo, other).unwrap();
    let error = rig.unfit(&closure).await;
    assert!(error.contains("lacks a signature by a trusted key"), "{error}");
}

#[tokio::test]
async fn a_closure_that_leads_out_of_the_store_is_refused() {
    let rig = MachineRig::new();
    let outside = rig.nix.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    let real = rig.folder(|_| {});
    for (inside, expected) in [
        (
            "bin/switch-to-configuration",
            "bin/switch-to-configuration leads to ",
        ),
        ("etc/slipway/checks.json", "etc/slipway/checks.json leads to "),
    ] {
        let folder = rig.nix.dir().join(format!("copy-{}", inside.len()));
        rig.nix
            .run("cp", [OsStr::new("-r"), real.as_os_str(), folder.as_os_str()]);
        let target = outside.join(inside.replace('/', "-"));
        fs::rename(folder.join(inside), &target).unwrap();
        std::os::unix::fs::symlink(&target, folder.join(inside)).unwrap();
        let closure = rig.nix.add(&folder);
        let error = rig.unfit(&closure).await;
        assert!(
            error.contains(expected) && error.contains("outside the store"),
            "{error}"
        );
    }
}
