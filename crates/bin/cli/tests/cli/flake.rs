//! Releases from a flake, with the real Nix in a store of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{AT, RELEASE, Ran, Slipway, host, whoami};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply};

const FLAKE: &str = r#"{
  outputs = { self }: let
    host = name: builder: {
      config.system.build.toplevel = derivation {
        name = "nixos-system-${name}";
        system = builtins.currentSystem or "SYSTEM";
        builder = "/bin/sh";
        args = [ "-c" builder ];
      };
    };
  in {
    nixosConfigurations = {
      web-1 = host "web-1" "echo web-1 > $out";
      web-2 = host "web-2" "echo web-2 > $out";
      slow = host "slow" "exec /bin/sleep 1000";
      broken = host "broken" "echo this machine is broken >&2; exit 1";
    };
  };
}"#;

/// A flake, and a Nix of its own to build it with.
struct Bench {
    slipway: Slipway,
    server: ScriptedApi,
}

impl Bench {
    fn new() -> Self {
        let server = ScriptedApi::start(|request| {
            match request.line().as_str() {
                "GET /api/v1/whoami" => return ScriptedReply::json(200, &whoami()),
                "GET /api/v1/hosts" => {
                    let hosts = ["broken", "slow", "web-1", "web-2"].map(host);
                    return ScriptedReply::json(200, &json!({ "items": hosts }));
                }
                _ => {}
            }
            let sent: Value = serde_json::from_str(&request.body).unwrap();
            let release = json!({
                "id": RELEASE, "author": "ci", "created_at": AT, "message": null,
                "closures": sent["closures"], "source": sent["source"],
            });
            ScriptedReply::json(201, &release)
        });
        let mut slipway = Slipway::at(&server);
        let at = |name: &str| slipway.home.path().join(name);
        for folder in ["flake", "conf"] {
            fs::create_dir(at(folder)).unwrap();
        }
        let system = format!("{}-linux", std::env::consts::ARCH);
        fs::write(at("flake/flake.nix"), FLAKE.replace("SYSTEM", &system)).unwrap();
        let conf = "sandbox = false\nbuild-users-group =\nsubstituters =\n";
        fs::write(at("conf/nix.conf"), conf).unwrap();
        let folders = [
            ("NIX_STORE_DIR", at("store")),
            ("NIX_STATE_DIR", at("state")),
            ("NIX_LOG_DIR", at("log")),
            ("NIX_CONF_DIR", at("conf")),
        ];
        for (name, folder) in folders {
            slipway = slipway.env(name, folder.to_str().unwrap());
        }
        let slipway = slipway.env("NIX_REMOTE", "local");
        Self { slipway, server }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.slipway.home.path().join(name)
    }

    fn posted(&self) -> Option<Value> {
        let post = self
            .server
            .requests()
            .into_iter()
            .find(|request| request.method == "POST")?;
        serde_json::from_str(&post.body).ok()
    }
}

#[test]
fn a_garbage_collection_before_the_copy_takes_nothing_away() {
    let bench = Bench::new();
    let found = std::process::Command::new("sh")
        .args(["-c", "command -v nix"])
        .output()
        .unwrap();
    let nix = String::from_utf8(found.stdout).unwrap().trim().to_owned();
    fs::create_dir(bench.at("bin")).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *\" copy \"*) {nix} --extra-experimental-features nix-command store gc >&2 ;; esac\n\
         exec {nix} \"$@\"\n"
    );
    fs::write(bench.at("bin/nix"), script).unwrap();
    fs::set_permissions(bench.at("bin/nix"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(bench.at("tmp")).unwrap();
    let cache = format!("file://{}", bench.at("cache").display());
    let path = format!(
        "{}:{}",
        bench.at("bin").display(),
        std::env::var_os("PATH").unwrap().display()
    );
    let tmp = bench.at("tmp");
    let slipway = bench
        .slipway
        .env("PATH", &path)
        .env("TMPDIR", tmp.to_str().unwrap());
    let args = [
        "release",
        "create",
        "--flake",
        "path:./flake",
        "--host",
        "web-1",
        "--host",
        "web-2",
        "--cache",
        &cache,
    ];
    let ran = slipway.run(&args);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("store paths deleted"), "{}", ran.stderr);
    let left = fs::read_dir(slipway.home.path().join("tmp")).unwrap().count();
    assert_eq!(left, 0, "no root stays");
}

