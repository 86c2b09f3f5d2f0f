//! Where a program is.

use std::env;
use std::path::{Path, PathBuf};

/// The program by its name in `PATH`, or by its path. It is a file that this process may execute.
#[must_use]
pub fn find(program: impl AsRef<Path>) -> Option<PathBuf> {
    find_in(program, [])
}

/// As [`find`]; after `PATH`, these folders are searched too.
#[must_use]
pub fn find_in<'a>(
    program: impl AsRef<Path>,
    folders: impl IntoIterator<Item = &'a Path>,
) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = env::split_paths(&path).chain(folders.into_iter().map(Path::to_owned));
    which::which_in(program.as_ref(), env::join_paths(all).ok(), "/").ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_can_be_executed_is_found() {
        assert!(find("sh").unwrap().ends_with("sh"));
        assert_eq!(find("/bin/sh"), Some("/bin/sh".into()));
        assert_eq!(find("no-such-program-here"), None);
        assert_eq!(find("/etc/passwd"), None);
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("only-here");
        fs::write(&program, "").unwrap();
        assert_eq!(find_in("only-here", [folder.path()]), None);
        std::os::unix::fs::symlink("/bin/sh", folder.path().join("and-here")).unwrap();
        assert!(find_in("and-here", [folder.path()]).is_some());
    }
}
