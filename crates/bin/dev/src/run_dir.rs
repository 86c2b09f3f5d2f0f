//! The private folder of one run, and the lock that says whether its owner still lives.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown,
};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rustix::process::geteuid;

use crate::service_user::ServiceUser;

/// The environment variable every process of a run carries; nested runs append to it, separated by `:`.
pub const MARKER: &str = "SLIPWAY_DEV_RUN";

/// What the folder of a run is called, before its id.
pub const PREFIX: &str = "run-";

/// What it is called until its lock is held.
pub const DRAFT: &str = ".new-";

/// A run's folder. The lock in it is held as long as this value lives and falls with the process.
#[derive(Debug)]
pub struct RunDir {
    id: String,
    path: PathBuf,
    marker: OsString,
    _lock: File,
}

impl RunDir {
    /// Makes a new folder below `base`. It appears under its final name only once its lock is held,
    /// so that no other start can take it for a dead run's.
    pub fn create(base: &Path, user: Option<&ServiceUser>) -> Result<Self> {
        // Others may pass through to what is theirs (Postgres as its own user), but not list it.
        create_dir(base, 0o711)?;
        // Nix refuses a store below a symbolic link.
        let base = &base
            .canonicalize()
            .with_context(|| format!("cannot resolve {}", base.display()))?;
        let owner = fs::metadata(base)?.uid();
        ensure!(
            owner == geteuid().as_raw(),
            "{} belongs to another user ({owner})",
            base.display()
        );
        let mut random = [0_u8; 4];
        getrandom::fill(&mut random).context("cannot read random bytes for the run's id")?;
        let id = hex::encode(random);
        let draft = base.join(format!("{DRAFT}{id}"));
        create_dir(&draft, 0o700)?;
        let lock = File::create(lock_file(&draft)).context("cannot create the run's lock")?;
        lock.lock().context("cannot lock a new run folder")?;
        for folder in ["logs", "procs", "tmp", "home"] {
            create_dir(&draft.join(folder), 0o700)?;
        }
        if let Some(user) = user {
            chown(&draft, None, Some(user.gid)).context("cannot give the run folder to its service group")?;
            fs::set_permissions(&draft, Permissions::from_mode(0o710))?;
        }
        let path = base.join(format!("{PREFIX}{id}"));
        fs::rename(&draft, &path).with_context(|| format!("cannot create {}", path.display()))?;
        let marker = nested_marker(std::env::var_os(MARKER), &id);
        Ok(Self {
            id,
            path,
            marker,
            _lock: lock,
        })
    }

    /// Eight hexadecimal digits, unique to this run.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder itself, absolute if the base was.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value of [`MARKER`] for this run's children.
    #[must_use]
    pub fn marker(&self) -> &OsString {
        &self.marker
    }

    /// Creates a folder for one part of the run, private to its owner (the service user, if given).
    pub fn folder(&self, name: &str, owner: Option<&ServiceUser>) -> Result<PathBuf> {
        let path = self.path.join(name);
        create_dir(&path, 0o700)?;
        if let Some(user) = owner {
            chown(&path, Some(user.uid), Some(user.gid))
                .with_context(|| format!("cannot give {} to user {}", path.display(), user.name))?;
        }
        Ok(path)
    }
}

/// Where the lock of the run in `folder` is.
#[must_use]
pub fn lock_file(folder: &Path) -> PathBuf {
    folder.join("lock")
}

/// Writes a file that only its owner may read, from its first byte on.
pub fn write_private(path: &Path, content: &str, owner: Option<&ServiceUser>) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot create {}", path.display()))?;
    file.write_all(content.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    if let Some(user) = owner {
        chown(path, Some(user.uid), Some(user.gid))
            .with_context(|| format!("cannot give {} to user {}", path.display(), user.name))?;
    }
    Ok(())
}

/// Removes a folder and all in it, also what is write-protected, as everything in a Nix store is.
pub fn remove_tree(path: &Path) -> Result<()> {
    make_writable(path);
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn make_writable(folder: &Path) {
    // What cannot be opened up makes the removal fail, which is reported there.
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

fn create_dir(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .with_context(|| format!("cannot create the folder {}", path.display()))
}

fn nested_marker(outer: Option<OsString>, id: &str) -> OsString {
    let mut marker = outer.unwrap_or_default();
    if !marker.is_empty() {
        marker.push(":");
    }
    marker.push(id);
    marker
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_private_and_locked() {
        let base = tempfile::tempdir().unwrap();
        let run = RunDir::create(base.path(), None).unwrap();
        let mode = fs::metadata(run.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let second = File::open(lock_file(run.path())).unwrap();
        assert!(second.try_lock().is_err(), "the owner's lock must hold");
    }

    #[test]
    fn a_store_is_removed_although_its_folders_are_read_only() {
        let base = tempfile::tempdir().unwrap();
        let deep = base.path().join("run/store/abc/bin");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("x"), "x").unwrap();
        fs::set_permissions(&deep, Permissions::from_mode(0o555)).unwrap();
        fs::set_permissions(deep.parent().unwrap(), Permissions::from_mode(0o555)).unwrap();
        remove_tree(&base.path().join("run")).unwrap();
        assert!(!base.path().join("run").exists());
    }

    #[test]
    fn a_nested_run_keeps_the_outer_marker() {
        assert_eq!(nested_marker(None, "b"), "b");
        assert_eq!(nested_marker(Some("a".into()), "b"), "a:b");
    }
}
