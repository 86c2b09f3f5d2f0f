//! Files that are complete or absent, even after a power cut. The agent, the backups and the command line use
//! it for every file that must last. It must never leave a half-written file under the final name.
//!
//! A new file first gets its content under another name in the same folder. It is flushed and renamed, and then the folder
//! is flushed. So a reader sees the old content or the new, and a finished write survives a power cut. A killed process
//! can leave a file that ends in [`PARTIAL`]; you may delete it.

mod pending;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

pub use pending::{PARTIAL, PendingFile};

/// The mode of a file for its owner alone.
pub const PRIVATE: u32 = 0o600;
/// The mode of a file whose readers the process's umask decides.
pub const BY_UMASK: u32 = 0o666;

/// Writes a complete file, and replaces one that may be there. The umask takes rights away from `mode`.
pub fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    PendingFile::create(path, mode)?.commit(content)
}

/// Writes a complete file. Fails with `AlreadyExists` if there is one already.
pub fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    PendingFile::create(path, mode)?.commit_new(content)
}

/// Gives a finished file its name.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    File::open(from)?.sync_all()?;
    fs::rename(from, to)?;
    sync_parent(to)
}

/// Makes `link` point to `target`, in one step also when it exists.
pub fn link(link: &Path, target: &Path) -> io::Result<()> {
    if fs::read_link(link).is_ok_and(|now| now == target) {
        return Ok(());
    }
    let temporary = pending::beside(link)?;
    let _ = fs::remove_file(&temporary);
    symlink(target, &temporary)?;
    fs::rename(&temporary, link)?;
    sync_parent(link)
}

/// Removes a file, or a folder with its content. A missing one is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Flushes the folder of `path`, so that its renames, links and removals survive a power cut.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Makes the folder and its parents. Later files in it last only if all of these folders do, so each parent is flushed.
/// The umask takes rights away from `mode`.
pub fn folder(path: &Path, mode: u32) -> io::Result<()> {
    make_folders(path, mode, sync_parent)
}

fn make_folders(path: &Path, mode: u32, mut sync: impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let named = |folder: &&Path| !folder.as_os_str().is_empty();
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(named)
        .take_while(|folder| !folder.is_dir())
        .collect();
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(mode).create(folder) {
            // Another process made it at this moment.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            other => other?,
        }
        sync(folder)?;
    }
    Ok(())
}

/// Makes the folder for the owner only (0700), and its parents. Takes others' rights away from an existing one.
///
/// Fails if it belongs to somebody else: the owner could swap the files in it.
pub fn private_folder(path: &Path) -> io::Result<()> {
    folder(path, 0o700)?;
    let meta = fs::metadata(path)?;
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{} belongs to uid {}; give it to the user who runs this, or name another folder",
                path.display(),
                meta.uid()
            ),
        ));
    }
    if meta.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_and_folders_are_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let private = dir.path().join("a/b");
        fs::create_dir_all(&private).unwrap();
        fs::set_permissions(&private, fs::Permissions::from_mode(0o755)).unwrap();
        private_folder(&private).unwrap();
        let file = private.join("f");
        fs::write(&file, "old").unwrap();
        write(&file, b"new", PRIVATE).unwrap();
        assert_eq!((mode(&private), mode(&file)), (0o700, 0o600));
    }

    #[test]
    fn every_new_folder_is_flushed_into_the_one_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut flushed = Vec::new();
        let deep = dir.path().join("a/b/c");
        for _ in 0..2 {
            make_folders(&deep, 0o750, |folder| {
                assert!(folder.is_dir(), "flushed before it is there");
                flushed.push(folder.to_owned());
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(flushed, ["a", "a/b", "a/b/c"].map(|name| dir.path().join(name)));
        assert_eq!(mode(&deep) & 0o700, 0o700);
        folder(&dir.path().join("d/e"), 0o755).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        folder(&dir.path().join("file/below"), 0o755).unwrap_err();
    }

    #[test]
    fn a_written_file_is_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        write(&path, b"one", BY_UMASK).unwrap();
        write(&path, b"two", BY_UMASK).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn exclusive_creation_has_one_winner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("claim");
        write_new(&path, b"first", PRIVATE).unwrap();
        let error = write_new(&path, b"second", PRIVATE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_replaced_in_one_step() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        link(&path, Path::new("/a")).unwrap();
        link(&path, Path::new("/b")).unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("/b"));
    }

    #[test]
    fn what_is_removed_may_be_a_folder_or_gone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("f"), "").unwrap();
        remove(&folder).unwrap();
        remove(&folder).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
