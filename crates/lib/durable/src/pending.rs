//! A file in the making.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What the names of unfinished files end in.
pub const PARTIAL: &str = ".partial";

/// A file that will be complete or absent.
///
/// Create it before its content exists. Then a missing folder cannot lose content that is known only once, such
/// as a new token.
#[derive(Debug)]
pub struct PendingFile {
    target: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl PendingFile {
    /// Prepares the file. One of that name stays as it is until the commit. The umask takes rights away from `mode`.
    pub fn create(target: &Path, mode: u32) -> io::Result<Self> {
        if fs::symlink_metadata(target).is_ok_and(|meta| !meta.is_file()) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something that is no file has that name",
            ));
        }
        let temporary = beside(target)?;
        // A killed process with the same number left it.
        let _ = fs::remove_file(&temporary);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        Ok(Self {
            target: target.to_owned(),
            temporary,
            file,
        })
    }

    /// Puts the content in, on the disk, under its name.
    pub fn commit(mut self, content: &[u8]) -> io::Result<()> {
        self.fill(content)?;
        fs::rename(&self.temporary, &self.target)?;
        crate::sync_parent(&self.target)
    }

    /// The same, unless a file of that name has come meanwhile: then it fails with `AlreadyExists`.
    pub fn commit_new(mut self, content: &[u8]) -> io::Result<()> {
        self.fill(content)?;
        fs::hard_link(&self.temporary, &self.target)?;
        crate::sync_parent(&self.target)
    }

    fn fill(&mut self, content: &[u8]) -> io::Result<()> {
        self.file.write_all(content)?;
        self.file.sync_all()
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        // After a commit by rename there is none of this name any more.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Beside the file and named after this process, since two may write at once.
pub(crate) fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is no file name"))?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}{PARTIAL}", std::process::id()));
    Ok(path.with_file_name(temporary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_committed_was_never_there() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("token");
        drop(PendingFile::create(&target, crate::PRIVATE).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_that_cannot_be_files_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = PendingFile::create(dir.path(), crate::PRIVATE).unwrap_err();
        assert_eq!(folder.kind(), io::ErrorKind::AlreadyExists);
        let nameless = PendingFile::create(&dir.path().join("no/.."), crate::PRIVATE).unwrap_err();
        assert_eq!(nameless.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn what_a_killed_process_left_does_not_stand_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("state");
        fs::write(beside(&target).unwrap(), "half").unwrap();
        crate::write(&target, b"whole", crate::PRIVATE).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
    }
}
