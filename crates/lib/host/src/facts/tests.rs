//! Facts of machines that tests make up, and of a real Nix.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use slipway_domain::StorePath;
use slipway_domain::facts::{Availability, FilesystemRole};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::testing::NixRig;

/// A machine with its own `/proc` and `/etc/ssh`.
struct Machine {
    folder: TempDir,
    proc: String,
    ssh: String,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| folder.path().join(name).display().to_string();
        let (proc, ssh) = (of("proc"), of("ssh"));
        fs::create_dir_all(format!("{proc}/pressure")).unwrap();
        fs::create_dir_all(format!("{proc}/1")).unwrap();
        fs::create_dir_all(&ssh).unwrap();
        Self { folder, proc, ssh }
    }

    fn places(&self) -> Places<'_> {
        Places {
            proc: &self.proc,
            ssh: &self.ssh,
            systemd: "/no/systemd",
        }
    }

    fn proc(&self, name: &str, text: &str) {
        fs::write(format!("{}/{name}", self.proc), text).unwrap();
    }
}

/// A host whose live system is a folder in the store, with these sources.
fn live(rig: &NixRig, sources: &str) -> StorePath {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("etc/slipway")).unwrap();
    fs::write(folder.path().join("etc/slipway/facts.json"), sources).unwrap();
    fs::write(folder.path().join("system"), "x86_64-linux").unwrap();
    fs::write(folder.path().join("kernel"), vec![0; 3000]).unwrap();
    fs::write(folder.path().join("initrd"), vec![0; 2000]).unwrap();
    let path = rig.add(folder.path());
    let link = &rig.host_config().live_link;
    let _ = fs::remove_file(link);
    std::os::unix::fs::symlink(path.as_path(), link).unwrap();
    path
}

#[tokio::test]
async fn a_machine_is_described_by_its_own_files() {
    let rig = NixRig::new();
    let machine = Machine::new();
    live(&rig, "{}");
    machine.proc(
        "meminfo",
        "MemTotal:        4096 kB\nMemAvailable:    1024 kB\nSwapFree:         512 kB\n",
    );
    machine.proc("loadavg", "0.50 1.25 2.00 1/300 4711\n");
    machine.proc("pressure/cpu", "some avg10=0.00 avg60=12.34 avg300=0 total=1\n");
    for what in ["io", "memory"] {
        machine.proc(
            &format!("pressure/{what}"),
            "some avg10=0.00 avg60=9.00 avg300=0 total=1\nfull avg10=0 avg60=1.50 avg300=0 total=1\n",
        );
    }
    machine.proc("1/mountinfo", "22 1 8:1 / / ro,relatime - ext4 /dev/sda1 rw\n");
    for (name, mode) in [
        ("ssh_host_ed25519_key", 0o600),
        ("ssh_host_rsa_key", 0o644),
        ("ssh_host_rsa_key.pub", 0o644),
    ] {
        let file = format!("{}/{name}", machine.ssh);
        fs::write(&file, "key").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }
    let facts = Box::pin(gather_from(&rig.host_config(), &machine.places(), None, None)).await;
    let memory = facts.memory.unwrap();
    assert_eq!(
        (memory.total_bytes, memory.available_bytes, memory.swap_free_bytes),
        (4096 * 1024, 1024 * 1024, 512 * 1024)
    );
    assert_eq!(facts.load.unwrap().five_minutes, 125);
    let pressure = facts.pressure.unwrap();
    assert_eq!((pressure.cpu, pressure.io, pressure.memory), (123, 15, 15));
    let filesystems = facts.filesystems.unwrap();
    let roles: Vec<FilesystemRole> = filesystems.iter().map(|found| found.role).collect();
    assert_eq!(
        roles,
        [
            FilesystemRole::Store,
            FilesystemRole::NixState,
            FilesystemRole::State
        ]
    );
    assert!(filesystems.iter().all(|found| found.read_only), "{filesystems:?}");
    assert_eq!(
        facts.readable_host_keys.unwrap(),
        [format!("{}/ssh_host_rsa_key", machine.ssh)]
    );
    assert_eq!(facts.nix_problem.as_deref(), Some(""));
    // No systemd, so nothing is known of it.
    assert_eq!((facts.systemd, facts.clock_synchronised), (None, None));
    assert_eq!(facts.clusters, Some(Vec::new()));
    drop(machine.folder);
}

/// A machine that tells nothing has no facts, and no good ones.
#[tokio::test]
async fn what_cannot_be_read_is_unknown() {
    let rig = NixRig::new();
    let places = Places {
        proc: "/no/proc",
        ssh: "/no/ssh",
        systemd: "/no/systemd",
    };
    let facts = Box::pin(gather_from(&rig.host_config(), &places, None, None)).await;
    assert_eq!((facts.memory, facts.pressure, facts.load), (None, None, None));
    assert_eq!(
        (
            facts.backups,
            facts.clusters,
            facts.certificates,
            facts.nix_problem
        ),
        (None, None, None, None)
    );
    assert_eq!(facts.closure, None);
}

