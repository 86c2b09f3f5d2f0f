//! Manifests: written, signed by the tools themselves, registered and checked.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::common::{AT, Slipway};
use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply};
use slipway_release::testing::Signer;

const HASH: &str = "0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d";

/// A closure with checks, which need be in no store of Nix.
fn closure(folder: &Path) -> String {
    let path = folder.join(format!("{HASH}-nixos-system-web-1"));
    fs::create_dir_all(path.join("etc/slipway")).unwrap();
    fs::write(path.join("etc/slipway/checks.json"), "{}").unwrap();
    path.display().to_string()
}

fn api() -> ScriptedApi {
    ScriptedApi::start(|request| {
        let sent: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let manifest: Value = serde_json::from_str(sent["manifest"].as_str().unwrap_or("null")).unwrap();
        let release = json!({
            "id": manifest["id"], "author": "ci", "created_at": AT, "message": null, "source": {},
            "closures": { "web-1": manifest["hosts"][0]["closure"] },
        });
        ScriptedReply::json(201, &release)
    })
}

struct Bench {
    slipway: Slipway,
    server: ScriptedApi,
    signer: Signer,
}

impl Bench {
    fn new() -> Self {
        let server = api();
        Self {
            slipway: Slipway::at(&server),
            server,
            signer: Signer::new(),
        }
    }

    fn at(&self, name: &str) -> String {
        self.slipway.home.path().join(name).display().to_string()
    }

    fn manifest(&self, more: &[&str]) -> String {
        let file = self.at("manifest.json");
        let given = format!("web-1={}", closure(self.slipway.home.path()));
        let mut arguments = vec![
            "release",
            "manifest",
            "--env",
            "prod",
            "--closure",
            &given,
            "--output",
            &file,
        ];
        arguments.extend(more);
        let ran = self.slipway.run(&arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        file
    }

    fn keys(&self) -> String {
        let file = self.at("release-keys");
        fs::write(&file, self.signer.public_key()).unwrap();
        file
    }

    fn posted(&self) -> Vec<Value> {
        let requests = self.server.requests();
        let posts = requests
            .iter()
            .filter(|request| request.line() == "POST /api/v1/signed-releases");
        posts
            .map(|request| serde_json::from_str(&request.body).unwrap())
            .collect()
    }
}

#[test]
fn a_manifest_is_sent_as_it_was_signed_and_verified_offline() {
    let bench = Bench::new();
    let manifest = bench.manifest(&["--number", "7"]);
    let key = bench.signer.private_key().display().to_string();
    let command = format!("ssh-keygen -q -Y sign -n slipway-release -f {key}");
    for signer in [["--sign-key", &key], ["--sign-command", &command]] {
        let mut arguments = vec!["release", "create", "--manifest", &manifest];
        arguments.extend(signer);
        let ran = bench.slipway.run(&arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let text = fs::read_to_string(&manifest).unwrap();
    let posted = bench.posted();
    assert_eq!(posted.len(), 2);
    assert!(posted.iter().all(|sent| sent["manifest"] == text), "{posted:?}");

    let signature = bench.at("manifest.sig");
    fs::write(&signature, posted[0]["signatures"][0].as_str().unwrap()).unwrap();
    let (keys, asked) = (bench.keys(), bench.server.requests().len());
    let verify = |more: &[&str]| {
        let mut arguments = vec![
            "release",
            "verify",
            &manifest,
            "--signature",
            &signature,
            "--keys",
            &keys,
        ];
        arguments.extend(more);
        bench.slipway.run(&arguments)
    };
    let ran = verify(&["--env", "prod", "--host", "web-1"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("number 7 of prod, for 1 host"),
        "{}",
        ran.stdout
    );
    for (more, said) in [
        (["--env", "staging"], "not for `staging`"),
        (["--host", "web-9"], "nothing for the host `web-9`"),
    ] {
        let ran = verify(&more);
        assert_eq!(ran.code, 30, "{ran:?}");
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    fs::write(&manifest, text.replace("web-1", "web-2")).unwrap();
    let ran = verify(&[]);
    assert_eq!(ran.code, 30, "{ran:?}");
    assert!(ran.stderr.contains("does not fit the manifest"), "{}", ran.stderr);
    fs::write(&manifest, &text[..50]).unwrap();
    let ran = verify(&[]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("cut short"), "{}", ran.stderr);
    assert_eq!(bench.server.requests().len(), asked, "verify asked the API");
}

#[test]
fn what_cannot_be_signed_is_told_and_nothing_is_sent() {
    let bench = Bench::new();
    let manifest = bench.manifest(&[]);
    let key = bench.signer.private_key();
    let create = |more: &[&str]| {
        let mut arguments = vec!["release", "create", "--manifest", &manifest];
        arguments.extend(more);
        bench.slipway.run(&arguments)
    };
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let key = key.display().to_string();
    let text = bench.at("text");
    fs::write(&text, "hello").unwrap();
    for (more, said) in [
        (vec!["--sign-key", &key], "can be read by others (mode 644)"),
        (
            vec!["--sign-key", &text],
            "neither a key of ssh-keygen nor a secret key of minisign",
        ),
        (vec!["--sign-command", "cat"], "neither one of minisign nor of"),
        (vec!["--sign-command", "exit 3"], "failed (exit status: 3)"),
        (vec!["--signature", &text], "neither one of minisign"),
        (vec![], "--signature"),
    ] {
        let ran = create(&more);
        assert_ne!(ran.code, 0, "{said}");
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    assert!(bench.posted().is_empty());
    let gone = format!("web-1=/nix/store/{HASH}-nowhere");
    let other = bench.at("other.json");
    let ran = bench.slipway.run(&[
        "release",
        "manifest",
        "--env",
        "prod",
        "--closure",
        &gone,
        "--output",
        &other,
    ]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("must be on this machine"), "{}", ran.stderr);
}
