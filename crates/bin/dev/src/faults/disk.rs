//! A disk of a few megabytes, in a file. Only the exporter sees it mounted.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::programs;
use crate::run::Run;
use crate::spec::Spec;

const SIZE: u64 = 16 << 20;
const MAKE: Duration = Duration::from_mins(1);
/// The exporter's name in the run.
const EXPORTER: &str = "node-exporter";

/// Makes the image with an empty file system, and the folders beside it.
pub(super) async fn make(run: &Run) -> Result<PathBuf> {
    let folder = run.dir.folder("disk", None)?;
    for part in ["disk", "proc"] {
        fs::create_dir(folder.join(part))?;
    }
    let image = folder.join("image");
    File::create(&image)?.set_len(SIZE)?;
    let spec = Spec::new("mkfs", programs::find("mkfs.ext4")?)
        // No blocks are kept for root, who fills it.
        .args(["-q", "-m", "0"])
        .args([&image]);
    run.supervisor.run(spec, MAKE).await?;
    Ok(folder)
}

/// Writes until nothing fits any more.
pub(super) fn fill(run: &Run) -> Result<()> {
    let file = filler(run)?;
    let mut open = File::create(&file).with_context(|| format!("cannot create {}", file.display()))?;
    let block = vec![1_u8; 64 << 10];
    for _ in 0..SIZE / (64 << 10) {
        if std::io::Write::write_all(&mut open, &block).is_err() {
            break;
        }
    }
    Ok(())
}

/// Removes what [`fill`] wrote.
pub(super) fn empty(run: &Run) -> Result<()> {
    let file = filler(run)?;
    fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))
}

/// The disk as the exporter sees it.
fn filler(run: &Run) -> Result<PathBuf> {
    let pid = run
        .supervisor
        .pid(EXPORTER)
        .context("the exporter does not run")?;
    let folder = run.dir.path().join("disk/disk/full");
    let inside = folder.strip_prefix("/").unwrap_or(&folder);
    Ok(PathBuf::from(format!("/proc/{pid}/root")).join(inside))
}
