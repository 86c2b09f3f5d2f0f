//! One at a time: the locks of a stack's backups.

use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_durable::BY_UMASK;
use slipway_process::{FileLock, LockError};

use crate::failure::{BackupFailure, Result, io};
use crate::files;

fn path(state: &Path, name: &str) -> PathBuf {
    state.join("locks").join(name)
}

/// Waits up to `limit` for the lock `name`.
pub(crate) async fn take(state: &Path, name: &str, limit: Duration) -> Result<FileLock> {
    files::folder(&state.join("locks"))?;
    match FileLock::take_within(&path(state, name), BY_UMASK, limit).await {
        Ok(lock) => Ok(lock),
        Err(LockError::Taken { path }) => Err(BackupFailure::new(format!(
            "another run holds the lock `{name}`, waited {} for it",
            crate::text::duration(limit)
        ))
        .cure(format!(
            "wait for the other run, or find it with `fuser -v {}`",
            path.display()
        ))),
        Err(LockError::Io { path, source }) => Err(io("take the lock", &path)(source)),
    }
}

/// Whether somebody holds the lock `name`. False when that cannot be told.
pub(crate) fn is_held(state: &Path, name: &str) -> bool {
    FileLock::is_held(&path(state, name))
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
