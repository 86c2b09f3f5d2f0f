//! Keys and manifests for tests, signed by the real `ssh-keygen`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use slipway_domain::digest::Digest;
use slipway_domain::{HostName, ReleaseId, StorePath, Timestamp};
use tempfile::TempDir;

use crate::keys::ReleaseKeys;
use crate::manifest::{FORMAT, HostEntry, Manifest, Source};
use crate::signature::NAMESPACE;
use crate::signed::SignedManifest;

/// A key pair of `ssh-keygen`, in a folder of its own.
#[derive(Debug)]
pub struct Signer {
    dir: TempDir,
}

impl Signer {
    /// A new pair.
    ///
    /// # Panics
    /// Without `ssh-keygen`.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let key = ["-q", "-t", "ed25519", "-N", "", "-C", "ci", "-f", "key"];
        ssh_keygen(&key, dir.path());
        Self { dir }
    }

    /// The private key's file.
    #[must_use]
    pub fn private_key(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    /// The public key, as a line.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn public_key(&self) -> String {
        fs::read_to_string(self.dir.path().join("key.pub")).expect("its public key")
    }

    /// What a host trusts that trusts this key alone.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn keys(&self) -> ReleaseKeys {
        ReleaseKeys::read(&self.public_key()).expect("a key")
    }

    /// A signature of these bytes for this use.
    ///
    /// # Panics
    /// When `ssh-keygen` fails.
    #[must_use]
    pub fn signature(&self, bytes: &[u8], namespace: &str) -> String {
        let file = self.dir.path().join("manifest");
        let signature = self.dir.path().join("manifest.sig");
        fs::write(&file, bytes).expect("our own folder");
        let _ = fs::remove_file(&signature);
        let sign = ["-q", "-Y", "sign", "-f", "key", "-n", namespace, "manifest"];
        ssh_keygen(&sign, self.dir.path());
        fs::read_to_string(signature).expect("its signature")
    }

    /// A manifest, signed.
    ///
    /// # Panics
    /// When the manifest is none.
    #[must_use]
    pub fn sign(&self, manifest: &Manifest) -> SignedManifest {
        let bytes = manifest.to_bytes().expect("a manifest");
        SignedManifest {
            signatures: vec![self.signature(&bytes, NAMESPACE)],
            manifest: String::from_utf8(bytes).expect("JSON is UTF-8"),
        }
    }
}

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

/// A signature in minisign's form that names the key with this id. Nobody signed anything.
#[must_use]
pub fn forged_minisign(key_id: u64) -> String {
    let signature = [b"ED".as_slice(), &key_id.to_le_bytes(), &[0; 64]].concat();
    format!(
        "untrusted comment: forged\n{}\ntrusted comment: forged\n{}\n",
        STANDARD.encode(signature),
        STANDARD.encode([0; 64])
    )
}

fn ssh_keygen(arguments: &[&str], dir: &Path) {
    let output = Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(dir)
        .output();
    let output = output.expect("ssh-keygen is installed (apt-get install openssh-client)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Now, by this machine's clock.
#[must_use]
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A manifest for `prod` that is good for a day from `created` on. The digests are those of the files that are in the
/// store; where there are none, of nothing.
///
/// # Panics
/// With odd names.
#[must_use]
pub fn manifest(number: u64, created: Timestamp, hosts: &[(&str, &StorePath)]) -> Manifest {
    let digest = |closure: &StorePath, file: &str| {
        let bytes = fs::read(closure.as_path().join(file)).ok()?;
        Some(Digest::of_bytes(&bytes))
    };
    let entry = |(name, closure): &(&str, &StorePath)| HostEntry {
        name: name.parse::<HostName>().expect("a name"),
        checks: digest(closure, "etc/slipway/checks.json").unwrap_or_else(|| Digest::of_bytes(b"")),
        hooks: digest(closure, "etc/slipway/hooks.json"),
        closure: (*closure).clone(),
    };
    Manifest {
        format: FORMAT,
        id: ReleaseId::generate(),
        environment: "prod".parse().expect("a name"),
        number,
        created,
        expires: created + Duration::from_hours(24),
        source: Source::default(),
        hosts: hosts.iter().map(entry).collect(),
    }
}
