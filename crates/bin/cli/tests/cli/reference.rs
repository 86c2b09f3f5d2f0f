//! Help texts and docs/cli.md are what they are meant to be.

use std::fs;
use std::path::Path;

use slipway_domain::preflight::CHECKS;

use crate::common::Slipway;

#[test]
fn the_reference_page_is_as_generated() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/cli.md");
    let page = slipway::reference::markdown();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "docs/cli.md is behind the definitions; renew it: UPDATE_GENERATED=1 cargo test generated"
    );
}

#[test]
fn the_table_of_checks_is_as_generated() {
    const BEGIN: &str = "|---|---|---|---|---|\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/preflight.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("preflight/table.rs; to renew it").unwrap();
    let (head, rest) = rest.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once("<!-- End of the table -->").unwrap();
    let rows: Vec<String> = CHECKS
        .iter()
        .map(|check| {
            let blocks = if check.blocks.is_empty() {
                "-"
            } else {
                check.blocks
            };
            let rollouts = if check.in_rollouts { "yes" } else { "" };
            format!(
                "| `{}` | {} | {} | {blocks} | {rollouts} |\n",
                check.name,
                check.scope.as_str(),
                check.asks
            )
        })
        .collect();
    let rows = rows.concat();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        let page = format!(
            "{before}preflight/table.rs; to renew it{head}{BEGIN}{rows}<!-- End of the table -->{after}"
        );
        fs::write(&path, page).unwrap();
        return;
    }
    assert!(
        found == rows,
        "docs/preflight.md is behind the checks; renew it: UPDATE_GENERATED=1 cargo test generated"
    );
}

#[test]
fn help_reads_well() {
    let slipway = Slipway::new();
    for (name, args) in [
        ("help", &["--help"][..]),
        ("rollout_start_help", &["rollout", "start", "--help"]),
        ("release_create_help", &["release", "create", "--help"]),
    ] {
        let ran = slipway.run(args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        insta::assert_snapshot!(name, ran.stdout);
    }
}

#[test]
fn every_command_has_help_and_no_definition_is_wrong() {
    fn walk(command: &clap::Command) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for arg in command.get_arguments() {
            assert!(
                arg.get_help().is_some(),
                "{} {}",
                command.get_name(),
                arg.get_id()
            );
        }
        command.get_subcommands().for_each(walk);
    }
    slipway::command().debug_assert();
    walk(&slipway::command());
}

/// Clap gives a word to both, and then a command reads another program's secret as its own token.
#[test]
fn no_command_has_a_word_that_holds_everywhere() {
    fn walk(command: &clap::Command, everywhere: &[String]) {
        for inner in command.get_subcommands() {
            let own = inner.get_arguments().filter(|arg| !arg.is_global_set());
            for arg in own {
                let word = arg.get_long().unwrap_or_default();
                assert!(
                    !everywhere.iter().any(|name| name == word),
                    "{}: --{word}",
                    inner.get_name()
                );
            }
            walk(inner, everywhere);
        }
    }
    let command = slipway::command();
    let everywhere = command.get_arguments().filter(|arg| arg.is_global_set());
    let everywhere: Vec<String> = everywhere
        .filter_map(|arg| arg.get_long().map(ToOwned::to_owned))
        .collect();
    assert!(
        everywhere.iter().any(|word| word == "token-file"),
        "{everywhere:?}"
    );
    walk(&command, &everywhere);
}

#[test]
fn every_command_has_a_man_page() {
    fn pages(command: &clap::Command, name: &str, found: &mut Vec<String>) {
        found.push(format!("{name}.1"));
        for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            pages(command, &format!("{name}-{}", command.get_name()), found);
        }
    }
    let mut wanted = Vec::new();
    pages(&slipway::command(), "slipway", &mut wanted);
    wanted.sort();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("share/man");
    let ran = Slipway::new().run(&["man", folder.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
    let entries = fs::read_dir(&folder).unwrap();
    let mut found: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, wanted);
    let start = fs::read_to_string(folder.join("slipway-rollout-start.1")).unwrap();
    assert!(start.contains(".TH slipway-rollout-start 1") && start.contains("strategy"));
}

#[test]
fn man_pages_cannot_be_written_over_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let ran = Slipway::new().run(&["man", file.path().to_str().unwrap()]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("cannot write man pages to"), "{}", ran.stderr);
}

#[test]
fn completions_name_the_commands() {
    let slipway = Slipway::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = slipway.run(&["completions", shell]);
        assert_eq!(ran.code, 0);
        assert!(
            ran.stdout.contains("rollout") && ran.stdout.contains("expect-head"),
            "{shell}"
        );
    }
}
