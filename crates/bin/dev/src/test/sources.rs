//! The files of the checkout that a person wrote.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A longer file has more than one concern.
const MAX_LINES: usize = 500;

/// Files below `root` with one of `extensions`, in a stable order; build results and hidden folders left out.
pub fn files(root: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(root, extensions, &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Links lead to build results or elsewhere in the checkout.
        let kind = entry.file_type()?;
        if kind.is_dir() && !name.starts_with('.') && name != "target" {
            walk(&entry.path(), extensions, found)?;
        } else if kind.is_file()
            && extensions
                .iter()
                .any(|extension| has_extension(&entry.path(), extension))
        {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

/// Source files of more than 500 lines, as sentences.
pub fn too_long(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files(root, &["rs", "nix", "sql", "sh"])? {
        let lines = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let lines = lines.lines().count();
        if lines > MAX_LINES {
            let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            found.push(format!(
                "{name} has {lines} lines: split it by concern ({MAX_LINES} at most)"
            ));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found_and_build_results_are_not_looked_at() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("target")).unwrap();
        fs::write(root.path().join("target/generated.rs"), "\n".repeat(900)).unwrap();
        fs::write(root.path().join("good.rs"), "\n".repeat(500)).unwrap();
        fs::write(root.path().join("long.nix"), "\n".repeat(501)).unwrap();
        let found = too_long(root.path()).unwrap();
        assert_eq!(
            found,
            ["long.nix has 501 lines: split it by concern (500 at most)"]
        );
    }
}
