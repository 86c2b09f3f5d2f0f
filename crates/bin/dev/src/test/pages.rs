//! The Markdown pages: links and paths of crates lead somewhere, and the index of decisions is whole.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use crate::test::markdown::names;
use crate::test::sources;

const DECISIONS: &str = "docs/decisions";

/// What is wrong with the pages of the checkout at `root`, as sentences.
pub fn violations(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in sources::files(root, &["md"])? {
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        let folder = file.parent().unwrap_or(root);
        let page = sources::text(&file)?;
        let names = names(&page);
        // Those that stay within the checkout.
        for target in names.links.iter().filter(|target| !target.contains(':')) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let other = if path.is_empty() {
                file.clone()
            } else {
                folder.join(path)
            };
            if !other.exists() {
                found.push(format!(
                    "{name}: the link to {target} leads nowhere; correct its path"
                ));
            } else if !heading.is_empty()
                && has_headings(&other)
                && !headings(&sources::text(&other)?).contains(heading)
            {
                found.push(format!(
                    "{name}: {path} has no heading `{heading}`; correct the link"
                ));
            }
        }
        for span in &names.code {
            // The tests of commands read one line after another.
            if span.contains('\n') {
                found.push(format!(
                    "{name}: keep a span of code on one line: {}",
                    span.replace('\n', " ")
                ));
            }
            let path = span.trim_matches('`');
            if is_crate_path(path) && !root.join(path).exists() && !folder.join(path).exists() {
                found.push(format!("{name}: there is no `{path}`; correct the path"));
            }
        }
    }
    found.extend(without_a_line(root)?);
    Ok(found)
}

/// Decisions that the index does not name by number, file and title.
fn without_a_line(root: &Path) -> Result<Vec<String>> {
    let index = format!("{DECISIONS}/README.md");
    let lines = sources::text(&root.join(&index))?;
    let mut found = Vec::new();
    for file in sources::files(root, &["md"])? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if !file.starts_with(root.join(DECISIONS)) || name == "README.md" {
            continue;
        }
        let page = sources::text(&file)?;
        let title = page.lines().next().unwrap_or_default();
        let number = title.strip_prefix("# ").and_then(|title| title.split_once(". "));
        let Some((number, _)) = number.filter(|(number, _)| name.starts_with(&format!("{number:0>4}-")))
        else {
            found.push(format!(
                "{DECISIONS}/{name}: begin with `# NUMBER. Title`, with the number of the file's name"
            ));
            continue;
        };
        let line = format!("| [{number}]({name}) | ");
        if lines.lines().filter(|text| text.starts_with(&line)).count() != 1 {
            found.push(format!(
                "{index}: give {name} one line, `{line}title | in short |`"
            ));
        }
    }
    Ok(found)
}

fn has_headings(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "md")
}

/// Whether it names a file or folder of a crate. One with `*`, `{` or `…` is a form.
fn is_crate_path(span: &str) -> bool {
    span.starts_with("crates/") && !span.contains([' ', '\n', '*', '{', '<', '…'])
}

/// Headings as GitHub names them in links.
fn headings(page: &str) -> BTreeSet<String> {
    let name = |title: String| {
        let kept = title.to_lowercase();
        let kept = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    names(page).headings.into_iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn checkout(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let git = Command::new("git")
            .args(["init", "--quiet"])
            .current_dir(root.path())
            .status();
        assert!(git.unwrap().success());
        for (name, text) in files {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        root
    }

    #[test]
    fn a_link_to_no_page_and_one_to_no_heading_are_told() {
        let root = checkout(&[
            ("docs/decisions/README.md", "# Decisions\n"),
            (
                "docs/a.md",
                "# A\n\n## Two roles, one `log`\n\n```\n# [no](heading.md)\n```\n",
            ),
            (
                "README.md",
                "[1](docs/a.md#two-roles-one-log) [2](docs/b.md) [3](docs/a.md#heading) [4](https://x.example/y.md) [5](docs)",
            ),
        ]);
        assert_eq!(
            violations(root.path()).unwrap(),
            [
                "README.md: the link to docs/b.md leads nowhere; correct its path",
                "README.md: docs/a.md has no heading `heading`; correct the link",
            ]
        );
    }

    #[test]
    fn a_path_of_a_crate_that_is_not_there_is_told() {
        let root = checkout(&[
            ("docs/decisions/README.md", "# Decisions\n"),
            ("crates/lib/a/src/lib.rs", ""),
            ("template/crates/b/Cargo.toml", ""),
            ("template/README.md", "`crates/b` and `crates/c`\n"),
            (
                "README.md",
                "`crates/lib/a`, `crates/lib/a/src/lib.rs`, `crates/lib/{a,b}`, `crates/lib/a/src/gone.rs`\n",
            ),
        ]);
        assert_eq!(
            violations(root.path()).unwrap(),
            [
                "README.md: there is no `crates/lib/a/src/gone.rs`; correct the path",
                "template/README.md: there is no `crates/c`; correct the path",
            ]
        );
    }

    #[test]
    fn a_span_of_code_over_two_lines_is_told() {
        let root = checkout(&[
            ("docs/decisions/README.md", "# Decisions\n"),
            ("README.md", "Run `slipway\nstatus`.\n\n```\none ` alone\n```\n"),
        ]);
        assert_eq!(
            violations(root.path()).unwrap(),
            ["README.md: keep a span of code on one line: `slipway status`"]
        );
    }

    #[test]
    fn a_decision_that_the_index_does_not_name_is_told() {
        let root = checkout(&[
            (
                "docs/decisions/README.md",
                "| [1](0001-first.md) | First | one |\n[2](0002-second.md)\n",
            ),
            ("docs/decisions/0001-first.md", "# 1. First\n"),
            ("docs/decisions/0002-second.md", "# 2. Second\n"),
            ("docs/decisions/0003-third.md", "# 4. Third\n"),
        ]);
        assert_eq!(
            violations(root.path()).unwrap(),
            [
                "docs/decisions/README.md: give 0002-second.md one line, `| [2](0002-second.md) | title | in short |`",
                "docs/decisions/0003-third.md: begin with `# NUMBER. Title`, with the number of the file's name",
            ]
        );
    }
}
