//! Files that only their owner may read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::Failure;

/// No token, password, configuration or strategy is near this many bytes.
const LONGEST: u64 = 1024 * 1024;

/// A file that will be there whole, with mode 0600, or not at all.
///
/// Made before the secret that goes into it exists, so that a secret that is shown only once is not lost because of a
/// missing folder.
#[derive(Debug)]
pub struct PrivateFile {
    target: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl PrivateFile {
    /// Prepares the file. One of that name stays as it is until [`commit`](Self::commit).
    pub fn prepare(target: &Path) -> io::Result<Self> {
        if fs::symlink_metadata(target).is_ok_and(|meta| !meta.is_file()) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something that is no file has that name",
            ));
        }
        let name = target
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is no file name"))?;
        let mut temporary = name.to_owned();
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = target.with_file_name(temporary);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        Ok(Self {
            target: target.to_owned(),
            temporary,
            file,
        })
    }

    /// Puts the content in, on the disk, under its name.
    pub fn commit(mut self, content: &str) -> io::Result<()> {
        self.file.write_all(content.as_bytes())?;
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        let folder = self
            .target
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        // After a commit there is none of this name any more.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Makes a folder that only its owner may enter, and those above it.
pub fn private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Reads a text file, `-` for stdin.
pub fn read(path: &Path, what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let outcome = if path == Path::new("-") {
        io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
    };
    match outcome {
        Err(error) => Err(Failure::usage(format!(
            "cannot read the {what} {}: {error}",
            path.display()
        ))),
        Ok(read) if read as u64 > LONGEST => Err(Failure::usage(format!(
            "the {what} {} is over 1 MiB",
            path.display()
        ))),
        Ok(_) => Ok(text),
    }
}

/// Reads a secret: what is in the file, without the newline at its end.
pub fn read_secret(path: &Path, what: &str) -> Result<SecretString, Failure> {
    let text = read(path, what)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Failure::usage(format!("the {what} {} is empty", path.display())));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_private_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("token");
        drop(PrivateFile::prepare(&target).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        PrivateFile::prepare(&target).unwrap().commit("slw_1\n").unwrap();
        assert_eq!(mode(&target), 0o600);
        fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
        PrivateFile::prepare(&target).unwrap().commit("slw_2\n").unwrap();
        assert_eq!(
            (mode(&target), fs::read_to_string(&target).unwrap()),
            (0o600, "slw_2\n".to_owned())
        );
        assert!(PrivateFile::prepare(folder.path()).is_err());
    }

    #[test]
    fn a_folder_of_others_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/slipway");
        fs::create_dir_all(&inner).unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
        private_folder(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);
    }
}
