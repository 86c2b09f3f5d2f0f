//! The files of the checkout that a person wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// A longer file has more than one concern.
const MAX_LINES: usize = 500;

/// Files of the checkout at `root` with one of `extensions`, in a stable order: what Git knows or would add.
///
/// Not by walking the folders: leftovers of builds, editors and worktrees are not sources.
pub fn files(root: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!(
            "cannot list the files of {}: {}",
            root.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let names = String::from_utf8(output.stdout).context("a file's name is not UTF-8")?;
    let mut found: Vec<PathBuf> = names
        .split_terminator('\0')
        .map(|name| root.join(name))
        .filter(|path| extensions.iter().any(|extension| has_extension(path, extension)))
        // Git also lists removed files that are not staged yet, and links to other files.
        .filter(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_file()))
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

/// The text of a file. A fixture may be in another encoding than UTF-8, and is read all the same.
pub fn text(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Source files of more than 500 lines, as sentences.
pub fn too_long(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files(root, &["rs", "nix", "sql", "sh"])? {
        let lines = text(&file)?.lines().count();
        if lines > MAX_LINES {
            let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            found.push(format!(
                "{name} has {lines} lines: split it by concern ({MAX_LINES} at most)"
            ));
        }
    }
    Ok(found)
}

/// Files in which a merge left its marks, as sentences.
pub fn unmerged(root: &Path) -> Result<Vec<String>> {
    let marks = ["<", ">"].map(|mark| format!("{} ", mark.repeat(7)));
    let mut found = Vec::new();
    for file in files(
        root,
        &["rs", "nix", "sql", "sh", "md", "toml", "yaml", "json", "py"],
    )? {
        let text = text(&file)?;
        let marked = text
            .lines()
            .position(|line| marks.iter().any(|mark| line.starts_with(mark)));
        if let Some(index) = marked {
            let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            found.push(format!(
                "{name}:{}: a merge left its mark here: take what is right of both sides",
                index + 1
            ));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found_where_git_knows_it_or_would_add_it() {
        let root = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| {
            let status = Command::new("git").args(args).current_dir(root.path()).status();
            assert!(status.unwrap().success(), "{args:?}");
        };
        git(&["init", "--quiet"]);
        for folder in ["target", "notes", ".hidden"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let write = |name: &str, lines| fs::write(root.path().join(name), "\n".repeat(lines)).unwrap();
        fs::write(root.path().join(".gitignore"), "/target/\n/notes/\n").unwrap();
        write("target/generated.rs", 900);
        write("notes/old.rs", 900);
        write("good.rs", 500);
        write("new.nix", 501);
        write(".hidden/tracked.sh", 502);
        write("removed.sql", 600);
        fs::write(root.path().join("latin.rs"), b"// caf\xe9\n").unwrap();
        git(&["add", ".hidden", "removed.sql"]);
        fs::remove_file(root.path().join("removed.sql")).unwrap();
        assert_eq!(
            too_long(root.path()).unwrap(),
            [
                ".hidden/tracked.sh has 502 lines: split it by concern (500 at most)",
                "new.nix has 501 lines: split it by concern (500 at most)"
            ]
        );
    }

    #[test]
    fn a_mark_of_a_merge_is_told_with_its_line() {
        let root = tempfile::tempdir().unwrap();
        let status = Command::new("git")
            .args(["init", "--quiet"])
            .current_dir(root.path())
            .status();
        assert!(status.unwrap().success());
        let page = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
        page("good.md", "A title\n=======\n\n    >>>>>>> in a block\n");
        page("begun.md", &format!("one\n{} HEAD\n", "<".repeat(7)));
        page("ended.nix", &format!("{} theirs\n", ">".repeat(7)));
        assert_eq!(
            unmerged(root.path()).unwrap(),
            [
                "begun.md:2: a merge left its mark here: take what is right of both sides",
                "ended.nix:1: a merge left its mark here: take what is right of both sides"
            ]
        );
    }

    #[test]
    fn a_folder_that_is_no_checkout_is_told() {
        let root = tempfile::tempdir().unwrap();
        let error = too_long(root.path()).unwrap_err().to_string();
        assert!(
            error.contains("cannot list the files of") && error.contains("git"),
            "{error}"
        );
    }
}
