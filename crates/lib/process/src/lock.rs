//! One at a time: locks that the kernel gives back when their holder dies, however that happens.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a taken lock is tried again.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// The lock was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody holds it.
    #[error("{} is held by another process", path.display())]
    Taken {
        /// The lock file.
        path: PathBuf,
    },
    /// The file cannot be opened or locked.
    #[error("cannot lock {}; it must be on a local file system", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A lock on a file, held until this is dropped.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock if it is free. Makes the file where there is none; the umask takes rights away from `mode`.
    pub fn try_take(path: &Path, mode: u32) -> Result<Self, LockError> {
        let failed = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let file = open(path, mode).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Waits for the lock as long as it takes, for holders who are bounded themselves.
    pub async fn take(path: &Path, mode: u32) -> Result<Self, LockError> {
        loop {
            match Self::try_take(path, mode) {
                Err(LockError::Taken { .. }) => sleep(TRY_EVERY).await,
                other => return other,
            }
        }
    }

    /// Waits for the lock, at most so long.
    pub async fn take_within(path: &Path, mode: u32, limit: Duration) -> Result<Self, LockError> {
        let end = Instant::now() + limit;
        loop {
            match Self::try_take(path, mode) {
                Err(LockError::Taken { .. }) if Instant::now() < end => sleep(TRY_EVERY).await,
                other => return other,
            }
        }
    }

    /// Whether somebody holds the lock. False where that cannot be told.
    #[must_use]
    pub fn is_held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

/// A read-only disk has a lock as well: the file where there is one, else its folder. Nothing is written to either.
fn open(path: &Path, mode: u32) -> io::Result<File> {
    let writable = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(mode)
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

    #[tokio::test]
    async fn the_second_one_waits_its_turn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(!FileLock::is_held(&path));
        let first = FileLock::try_take(&path, 0o600).unwrap();
        assert!(FileLock::is_held(&path));
        let error = FileLock::take_within(&path, 0o600, TRY_EVERY * 3)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("is held by another process"),
            "{error}"
        );
        let other = dir.path().join("other");
        FileLock::try_take(&other, 0o600).unwrap();
        let mut second = std::pin::pin!(FileLock::take(&path, 0o600));
        tokio::select! {
            biased;
            second = &mut second => panic!("two hold it: {second:?}"),
            () = sleep(TRY_EVERY) => drop(first),
        }
        let second = tokio::time::timeout(Duration::from_mins(1), second).await;
        assert!(FileLock::is_held(&path));
        drop(second);
        assert!(!FileLock::is_held(&path));
    }
}
