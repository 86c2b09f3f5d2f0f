//! Signatures: those that are there, and those that a tool of the user's makes now. No private key is read here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use slipway_release::signature::NAMESPACE;
use slipway_release::{Manifest, Signature, SignedManifest};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::args::CreateReleaseArgs;
use crate::program::program;
use crate::{CliFailure, files, stop};

/// A private key of `ssh-keygen`, a public one of which ssh-agent has the other half, or a private key of minisign.
#[derive(Debug, PartialEq, Eq)]
enum KeyKind {
    SshPrivate,
    SshPublic,
    Minisign,
}

/// The manifest with its signatures, as it is to be registered.
pub(super) async fn signed(args: &CreateReleaseArgs, file: &Path) -> Result<SignedManifest, CliFailure> {
    let text = read_manifest(file)?;
    let mut signatures = Vec::new();
    for path in &args.signatures {
        signatures.push(files::read(path, "signature")?);
    }
    if let Some(key) = &args.sign_key {
        signatures.push(stop::or_stop(sign_with_key(key, file, &text)).await?);
    }
    if let Some(command) = &args.sign_command {
        let mut shell = program("sh");
        shell.args(["-c", command]).env("SLIPWAY_MANIFEST", file);
        signatures.push(stop::or_stop(run(shell, "--sign-command", &text)).await?);
    }
    let signed = SignedManifest {
        manifest: text,
        signatures,
    };
    signed
        .read()
        .map_err(|error| CliFailure::usage(error.to_string()))?;
    Ok(signed)
}

/// The text of a manifest that can be read.
pub(super) fn read_manifest(file: &Path) -> Result<String, CliFailure> {
    let text = files::read_list(file, "manifest")?;
    Manifest::read(text.as_bytes())
        .map_err(|error| CliFailure::usage(format!("{}: {error}", file.display())))?;
    Ok(text)
}

async fn sign_with_key(key: &Path, manifest: &Path, text: &str) -> Result<String, CliFailure> {
    match kind_of(key)? {
        KeyKind::SshPrivate | KeyKind::SshPublic => {
            let mut command = program("ssh-keygen");
            command.args(["-Y", "sign", "-n", NAMESPACE, "-f"]).arg(key);
            run(command, "ssh-keygen -Y sign", text).await
        }
        KeyKind::Minisign => {
            let output = Scratch::create()?;
            let signature = output.0.join("signature");
            let mut command = program("minisign");
            command
                .arg("-S")
                .arg("-s")
                .arg(key)
                .arg("-m")
                .arg(manifest)
                .arg("-x")
                .arg(&signature);
            // It may ask for the key's password.
            command.stdin(Stdio::inherit());
            finish(command, "minisign -S", None).await?;
            files::read(&signature, "signature")
        }
    }
}

/// A folder of this process alone; removed with what is in it.
struct Scratch(PathBuf);

impl Scratch {
    fn create() -> Result<Self, CliFailure> {
        let folder = std::env::temp_dir().join(format!("slipway-sign-{}", std::process::id()));
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&folder)
            .map_err(|error| CliFailure::io(format_args!("cannot make {}", folder.display()), &error))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What kind of key the file holds. A private one must be its owner's alone: whoever reads it signs releases.
fn kind_of(key: &Path) -> Result<KeyKind, CliFailure> {
    let text = files::read(key, "key")?;
    let first = text.lines().next().unwrap_or_default();
    let kind = if first.contains("BEGIN OPENSSH PRIVATE KEY") {
        KeyKind::SshPrivate
    } else if first.starts_with("ssh-ed25519 ") {
        KeyKind::SshPublic
    } else if first.starts_with("untrusted comment:") && text.contains("secret key") {
        KeyKind::Minisign
    } else {
        return Err(CliFailure::usage(format!(
            "--sign-key {} is neither a key of ssh-keygen nor a secret key of minisign",
            key.display()
        ))
        .help("make one with `ssh-keygen -t ed25519` or `minisign -G`, or sign with a command of yours: --sign-command"));
    };
    if kind == KeyKind::SshPublic {
        return Ok(kind);
    }
    let meta = fs::metadata(key)
        .map_err(|error| CliFailure::io(format_args!("cannot look at {}", key.display()), &error))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(CliFailure::usage(format!(
            "--sign-key {} can be read by others (mode {mode:03o})",
            key.display()
        ))
        .help(format!(
            "chmod 600 {}, and take a new key if somebody may have read it",
            key.display()
        )));
    }
    Ok(kind)
}

/// Runs a signing tool with the manifest on its stdin, and gives what it wrote.
async fn run(command: Command, name: &str, text: &str) -> Result<String, CliFailure> {
    let signature = finish(command, name, Some(text)).await?;
    let read: Result<Signature, _> = signature.parse();
    read.map_err(|error| CliFailure::usage(format!("{name}: {error}")))?;
    Ok(signature)
}

async fn finish(mut command: Command, name: &str, stdin: Option<&str>) -> Result<String, CliFailure> {
    if stdin.is_some() {
        command.stdin(Stdio::piped());
    }
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.map_err(|error| {
        CliFailure::io(format_args!("cannot run {name}"), &error)
            .help("install it, or sign the file elsewhere and give --signature")
    })?;
    if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
        let text = text.as_bytes().to_vec();
        // A tool that reads the file instead closes its stdin.
        tokio::spawn(async move {
            let _ = pipe.write_all(&text).await;
        });
    }
    let output = child
        .wait_with_output()
        .await
        .map_err(|error| CliFailure::io(format_args!("cannot run {name}"), &error))?;
    if !output.status.success() {
        return Err(CliFailure::internal(format!(
            "{name} failed ({}); nothing was registered",
            output.status
        )));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| CliFailure::internal(format!("{name} wrote no text; nothing was registered")))
}
