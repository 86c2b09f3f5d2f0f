//! One at a time: agent, dead-man and a person's `revert` take turns.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a taken lock is tried again.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// The lock was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody holds it.
    #[error("{} is held by another slipway-agent process", path.display())]
    Taken {
        /// The lock file.
        path: PathBuf,
    },
    /// The file cannot be opened or locked.
    #[error("cannot lock {}; the state folder must be on a local file system", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Holds the lock until dropped. The kernel lets go of it when the process dies, however that happens.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock if it is free.
    pub fn try_take(path: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let file = open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Waits for the lock without a limit, since every holder has one.
    pub async fn take(path: &Path) -> Result<Self, LockError> {
        loop {
            match Self::try_take(path) {
                Err(LockError::Taken { .. }) => tokio::time::sleep(TRY_EVERY).await,
                other => return other,
            }
        }
    }
}

/// A read-only disk has a lock as well: the file where there is one, else its folder. Nothing is written to either.
fn open(path: &Path) -> io::Result<File> {
    let writable = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path);
    match writable {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            File::open(path).or_else(|_| File::open(path.parent().unwrap_or(path)))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_waits_its_turn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = StateLock::try_take(&path).unwrap();
        let error = StateLock::try_take(&path).unwrap_err();
        assert!(
            error.to_string().contains("held by another slipway-agent"),
            "{error}"
        );
        drop(first);
        StateLock::try_take(&path).unwrap();
    }
}
