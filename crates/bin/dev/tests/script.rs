//! `./dev` itself: what it says before it installs or builds anything.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::CommandFactory as _;
use slipway_dev::cli::DevCli;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../dev")
}

/// Puts a `cargo` of `version` into the folder. It writes down what it is asked, and builds nothing.
fn put_cargo(folder: &Path, version: &str) {
    let cargo = folder.join("cargo");
    let text = format!(
        "#!/bin/sh\necho \"$*\" >> \"${{0%/*}}/asked\"\ncase $1 in\n\
         --version) echo 'cargo {version} (0123456 2026-01-01)' ;;\n\
         metadata) echo '{{\"target_directory\":\"/nowhere\"}}' ;;\n\
         *) exit 9 ;;\nesac\n"
    );
    fs::write(&cargo, text).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
}

fn run_dev(words: &[&str], path: OsString) -> Output {
    let mut command = Command::new("bash");
    command.arg(script()).args(words).env("PATH", path);
    command.env_remove("IN_NIX_SHELL").output().unwrap()
}

/// What `./dev WORD` says where cargo is of `version`, once it has refused to go on.
fn refusal(word: &str, version: &str) -> String {
    let programs = tempfile::tempdir().unwrap();
    put_cargo(programs.path(), version);
    let system = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(
        [programs.path().to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&system)),
    )
    .unwrap();
    let output = run_dev(&[word], path);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// What `./dev` asks of cargo, and what it prints, on a machine that has a linker, git and no server.
fn on_a_bare_machine(words: &[&str]) -> (String, String) {
    let programs = tempfile::tempdir().unwrap();
    put_cargo(programs.path(), "1.999.0");
    for name in [
        "bash", "cut", "dirname", "echo", "head", "readlink", "sed", "sh", "sort", "xargs", "cc", "git",
    ] {
        let program = slipway_process::find(name).unwrap_or_else(|| panic!("{name} is not there"));
        symlink(program, programs.path().join(name)).unwrap();
    }
    let output = run_dev(words, programs.path().into());
    assert!(!output.status.success(), "{output:?}");
    let asked = fs::read_to_string(programs.path().join("asked")).unwrap();
    (asked, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_needs_no_server_and_no_tool_installs_none() {
    for words in [
        &["help"][..],
        &["--help"],
        &["demo", "--help"],
        &["test", "-h"],
        &["test", "--only", "fmt", "--only", "arrows"],
        &["test", "--only=clippy", "--", "--only", "nextest"],
        &["test", "--only", "no-such-stage"],
    ] {
        let (asked, printed) = on_a_bare_machine(words);
        assert!(
            asked.contains("programs --quiet") && !asked.contains("install"),
            "{words:?}: {asked}"
        );
        assert_eq!(
            printed, "building slipway-dev: the first time takes minutes\n",
            "{words:?}"
        );
    }
    for words in [
        &["demo"][..],
        &["services"],
        &["test"],
        &["test", "--only", "fmt", "--only", "nextest"],
        &["test", "--only", "nix"],
        &["sqlx", "check"],
    ] {
        let (asked, printed) = on_a_bare_machine(words);
        assert_eq!(asked, "--version\n", "{words:?}");
        let cure = "error: please install what Debian has in: ";
        assert!(
            printed.starts_with(cure) && printed.contains(" redis-server"),
            "{words:?}: {printed}"
        );
    }
}

#[test]
fn prometheus_is_installed_for_what_is_watched_alone() {
    for (words, watched) in [
        (&["up"][..], false),
        (&["up", "--hosts", "2", "--monitoring"], true),
        (&["faults"], true),
        (&["demo"], false),
    ] {
        let (_, printed) = on_a_bare_machine(words);
        assert_eq!(
            printed.contains(" prometheus-alertmanager "),
            watched,
            "{words:?}: {printed}"
        );
    }
}

#[test]
fn what_members_of_a_cluster_run_is_installed_for_them_alone() {
    for (words, wanted) in [
        (&["cluster"][..], true),
        (&["test"], true),
        (&["faults"], false),
        (&["up"], false),
    ] {
        let (_, printed) = on_a_bare_machine(words);
        for package in [" etcd-server ", " patroni "] {
            assert_eq!(
                printed.contains(package),
                wanted,
                "{words:?}, {package}: {printed}"
            );
        }
    }
}

#[test]
fn dev_refuses_a_toolchain_that_is_too_old_and_names_the_cure() {
    let text = refusal("test", "1.63.0");
    assert!(
        text.contains("cargo 1.63.0 is too old") && text.contains("rustup"),
        "{text}"
    );
    // Older by number, not by letters.
    assert!(refusal("test", "1.9.0").contains("cargo 1.9.0 is too old"));
}

#[test]
fn dev_refuses_a_misspelt_command_at_once_and_names_those_it_has() {
    let text = refusal("dmeo", "1.999.0");
    let commands: Vec<String> = DevCli::command()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    assert!(commands.len() > 3, "{commands:?}");
    for name in commands {
        assert!(text.contains(&name), "{name} is not in: {text}");
        assert!(
            fs::read_to_string(script())
                .unwrap()
                .contains(&format!(" {name} | ")),
            "./dev refuses {name}"
        );
    }
    assert!(text.contains("`dmeo`"), "{text}");
}
