//! Cleans up after a run whose owner was killed.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::leftovers;
use crate::run_dir::{DRAFT, PREFIX, lock_file, remove_tree};

/// The owner of a younger folder without a lock may be about to lock or remove it.
const LOCKLESS_AGE: Duration = Duration::from_mins(1);

/// One dead run that was cleaned up.
#[derive(Debug, PartialEq, Eq)]
pub struct Cleaned {
    /// The run's id.
    pub id: String,
    /// How many of its processes were still there.
    pub processes: usize,
}

/// Cleans up every run below `base` whose owner is dead. Runs of living owners and folders of other users
/// are not touched: their locks cannot be taken.
pub fn dead_runs(base: &Path) -> Result<Vec<Cleaned>> {
    let mut cleaned = Vec::new();
    for folder in run_folders(base) {
        let Some(_lock) = lock_of_dead(&folder) else {
            continue;
        };
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let id = name
            .trim_start_matches(PREFIX)
            .trim_start_matches(DRAFT)
            .to_owned();
        let processes = leftovers::end_all(&id, &folder);
        remove_tree(&folder)?;
        cleaned.push(Cleaned { id, processes });
    }
    Ok(cleaned)
}

fn run_folders(base: &Path) -> Vec<PathBuf> {
    fs::read_dir(base)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(PREFIX) || (name.starts_with(DRAFT) && is_old(&entry.path()))
        })
        .map(|entry| entry.path())
        .collect()
}

fn is_old(folder: &Path) -> bool {
    let age = fs::metadata(folder)
        .and_then(|meta| meta.modified())
        .map(|time| time.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age > LOCKLESS_AGE)
}

/// Holding the lock while cleaning keeps a second start from cleaning the same run.
///
/// An owner that was killed while it removed its run may have removed the lock before the rest.
fn lock_of_dead(folder: &Path) -> Option<File> {
    let lock = lock_file(folder);
    let file = match File::open(&lock) {
        Err(error) if error.kind() == ErrorKind::NotFound && is_old(folder) => File::create_new(&lock),
        file => file,
    };
    let file = file.ok()?;
    match file.try_lock() {
        Ok(()) => Some(file),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_dir::RunDir;

    #[test]
    fn a_living_run_is_kept_and_a_dead_one_removed() {
        let base = tempfile::tempdir().unwrap();
        let living = RunDir::create(base.path(), None).unwrap();
        let dead = RunDir::create(base.path(), None).unwrap();
        let (dead_id, dead_path) = (dead.id().to_owned(), dead.path().to_owned());
        drop(dead);
        assert_eq!(
            dead_runs(base.path()).unwrap(),
            [Cleaned {
                id: dead_id,
                processes: 0
            }]
        );
        assert!(living.path().exists() && !dead_path.exists());
    }

    #[test]
    fn a_run_whose_owner_was_killed_while_it_removed_the_run_is_removed() {
        let base = tempfile::tempdir().unwrap();
        let run = RunDir::create(base.path(), None).unwrap();
        let (id, path) = (run.id().to_owned(), run.path().to_owned());
        drop(run);
        fs::remove_file(lock_file(&path)).unwrap();
        assert_eq!(dead_runs(base.path()).unwrap(), [], "its owner may be at it");
        let earlier = std::time::SystemTime::now() - 2 * LOCKLESS_AGE;
        File::open(&path).unwrap().set_modified(earlier).unwrap();
        assert_eq!(dead_runs(base.path()).unwrap(), [Cleaned { id, processes: 0 }]);
        assert!(!path.exists());
    }
}
