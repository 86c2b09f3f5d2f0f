//! Scripts of the modules that no other test runs, with the programs that a host has.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rcgen::{CertificateParams, KeyPair};

fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../modules")
}

/// Runs it as the modules do, with the rules of a strict shell.
fn run(script: &str, arguments: &[String]) -> Output {
    let mut command = Command::new("bash");
    let file = modules().join(script);
    command.args(["-euo", "pipefail"]).arg(file).args(arguments);
    command.output().unwrap()
}

fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A certificate and its key below `folder`.
fn put_pair(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([format!("{name}.internal")])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let files = (
        folder.join(format!("{name}.pem")),
        folder.join(format!("{name}-key")),
    );
    fs::write(&files.0, certificate.pem()).unwrap();
    fs::write(&files.1, key.serialize_pem()).unwrap();
    files
}

/// A door's folder, and the files that its option names.
struct Door {
    folder: tempfile::TempDir,
    given: Vec<(&'static str, PathBuf)>,
}

impl Door {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("door")).unwrap();
        let (certificate, key) = put_pair(folder.path(), "door");
        let (authority, _) = put_pair(folder.path(), "authority");
        let passwords = folder.path().join("given-passwords");
        fs::write(&passwords, "app-1:{PLAIN}staple\n").unwrap();
        let given = vec![
            ("certificate", certificate),
            ("key", key),
            ("authority", authority),
            ("passwordsFile", passwords),
        ];
        Self { folder, given }
    }

    fn given(&self, what: &str) -> &Path {
        &self.given.iter().find(|(name, _)| *name == what).unwrap().1
    }

    fn taken(&self, name: &str) -> PathBuf {
        self.folder.path().join("door").join(name)
    }

    fn take(&self) -> Output {
        let folder = self.folder.path().join("door").display().to_string();
        let files = self
            .given
            .iter()
            .map(|(name, file)| format!("{name}={}", file.display()));
        let arguments: Vec<String> = ["the.door".to_owned(), folder].into_iter().chain(files).collect();
        run("telemetry/door-files.sh", &arguments)
    }
}

#[test]
fn a_door_takes_its_files_for_its_own_account_alone() {
    let door = Door::new();
    for _ in 0..2 {
        let output = door.take();
        assert!(output.status.success(), "{output:?}");
    }
    for (what, taken) in [
        ("certificate", "certificate.pem"),
        ("key", "key.pem"),
        ("authority", "authority.pem"),
        ("passwordsFile", "passwords"),
    ] {
        let file = door.taken(taken);
        assert_eq!(
            fs::read(&file).unwrap(),
            fs::read(door.given(what)).unwrap(),
            "{what}"
        );
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{what}");
    }
    assert_eq!(
        fs::read_dir(door.taken("")).unwrap().count(),
        4,
        "something is left"
    );
}

#[test]
fn a_door_names_the_file_that_is_wrong_and_keeps_those_that_it_has() {
    let door = Door::new();
    assert!(door.take().status.success());
    let kept = fs::read(door.taken("key.pem")).unwrap();
    let (_, other) = put_pair(door.folder.path(), "other");
    for (what, content, words) in [
        ("key", None, "does not exist"),
        ("authority", Some(String::new()), "is empty"),
        ("passwordsFile", Some(String::new()), "is empty"),
        (
            "certificate",
            Some("no certificate\n".to_owned()),
            "is no certificate in PEM",
        ),
        (
            "authority",
            Some("no certificate\n".to_owned()),
            "is no certificate in PEM",
        ),
        (
            "key",
            Some(fs::read_to_string(other).unwrap()),
            "does not belong to",
        ),
    ] {
        let file = door.given(what);
        let before = fs::read(file).unwrap();
        match content {
            Some(content) => fs::write(file, content).unwrap(),
            None => fs::remove_file(file).unwrap(),
        }
        let told = refusal(&door.take());
        let start = format!("the.door.{what}: {} {words}", file.display());
        assert!(
            told.lines().any(|line| line.starts_with(&start)),
            "{start}: {told}"
        );
        assert_eq!(fs::read(door.taken("key.pem")).unwrap(), kept, "{what}");
        fs::write(file, before).unwrap();
    }
    assert!(door.take().status.success());
}

#[test]
fn a_calendar_that_never_comes_ends_the_build() {
    let check = |calendar: &str| {
        run(
            "stack/calendars.sh",
            &["the.schedule".to_owned(), calendar.to_owned()],
        )
    };
    for calendar in [
        "daily",
        "*-02-29",
        "Mon..Fri 03:15",
        "*-*-* 02:15:00 UTC",
        "2030-01-01",
    ] {
        let output = check(calendar);
        assert!(output.status.success(), "{calendar}: {output:?}");
    }
    for (calendar, words) in [
        ("*-02-31", "\"*-02-31\" never comes"),
        ("*-02-30 03:00:00", "never comes"),
        ("2020-01-01", "never comes"),
        ("Fri..Mon/90", "systemd cannot read"),
        ("25:70", "systemd cannot read"),
        ("--help", "systemd cannot read"),
    ] {
        let told = refusal(&check(calendar));
        assert!(
            told.starts_with("the.schedule: ") && told.contains(words),
            "{calendar}: {told}"
        );
    }
}
