//! Options, settings and commands that the pages name, held against the reference pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory as _;
use slipway_dev::cli::DevCli;

use crate::common::page::{blocks, checkout, printed};
use crate::text;

/// Every option of docs/options.md, as its parts.
fn options() -> Vec<Vec<String>> {
    let reference = fs::read_to_string(checkout().join("docs/options.md")).unwrap();
    let headings = reference
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    headings.map(parts).collect()
}

fn parts(option: &str) -> Vec<String> {
    option.split('.').map(str::to_owned).collect()
}

/// Whether the words are an option, a group of them, or the end of one: `backup.dump.keepDays`.
fn is_of_an_option(words: &[String], options: &[Vec<String>]) -> bool {
    options.iter().any(|option| {
        option.windows(words.len()).any(|window| {
            window
                .iter()
                .zip(words)
                .all(|(part, word)| part == word || part == "<name>")
        })
    })
}

/// Words with dots between that can be the name of an option, and not that of a file, a site or a program's setting.
fn looks_like_an_option(span: &str) -> bool {
    const ENDINGS: [&str; 11] = [
        "conf", "ini", "yml", "md", "nix", "com", "lock", "dump", "token", "txt", "env",
    ];
    let words: Vec<&str> = span.split('.').collect();
    words.len() > 1
        && words.iter().all(|word| {
            let bare = word.trim_start_matches('<').trim_end_matches('>');
            !bare.is_empty() && bare.chars().all(|letter| letter.is_ascii_alphabetic())
        })
        && !ENDINGS.contains(words.last().unwrap())
}

/// The spans of code, without what follows an `=`.
fn spans(page: &str) -> Vec<String> {
    let spans = slipway_dev::test::markdown::names(page).code.into_iter();
    spans
        .map(|span| span.trim_matches('`').split(" = ").next().unwrap().to_owned())
        // The name of one of them, such as a secret's.
        .map(|span| span.trim_end_matches(".NAME").to_owned())
        .collect()
}

#[test]
fn every_option_of_the_page_is_one() {
    // Of NixOS, and of this flake.
    const OTHERS: [&str; 5] = [
        "services.redis.servers",
        "lib.kubernetes",
        "packages.shop",
        "packages.migrations",
        "deploy.resources.limits",
    ];
    let options = options();
    assert!(options.len() > 300, "{}", options.len());
    let spans = spans(&text());
    let named: Vec<&String> = spans
        .iter()
        .filter(|span| looks_like_an_option(span) && !OTHERS.contains(&span.as_str()))
        .collect();
    assert!(named.len() > 25, "only {named:?}");
    let wrong: Vec<_> = named
        .into_iter()
        .filter(|span| !is_of_an_option(&parts(span), &options))
        .collect();
    assert!(wrong.is_empty(), "docs/options.md has no {wrong:?}");
    for none in [
        "backup.dump.keepWeeks",
        "services.slipway.clusters",
        "limits.memory",
    ] {
        assert!(!is_of_an_option(&parts(none), &options), "{none}");
    }
}

#[test]
fn every_setting_of_the_page_is_one() {
    let reference = fs::read_to_string(checkout().join("docs/settings.md")).unwrap();
    let page = text();
    let words = page.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = [
        "API_",
        "DATABASE_",
        "REDIS_",
        "METRICS_",
        "LOG_",
        "OTEL_",
        "SENTRY_",
    ];
    let named: BTreeSet<&str> = words
        .filter(|word| ours.iter().any(|start| word.starts_with(start)))
        // The beginning of a pattern.
        .filter(|word| !word.ends_with('_'))
        .collect();
    assert!(named.len() > 10, "only {named:?}");
    for name in named {
        assert!(
            reference.contains(&format!("`{name}`")),
            "docs/settings.md has no {name}"
        );
    }
}

/// The lines of blocks and the spans that begin with a program's name, up to what a shell reads as something else.
fn calls(page: &str, program: &str) -> BTreeSet<Vec<String>> {
    let spans = spans(page).into_iter();
    let blocks = ["sh", "sh host"]
        .map(|language| blocks(page, language).concat())
        .concat();
    let lines = blocks.lines().map(str::to_owned);
    let parts = spans.chain(lines).flat_map(|line| {
        let code = line.split("  # ").next().unwrap_or_default().to_owned();
        code.split(['|', ';', '&']).map(str::to_owned).collect::<Vec<_>>()
    });
    parts
        .map(|part| part.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter(|words| words.len() > 1 && words[0] == program)
        .collect()
}

#[test]
fn every_command_of_backups_and_of_dev_is_one() {
    let page = text();
    let folder = Path::new(env!("CARGO_BIN_EXE_slipway-dev")).parent().unwrap();
    let backups = calls(&page, "slipway-backup");
    assert!(backups.len() > 4, "only {backups:?}");
    for words in backups {
        let help = Command::new(folder.join("slipway-backup"))
            .args([&words[1], "--help"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&help.stdout);
        assert!(help.status.success(), "{words:?}: {}", printed(&help));
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(text.contains(flag.as_str()), "{words:?}: there is no {flag}");
        }
    }
    // `slipway …` is checked with the pages of the command line.
    for words in calls(&page, "./dev") {
        let known = DevCli::command()
            .get_subcommands()
            .any(|command| command.get_name() == words[1]);
        assert!(known, "there is no {words:?}");
    }
}
