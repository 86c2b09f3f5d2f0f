//! Tests that pages name, such as those in the table of trust: each is still there.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use crate::test::markdown::names;
use crate::test::sources;

/// Names of metrics and settings have fewer words.
const WORDS: usize = 7;

/// Tests that pages of the checkout at `root` name and that are gone, as sentences.
pub fn violations(root: &Path) -> Result<Vec<String>> {
    let mut tests = BTreeSet::new();
    for file in sources::files(root, &["rs"])? {
        tests.extend(tests_in(&sources::text(&file)?));
    }
    let mut found = Vec::new();
    for file in sources::files(root, &["md"])? {
        let page = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        for span in names(&sources::text(&file)?).code {
            let name = span.trim_matches('`');
            if is_test(name) && !tests.contains(name) {
                found.push(format!(
                    "{page}: there is no test `{name}`; name the one that shows it now"
                ));
            }
        }
    }
    Ok(found)
}

/// Whether it has the form of a test's name: a sentence.
fn is_test(span: &str) -> bool {
    let of_a_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    span.split('_').filter(|word| !word.is_empty()).count() >= WORDS
        && span.chars().all(of_a_name)
        && !span.starts_with("slipway_")
}

/// The functions of a source file that are tests.
fn tests_in(source: &str) -> Vec<String> {
    let mut tests = Vec::new();
    let mut is_next = false;
    for line in source.lines().map(str::trim) {
        if let Some(attribute) = line.strip_prefix("#[") {
            let path = attribute.split(['(', ']']).next().unwrap_or_default();
            is_next |= path == "test" || path.ends_with("::test");
        } else if let Some((_, signature)) = line.split_once("fn ").filter(|_| is_next) {
            let name = signature.split(['(', '<']).next().unwrap_or_default();
            tests.push(name.to_owned());
            is_next = false;
        }
    }
    tests
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_test_that_a_page_names_and_nobody_has_is_told() {
        let root = tempfile::tempdir().unwrap();
        let git = Command::new("git")
            .args(["init", "--quiet"])
            .current_dir(root.path())
            .status();
        assert!(git.unwrap().success());
        let write = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
        write(
            "a.rs",
            "#[sqlx::test(migrator = \"M\")]\nasync fn the_one_that_is_there_and_named_here(pool: P) {}\n\
             #[expect(x)]\nfn the_one_that_is_a_helper_and_no_test() {}\n",
        );
        write(
            "page.md",
            "`the_one_that_is_there_and_named_here`, `the_one_that_is_a_helper_and_no_test`, `pg_read_all_data`,\n\
             `slipway_backup_last_success_in_whole_seconds`, `the_one_that_was_renamed_a_year_ago`\n",
        );
        assert_eq!(
            violations(root.path()).unwrap(),
            [
                "page.md: there is no test `the_one_that_is_a_helper_and_no_test`; name the one that shows it now",
                "page.md: there is no test `the_one_that_was_renamed_a_year_ago`; name the one that shows it now",
            ]
        );
    }
}
