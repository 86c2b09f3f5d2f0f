//! The commands of a page: found in its blocks and tables, and run with stand-ins for what this machine has not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use slipway_dev::spec::Spec;

/// The longest that one block may take, for `timeout`.
const BOUND_SECONDS: &str = "300";

/// A folder to run blocks in: `bin/` with stand-ins, `home/`, and what a page makes.
#[derive(Debug, Clone)]
pub(crate) struct Bench(PathBuf);

impl Bench {
    pub(crate) fn create(folder: PathBuf) -> Self {
        for part in ["bin", "home"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        Self(folder)
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Puts a program before those of the machine.
    pub(crate) fn program(&self, name: &str, text: &str) {
        let path = self.at("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A shell that runs a block in this folder and stops at the first command that fails.
    pub(crate) fn shell(&self, block: &str, folder: &str) -> Spec {
        Spec::new("page", "timeout")
            .args([
                BOUND_SECONDS,
                "bash",
                "-c",
                &format!("set -euo pipefail\nPATH=$BENCH/bin:$PATH\n{block}"),
            ])
            .directory(self.at(folder))
            .env("HOME", self.at("home"))
            .env("BENCH", self.at(""))
    }
}

/// Waits for a command beside the tasks of a test.
pub(crate) async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

pub(crate) fn checkout() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    root.canonicalize().unwrap()
}

/// The blocks of a page that begin with this, such as `nix`, without the indentation that a list gives them.
pub(crate) fn blocks(page: &str, language: &str) -> Vec<String> {
    let start = format!("```{language}");
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for line in page.lines() {
        let text = line.trim_start();
        open = match open {
            None if text == start => Some((line.len() - text.len(), String::new())),
            Some((_, block)) if text == "```" => {
                found.push(block);
                None
            }
            Some((indent, block)) => Some((indent, block + line.get(indent..).unwrap_or_default() + "\n")),
            None => None,
        };
    }
    found
}

/// What stands in back-ticks in the second column of the table below a heading.
pub(crate) fn of_table(page: &str, heading: &str) -> Vec<String> {
    let part = page.split(heading).nth(1).unwrap();
    let table = part.split("\n## ").next().unwrap();
    let rows = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(1));
    rows.flat_map(|cell| {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    })
    .collect()
}

pub(crate) fn printed(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn blocks_lose_the_indentation_of_their_list_and_nothing_else() {
    let page = "1. One.\n\n   ```sh\n   a \\\n     b\n\n   c\n   ```\n   ```nix\n   d\n   ```\n";
    assert_eq!(blocks(page, "sh"), ["a \\\n  b\n\nc\n"]);
    assert_eq!(blocks(page, "nix"), ["d\n"]);
}
