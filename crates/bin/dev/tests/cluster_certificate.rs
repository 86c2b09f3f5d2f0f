//! A member's certificate, as the build and the host check it, and how the host gives it to its programs.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use slipway_dev::tls::Authority;

const NAMES: [&str; 2] = ["main.cluster.internal", "10.1.0.21"];

struct Host {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Host {
    fn new() -> Self {
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::create().unwrap(),
        };
        host.put("authority.pem", &host.authority.pem);
        let (certificate, key) = host.authority.sign("ha-1", &NAMES, Some(90)).unwrap();
        host.put("certificate.pem", &certificate);
        host.put("key", &key);
        // systemd alone is missing here; what it is told is kept.
        let bin = host.path("bin");
        fs::create_dir(&bin).unwrap();
        let told = host.path("told");
        host.put(
            "bin/systemctl",
            &format!("#!/bin/sh\necho \"$@\" >> {}\n", told.display()),
        );
        fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, scripts: &[&str]) -> Output {
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../modules/cluster");
        let texts: Vec<String> = scripts
            .iter()
            .map(|script| fs::read_to_string(modules.join(script)).unwrap())
            .collect();
        let account = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        Command::new("bash")
            .args(["-euo", "pipefail", "-c"])
            .arg(format!(
                "PATH={}:$PATH\n{}",
                self.path("bin").display(),
                texts.concat()
            ))
            .env("OPTION", "services.slipway.cluster")
            .env("AUTHORITY", self.path("authority.pem"))
            .env("CERTIFICATE", self.path("certificate.pem"))
            .env("ADDRESS", "10.1.0.21")
            .env("SERVER_NAME", "main.cluster.internal")
            .env("CLUSTER", "main")
            .env("KEY", "/run/secrets/key")
            .env("CREDENTIALS_DIRECTORY", self.folder.path())
            .env("FOLDER", self.path("given"))
            .env("ACCOUNTS", account.trim())
            .env("RELOADED", "slipway-patroni.service redis-shop.service")
            .env("RESTARTED", "slipway-sentinel.service")
            .output()
            .unwrap()
    }

    fn check(&self) -> Output {
        self.run(&["certificate-check.sh"])
    }

    fn give(&self) -> Output {
        fs::create_dir_all(self.path("given")).unwrap();
        self.run(&["certificate-check.sh", "certificate.sh"])
    }
}

#[test]
fn the_build_refuses_a_certificate_that_does_not_fit() {
    let host = Host::new();
    let output = host.check();
    assert!(output.status.success(), "{output:?}");
    let other = Authority::create().unwrap();
    for (signer, names, days, words) in [
        (&other, NAMES, Some(90), "does not pass as sslserver by"),
        (
            &host.authority,
            ["main.cluster.internal", "10.1.0.22"],
            Some(90),
            "is not for this member's address 10.1.0.21",
        ),
        (
            &host.authority,
            ["other.cluster.internal", "10.1.0.21"],
            Some(90),
            "is not for the cluster's name main.cluster.internal",
        ),
        // It has just ended.
        (&host.authority, NAMES, Some(0), "certificate has expired"),
    ] {
        let (certificate, key) = signer.sign("ha-1", &names, days).unwrap();
        host.put("certificate.pem", &certificate);
        host.put("key", &key);
        if days == Some(0) {
            // Certificates end with a whole second.
            std::thread::sleep(std::time::Duration::from_secs(2));
        }
        for output in [host.check(), host.give()] {
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(
                !output.status.success() && told.contains(words),
                "{words}: {told}"
            );
        }
    }
    host.put("certificate.pem", "");
    let told = String::from_utf8(host.check().stderr).unwrap();
    assert!(told.contains("is no certificate in PEM"), "{told}");
}

#[test]
fn a_new_certificate_reaches_every_program_and_says_when_it_ends() {
    let host = Host::new();
    let output = host.give();
    assert!(output.status.success(), "{output:?}");
    let account = fs::read_dir(host.path("given"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir())
        .unwrap();
    let given = |name: &str| fs::read_to_string(account.join(name)).unwrap();
    assert_eq!(given("certificate.pem"), host.read("certificate.pem"));
    assert_eq!(given("key.pem"), host.read("key"));
    let mode = fs::metadata(account.join("key.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        host.read("told"),
        "--no-block try-reload-or-restart slipway-patroni.service
--no-block try-reload-or-restart redis-shop.service
--no-block try-restart slipway-sentinel.service
"
    );
    let metrics = host.read("given/certificate.prom");
    let value = |of: &str| -> u64 {
        let name =
            format!(r#"slipway_cluster_certificate_end_timestamp_seconds{{cluster="main",of="{of}"}} "#);
        let line = metrics.lines().find_map(|line| line.strip_prefix(name.as_str()));
        line.unwrap_or_else(|| panic!("{of}: {metrics}")).parse().unwrap()
    };
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let days = (value("certificate") - now) / 86_400;
    assert!((89..=90).contains(&days), "{days}");
    assert!(value("authority") > value("certificate"));

    // A key that came without its certificate changes nothing.
    let (_, key) = host.authority.sign("ha-1", &NAMES, Some(90)).unwrap();
    let before = given("key.pem");
    host.put("key", &key);
    let output = host.give();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("keep the pair that they have"), "{told}");
    assert_eq!(given("key.pem"), before);
}