#[test]
fn chosen_hosts_are_built_copied_and_registered_with_their_source() {
    let bench = Bench::new();
    let cache = format!("file://{}", bench.at("cache").display());
    let ran = bench.slipway.run(&[
        "release",
        "create",
        "--flake",
        "path:./flake",
        "--host",
        "web-1",
        "--host",
        "web-2",
        "--cache",
        &cache,
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("[2/2] building web-2"), "{}", ran.stderr);
    let sent = bench.posted().unwrap();
    let closures = sent["closures"].as_object().unwrap();
    assert_eq!(closures.len(), 2);
    for (host, path) in closures {
        let path = path.as_str().unwrap();
        assert_eq!(fs::read_to_string(path).unwrap().trim(), host);
        let hash = path.rsplit('/').next().unwrap().split('-').next().unwrap();
        assert!(
            bench.at("cache").join(format!("{hash}.narinfo")).exists(),
            "{path}"
        );
    }
    let source = &sent["source"];
    assert!(
        source["nar_hash"].as_str().unwrap().starts_with("sha256-"),
        "{source}"
    );
    assert!(
        source["flake_ref"].as_str().unwrap().starts_with("path:"),
        "{source}"
    );
    assert_eq!(source.get("rev"), None);
}

#[test]
fn what_the_api_would_refuse_is_told_before_anything_is_built() {
    let bench = Bench::new();
    let create = ["release", "create", "--flake", "path:./flake", "--host", "web-1"];
    let long = "x".repeat(2001);
    for (message, expected) in [
        (long.as_str(), "--message has 2001 characters"),
        (" \n", "--message is empty"),
    ] {
        let ran = bench
            .slipway
            .run(&[&create[..], &["--message", message]].concat());
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    // A host of the flake that the API does not know.
    let flake = fs::read_to_string(bench.at("flake/flake.nix")).unwrap();
    fs::write(bench.at("flake/flake.nix"), flake.replace("web-2 =", "web-9 =")).unwrap();
    let ran = bench
        .slipway
        .run(&["release", "create", "--flake", "path:./flake", "--host", "web-9"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("web-9: there is no such host") && !ran.stderr.contains("building"),
        "{}",
        ran.stderr
    );
    assert_eq!(bench.posted(), None);
}

#[test]
fn a_viewer_is_told_before_anything_is_built() {
    let server = ScriptedApi::start(|_| {
        ScriptedReply::json(
            200,
            &json!({"kind": "principal", "name": "eve", "role": "viewer"}),
        )
    });
    let ran = Slipway::at(&server).run(&["release", "create", "--flake", "path:./flake"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("takes the role deployer"), "{}", ran.stderr);
}

#[test]
fn a_commits_message_is_registered_as_plain_text() {
    let bench = Bench::new();
    let message = "Fix\tit\r\n\r\nSee above\n";
    let args = [
        "release",
        "create",
        "--flake",
        "path:./flake",
        "--host",
        "web-1",
        "--message",
        message,
    ];
    let ran = bench.slipway.run(&args);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(bench.posted().unwrap()["message"], "Fix it\n\nSee above");
}

#[test]
fn a_stop_in_the_middle_of_a_build_leaves_no_root() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let bench = Bench::new();
        fs::create_dir(bench.at("tmp")).unwrap();
        let args = [
            "release",
            "create",
            "--flake",
            "path:./flake",
            "--host",
            "web-1",
            "--host",
            "slow",
        ];
        let child = bench
            .slipway
            .command(&args)
            .env("TMPDIR", bench.at("tmp"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let roots = || {
            let folders = fs::read_dir(bench.at("tmp")).unwrap().flatten();
            folders
                .filter(|folder| {
                    folder
                        .file_name()
                        .to_string_lossy()
                        .starts_with("slipway-release-")
                })
                .count()
        };
        let begun = Instant::now();
        // A link of the first host: the second is being built.
        let is_building = || {
            let folders = fs::read_dir(bench.at("tmp")).unwrap().flatten();
            folders
                .into_iter()
                .any(|folder| folder.path().join("web-1").is_symlink())
        };
        while !is_building() {
            assert!(begun.elapsed() < Duration::from_mins(2), "nothing is built");
            std::thread::sleep(Duration::from_millis(50));
        }
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let ran: Ran = child.wait_with_output().unwrap().into();
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stderr.contains("error: stopped"), "{}", ran.stderr);
        assert_eq!(roots(), 0, "no root stays");
        assert_eq!(bench.posted(), None);
    }
}

#[test]
fn a_build_that_fails_registers_nothing() {
    let bench = Bench::new();
    // Without --host all are built, and one of them is broken.
    let ran = bench
        .slipway
        .run(&["release", "create", "--flake", "path:./flake", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let problem = ran.problem();
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("`nix build` failed") && detail.contains("nothing was registered"),
        "{detail}"
    );
    assert!(
        problem["fields"].to_string().contains("this machine is broken"),
        "{problem}"
    );
    assert_eq!(bench.posted(), None);
}

#[test]
fn hosts_and_flakes_that_are_not_there_are_named() {
    let bench = Bench::new();
    let create = |args: &[&str]| {
        bench
            .slipway
            .run(&[&["release", "create", "--flake"], args].concat())
    };
    let ran = create(&["path:./flake", "--host", "db-1", "--host", "web-1"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr
            .contains("--host db-1: there is no such nixosConfiguration")
            && ran
                .stderr
                .contains("help: its nixosConfigurations are broken, slow, web-1, web-2"),
        "{}",
        ran.stderr
    );
    let ran = create(&["path:./nowhere"]);
    assert!(
        ran.code == 1 && ran.stderr.contains("`nix flake metadata` failed"),
        "{ran:?}"
    );
    assert_eq!(bench.posted(), None);
}

#[test]
fn a_machine_without_nix_is_told_what_else_there_is() {
    let bench = Bench::new();
    let args = ["release", "create", "--flake", "path:./flake"];
    let ran: Ran = bench
        .slipway
        .command(&args)
        .env("PATH", "")
        .output()
        .unwrap()
        .into();
    assert!(
        ran.code == 1 && ran.stderr.contains("nix is not installed"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("--closure HOST=PATH"), "{}", ran.stderr);
}

#[test]
fn a_commit_is_recorded_when_there_is_one() {
    let bench = Bench::new();
    let git = |args: &[&str]| {
        let status = std::process::Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(args)
            .current_dir(bench.at("flake"))
            .status()
            .unwrap();
        assert!(status.success());
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "first"]);
    let ran = bench
        .slipway
        .run(&["release", "create", "--flake", "./flake", "--host", "web-1"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let sent = bench.posted().unwrap();
    let rev = sent["source"]["rev"].as_str().unwrap();
    assert_eq!(rev.len(), 40);
    assert!(sent["source"]["flake_ref"].as_str().unwrap().contains(rev));
}
