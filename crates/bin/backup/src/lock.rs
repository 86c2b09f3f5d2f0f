//! One at a time: locks that the kernel gives back when their holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::failure::{Failure, Result, io};
use crate::files;

/// Between two tries for a lock that somebody else holds.
const PAUSE: Duration = Duration::from_millis(200);

/// Held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

fn path(state: &Path, name: &str) -> PathBuf {
    state.join("locks").join(name)
}

fn open(state: &Path, name: &str) -> Result<File> {
    let path = path(state, name);
    files::folder(&state.join("locks"))?;
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io("open the lock", &path))
}

/// Waits up to `limit` for the lock `name`.
pub(crate) async fn take(state: &Path, name: &str, limit: Duration) -> Result<Lock> {
    let file = open(state, name)?;
    let end = Instant::now() + limit;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) if Instant::now() < end => sleep(PAUSE).await,
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(format!(
                    "another run holds the lock `{name}`, waited {} for it",
                    crate::text::duration(limit)
                ))
                .cure(format!(
                    "wait for the other run, or find it with `fuser -v {}`",
                    path(state, name).display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(io("lock", &path(state, name))(error)),
        }
    }
}

/// Whether somebody holds the lock `name`. False when that cannot be told.
pub(crate) fn is_held(state: &Path, name: &str) -> bool {
    File::open(path(state, name))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_one_holds_a_lock() {
        let state = tempfile::tempdir().unwrap();
        let lock = take(state.path(), "dump", Duration::ZERO).await.unwrap();
        assert!(is_held(state.path(), "dump"));
        let failure = take(state.path(), "dump", Duration::ZERO).await.unwrap_err();
        assert!(failure.mentions("another run holds the lock `dump`"), "{failure}");
        take(state.path(), "drill", Duration::ZERO).await.unwrap();
        drop(lock);
        assert!(!is_held(state.path(), "dump"));
        take(state.path(), "dump", Duration::ZERO).await.unwrap();
    }
}
