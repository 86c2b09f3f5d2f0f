//! Every `slipway …` that a page shows is one that the command line takes.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::common::RELEASE;

/// The pages that people follow. docs/cli.md is made from the definitions themselves.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let folders = [
        "",
        "docs",
        "hosts",
        "secrets",
        "templates/default",
        "deploy/compose",
        "deploy/kubernetes",
    ];
    let mut pages: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "md") && !path.ends_with("cli.md"))
        .collect();
    pages.sort();
    pages
}

/// The commands of a page: lines of its blocks, and what stands in back-ticks. One with `…`, `[` or `<` is a form.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    let joined = page.replace("\\\n", " ");
    for line in joined.lines().map(str::trim) {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            found.extend(in_line(line));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).flat_map(in_line));
        }
    }
    found.retain(|command| !command.contains(['…', '[', '<']));
    found
}

/// What a shell's line calls of `slipway`: between separators, behind variables of its own, before a comment.
fn in_line(line: &str) -> Vec<String> {
    let code = line.split("  #").next().unwrap_or_default();
    code.split(['|', ';', '&', '(', ')'])
        .map(|part| {
            let part = part.trim().trim_start_matches(['#', '$']).trim();
            let first = part.split(' ').find(|word| !word.contains('='));
            first.map_or(part, |first| &part[part.find(first).unwrap_or_default()..])
        })
        .filter(|part| part.starts_with("slipway "))
        .map(|part| part.split(" < ").next().unwrap_or_default().trim().to_owned())
        .collect()
}

/// The words as a shell makes them; a word in capitals stands for a name or an id, and this one is both.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for letter in command.chars() {
        match quote {
            Some(open) if letter == open => quote = None,
            None if letter == '\'' || letter == '"' => quote = Some(letter),
            None if letter == ' ' => words.push(String::new()),
            _ => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    for word in &mut words {
        let letters = word.trim_start_matches("--");
        if word.len() > 1 && letters.chars().all(|letter| letter.is_ascii_uppercase()) {
            RELEASE.clone_into(word);
        } else if let Some(variable) = word.find('$') {
            // A shell's variable in a name.
            word.replace_range(variable.., "x");
        }
    }
    words
}

/// Whether a command is named and not called: `slipway host create`.
fn is_a_name(command: &str) -> bool {
    let words: Vec<&str> = command.split(' ').collect();
    words.len() <= 3
        && words
            .iter()
            .all(|word| word.chars().all(|letter| letter.is_ascii_lowercase()))
}

#[test]
fn every_command_of_the_pages_is_taken() {
    let mut found = 0;
    let mut wrong = Vec::new();
    for path in pages() {
        for command in commands(&fs::read_to_string(&path).unwrap()) {
            found += 1;
            if let Err(error) = slipway::args::SlipwayCli::try_parse_from(words(&command))
                && !(error.kind() == ErrorKind::MissingRequiredArgument && is_a_name(&command))
            {
                let first = error.to_string().lines().next().unwrap_or_default().to_owned();
                wrong.push(format!("{}: {command}: {first}", path.display()));
            }
        }
    }
    assert!(found > 40, "only {found} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_command_that_is_none_is_found() {
    let page = "Run `slipway relase list`, then\n\n```sh\nTOKEN=a slipway status prod  # all well\nslipway rollout \\\n  watch prod --forever\n```\n";
    let found = commands(page);
    assert_eq!(
        found,
        [
            "slipway relase list",
            "slipway status prod",
            "slipway rollout    watch prod --forever"
        ]
    );
    let taken = |command: &String| slipway::args::SlipwayCli::try_parse_from(words(command)).is_ok();
    assert_eq!(found.iter().map(taken).collect::<Vec<_>>(), [false, true, false]);
}
