//! `./dev` itself: what it says before it installs or builds anything.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory as _;
use slipway_dev::cli::DevCli;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../dev")
}

/// What `./dev WORD` says where cargo is of `version`, once it has refused to go on.
fn refusal(word: &str, version: &str) -> String {
    let programs = tempfile::tempdir().unwrap();
    let cargo = programs.path().join("cargo");
    let text =
        format!("#!/bin/sh\n[ \"$*\" = --version ] || exit 9\necho 'cargo {version} (0123456 2026-01-01)'\n");
    fs::write(&cargo, text).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let system = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(
        [programs.path().to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&system)),
    )
    .unwrap();
    let output = Command::new("bash")
        .arg(script())
        .arg(word)
        .env("PATH", path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
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
