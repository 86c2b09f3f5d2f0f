//! Files and the room for them, with failures that name the file.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, RenameFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use slipway_durable::BY_UMASK;
pub(crate) use slipway_durable::PARTIAL;

use crate::failure::{BackupFailure, Result, io};

/// Later files get the access rights of `folder`, whatever umask the shell had. Two accounts share the state, and
/// root restores into it.
pub(crate) fn share_like(folder: &Path) {
    if let Ok(meta) = fs::metadata(folder) {
        rustix::process::umask(Mode::from_raw_mode(!meta.permissions().mode() & 0o777));
    }
}

/// Where a long file is written before [`commit`] gives it its name.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL);
    PathBuf::from(name)
}

/// Puts `content` at `path`, whole. Two accounts share the state: the umask says who may read it.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    slipway_durable::write(path, content, BY_UMASK).map_err(io("write", path))
}

/// Renames a finished file into place, durably.
pub(crate) fn commit(from: &Path, to: &Path) -> Result<()> {
    slipway_durable::rename(from, to).map_err(io("rename", from))
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    slipway_durable::sync_parent(path).map_err(io("flush the folder of", path))
}

/// Removes a file or a folder with all that is in it; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    slipway_durable::remove(path).map_err(io("remove", path))
}

/// Makes a folder and those above it.
pub(crate) fn folder(path: &Path) -> Result<()> {
    slipway_durable::folder(path, 0o777).map_err(io("make the folder", path))
}

/// Gives two names on one file system to each other's folders, in one step.
pub(crate) fn exchange(one: &Path, other: &Path) -> Result<()> {
    match rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        // A file system that cannot do it in one step, such as NFS.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            let aside = partial(one);
            fs::rename(other, &aside).map_err(io("rename", other))?;
            fs::rename(one, other).map_err(io("rename", one))?;
            fs::rename(&aside, one).map_err(io("rename", &aside))?;
        }
        Err(errno) => return Err(io("exchange with its restored copy", other)(errno.into())),
    }
    sync_folder(other)
}

/// SHA-256 of a file and its length.
pub(crate) fn digest(path: &Path) -> Result<(String, u64)> {
    let mut file = File::open(path).map_err(io("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    let mut size = 0_u64;
    loop {
        let read = file.read(&mut buffer).map_err(io("read", path))?;
        if read == 0 {
            return Ok((hex::encode(hash.finalize()), size));
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
}

/// Bytes that are free for us on the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> Result<u64> {
    let stat =
        rustix::fs::statvfs(path).map_err(|errno| io("ask for the free space of", path)(errno.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Fails when the file system of `folder` has less than `needed` bytes free.
pub(crate) fn need_room(folder: &Path, needed: u64, what: &str) -> Result<()> {
    let free = free_bytes(folder)?;
    if free >= needed {
        return Ok(());
    }
    Err(BackupFailure::new(format!(
        "not enough room for {what}: {} has {} free, and about {} is needed",
        folder.display(),
        crate::text::size(free),
        crate::text::size(needed)
    ))
    .cure(crate::failure::NO_ROOM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_digested_with_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        write(&path, b"two").unwrap();
        let (hash, size) = digest(&path).unwrap();
        assert_eq!(size, 3);
        assert_eq!(
            hash,
            "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"
        );
    }

    #[test]
    fn a_lack_of_room_says_how_much_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let failure = need_room(folder.path(), u64::MAX, "a dump").unwrap_err();
        assert!(failure.mentions("not enough room for a dump"), "{failure}");
        assert!(failure.remedy().unwrap().contains("df -h"));
    }
}
