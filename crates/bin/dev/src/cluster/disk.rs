//! The disk of a member's database: small enough to be filled, and mounted only in the command's own namespace.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::mount::{UnmountFlags, unmount};

use crate::programs;
use crate::run::Run;
use crate::spec::Spec;

/// Of the file system; its image has holes where nothing was written.
const SIZE: u64 = 3 << 30;
const MAKE: Duration = Duration::from_mins(1);
/// Takes all room that is left.
const FILLER: &str = "full";

/// A mounted disk.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts a new disk on `folder`.
    pub(super) async fn mount(run: &Run, image: &Path, folder: &Path) -> Result<Self> {
        let name = |what: &str| format!("{what}-{}", image.display().to_string().replace('/', "-"));
        let options = if rustix::process::geteuid().is_root() {
            File::create(image)?.set_len(SIZE)?;
            let make = Spec::new(name("mkfs"), programs::find("mkfs.ext4")?)
                // No blocks are kept for root.
                .args(["-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1"])
                .args([image]);
            run.supervisor.run(make, MAKE).await?;
            [
                "-o".to_owned(),
                "loop,nosuid,nodev".to_owned(),
                image.display().to_string(),
            ]
        } else {
            // The kernel mounts no image for a user, but memory.
            [
                "-ttmpfs".to_owned(),
                format!("-osize={SIZE},mode=0711"),
                "tmpfs".to_owned(),
            ]
        };
        let mount = Spec::new(name("mount"), programs::find("mount")?)
            .args(options)
            .args([folder]);
        run.supervisor
            .run(mount, MAKE)
            .await
            .with_context(|| format!("cannot mount a disk on {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Takes all the room that is left.
    pub(super) fn fill(&self) -> Result<()> {
        let path = self.folder.join(FILLER);
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        // One piece may be too large where many small ones fit.
        let mut end = 0;
        let mut piece = {
            let free = statvfs(&self.folder)?;
            free.f_bavail * free.f_frsize
        };
        while piece >= 4096 {
            match fallocate(&file, FallocateFlags::empty(), end, piece) {
                Ok(()) => end += piece,
                Err(_) => piece /= 2,
            }
        }
        Ok(())
    }

    /// Gives the room back.
    pub(super) fn empty(&self) -> Result<()> {
        let path = self.folder.join(FILLER);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The folder can be removed from now on; who still has a file open keeps it until its end.
        let _ = unmount(&self.folder, UnmountFlags::DETACH);
    }
}