async fn about(rig: &NixRig, closure: &StorePath) -> slipway_domain::facts::ClosureFacts {
    let facts = gather(&rig.host_config(), None, Some(closure)).await;
    facts.closure.unwrap()
}

fn closure_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), vec![7; 3 * 1024 * 1024]).unwrap();
    folder
}

#[tokio::test]
async fn a_closure_is_there_or_in_a_cache_or_nowhere_by_the_word_of_nix() {
    let rig = NixRig::new();
    let here = live(&rig, "{}");
    let found = about(&rig, &here).await;
    assert_eq!(
        (found.availability, found.system.as_deref(), found.boot_bytes),
        (Availability::Present, Some("x86_64-linux"), Some(5000))
    );

    let key = rig.key("cache-1");
    let part_folder = tempfile::tempdir().unwrap();
    fs::write(part_folder.path().join("file"), "part").unwrap();
    let part = rig.build(part_folder.path());
    let folder = closure_folder();
    // What is in a path makes it a part.
    fs::write(folder.path().join("part"), part.as_str()).unwrap();
    let closure = rig.build_with(folder.path(), &part);
    let cache = rig.move_to_cache("cache", &closure, Some(&key));
    rig.collect_garbage();
    rig.configure(&format!("file://{}", cache.display()), &key.public);
    let found = about(&rig, &closure).await;
    assert_eq!(found.availability, Availability::Fetchable, "{found:?}");
    assert!(found.unpacked_bytes > 2 * 1024 * 1024, "{found:?}");
    assert!(!closure.as_path().exists(), "a look must not fetch");

    // A part is gone from the cache.
    let hash = part.as_path().file_name().unwrap().to_str().unwrap()[..32].to_owned();
    fs::remove_file(cache.join(format!("{hash}.narinfo"))).unwrap();
    let found = about(&rig, &closure).await;
    assert_eq!(found.availability, Availability::Missing, "{found:?}");
    // Nobody listens there.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = silent.local_addr().unwrap();
    drop(silent);
    rig.configure(&format!("http://{nobody}"), &key.public);
    let found = about(&rig, &closure).await;
    assert_eq!(found.availability, Availability::Unreachable, "{found:?}");
    assert!(found.problem.unwrap().contains("don't know how to build"));
}

/// A server that gives one page to whoever asks.
async fn page(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    format!("http://{address}/status")
}

fn script(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file.display().to_string()
}

#[tokio::test]
async fn backups_clusters_and_certificates_are_asked_where_the_live_closure_says() {
    let rig = NixRig::new();
    let folder = tempfile::tempdir().unwrap();
    let backups = page(
        r#"{"ok": false, "stacks": [{"stack": "shop", "ok": false, "checked_at": "2026-12-01T00:00:00Z", "later": 1,
            "kinds": [{"kind": "dump", "ok": true, "failed": false, "late": false, "last_success": "2026-12-01T00:00:00Z"},
                      {"kind": "drill", "ok": false, "failed": true, "late": false, "last_success": null, "error": "no room"}],
            "archive": {"ok": false, "error": "the server does not archive"}}]}"#,
    )
    .await;
    let members = r#"[{"name":"ha-1","role":"leader","state":"running","lag":0},{"name":"ha-2","role":"replica","state":"streaming"},{"name":"ha-3","role":"replica","state":"stopped"}]"#;
    let good = script(folder.path(), "good", &format!("echo '{members}'"));
    let bad = script(folder.path(), "bad", "echo no answer >&2; exit 3");
    let certificate = folder.path().join("cert.pem");
    fs::write(&certificate, include_str!("testdata/long.pem")).unwrap();
    let sources = serde_json::json!({
        "backups": backups, "later": true, "certificates": [certificate],
        "clusters": [{"name": "main", "command": [good]}, {"name": "other", "command": [bad]}],
        "boot": folder.path(),
    });
    live(&rig, &sources.to_string());
    let facts = gather(&rig.host_config(), None, None).await;
    let backups = facts.backups.unwrap();
    let shown: Vec<(&str, bool, Option<&str>)> = backups
        .iter()
        .map(|backup| (backup.kind.as_str(), backup.ok, backup.problem.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("dump", true, None),
            ("drill", false, Some("no room")),
            ("archive", false, Some("the server does not archive")),
        ]
    );
    let clusters = facts.clusters.unwrap();
    let healthy: Vec<(bool, bool)> = clusters[0]
        .members
        .iter()
        .map(|member| (member.leads, member.healthy))
        .collect();
    assert_eq!(healthy, [(true, true), (false, true), (false, false)]);
    assert!(
        clusters[1].members.is_empty() && clusters[1].problem.as_ref().unwrap().contains("no answer"),
        "{clusters:?}"
    );
    assert!(facts.certificates.unwrap()[0].expires.is_some());
    let filesystems = facts.filesystems.unwrap();
    assert!(filesystems.iter().any(|found| found.role == FilesystemRole::Boot));

    // A silent exporter says nothing of the backups.
    live(&rig, r#"{"backups": "http://127.0.0.1:1/status"}"#);
    assert_eq!(gather(&rig.host_config(), None, None).await.backups, None);
}
