//! Files that are whole or not there, whatever moment the power goes.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::failure::{Failure, Result, io};

/// What unfinished files end in; whoever holds the lock may remove them.
pub(crate) const PARTIAL: &str = ".partial";

/// Where a file is written before it is renamed to `path`.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL);
    PathBuf::from(name)
}

/// Puts `content` at `path`: a reader sees the old file or the new one, also after a power cut.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = partial(path);
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(content)?;
        file.sync_all()
    })();
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(io("write", &temporary)(error));
    }
    commit(&temporary, path)
}

/// Renames a finished file into place, durably.
pub(crate) fn commit(from: &Path, to: &Path) -> Result<()> {
    File::open(from)
        .and_then(|file| file.sync_all())
        .map_err(io("flush", from))?;
    fs::rename(from, to).map_err(io("rename", from))?;
    sync_folder(to)
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io("flush", folder))
}

/// Removes a file or a folder with all that is in it; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Makes a folder and those above it.
pub(crate) fn folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(io("make the folder", path))
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
    Err(Failure::new(format!(
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
    fn a_written_file_is_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
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
