//! Which checkout a command works on: what is built and tested is the sources around the program.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// A file that every checkout has, and no other folder.
const MARK: &str = "nix/demo/closure.nix";

/// The checkout that was given, or the one around the present folder, or else the one that the program was built in.
pub fn find(given: Option<&Path>, here: &Path, program: &Path) -> Result<PathBuf> {
    if let Some(given) = given {
        let found = given
            .canonicalize()
            .with_context(|| format!("--checkout {}", given.display()))?;
        if !is_checkout(&found) {
            bail!(
                "--checkout {} is no checkout of Slipway: it lacks {MARK}",
                given.display()
            );
        }
        return Ok(found);
    }
    let here = here.canonicalize().context("the present folder is gone")?;
    let mut folders = here.ancestors().chain(program.ancestors().skip(1));
    match folders.find(|folder| is_checkout(folder)) {
        Some(found) => Ok(found.to_owned()),
        None => bail!(
            "{} is not in a checkout of Slipway, and this program was not built in one; give it with --checkout FOLDER",
            here.display()
        ),
    }
}

fn is_checkout(folder: &Path) -> bool {
    folder.join(MARK).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_is_found_from_elsewhere_too() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."))
            .canonicalize()
            .unwrap();
        let program = root.join("target/release/slipway-dev");
        let elsewhere = tempfile::tempdir().unwrap();
        let nowhere = elsewhere.path().join("slipway-dev");
        assert_eq!(find(None, &root, &nowhere).unwrap(), root);
        assert_eq!(find(None, &root.join("crates/bin"), &nowhere).unwrap(), root);
        assert_eq!(find(None, elsewhere.path(), &program).unwrap(), root);
        assert_eq!(find(Some(&root), elsewhere.path(), &nowhere).unwrap(), root);
        let lost = find(None, elsewhere.path(), &nowhere).unwrap_err().to_string();
        assert!(lost.contains("give it with --checkout FOLDER"), "{lost}");
        let wrong = find(Some(elsewhere.path()), &root, &program)
            .unwrap_err()
            .to_string();
        assert!(wrong.contains("is no checkout of Slipway"), "{wrong}");
    }
}
