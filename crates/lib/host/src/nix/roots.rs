//! Links that keep closures from the garbage collector.
//!
//! A link in Nix's `gcroots` folder that leads straight into the store is a root. A running collection has already read
//! the roots. It does not see a new root, nor a root whose path was not there yet. So the link is made before the fetch,
//! for later collections. The fetching program makes it once more, and tells a running collection before it releases the
//! path.
//!
//! No root helps a part that was garbage in the store. A collection first chooses what to delete and then deletes it.
//! Most releases of Nix do not check in between whether somebody needs it now. So a closure that was fetched is
//! checked, and fetched again when it is gone.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use slipway_domain::{AttemptId, StorePath};

use crate::config::HostConfig;

/// The agent's own folder of roots.
#[derive(Debug, Clone)]
pub(crate) struct GcRoots {
    dir: PathBuf,
}

impl GcRoots {
    pub(crate) fn new(config: &HostConfig) -> Self {
        Self {
            dir: config.gcroots_dir.clone(),
        }
    }

    fn closure_link(&self, attempt: AttemptId) -> PathBuf {
        self.dir.join(attempt.to_string())
    }

    /// Protects the attempt's closure. Gives the link.
    pub(crate) fn add(&self, attempt: AttemptId, closure: &StorePath) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.dir)?;
        let link = self.closure_link(attempt);
        slipway_durable::link(&link, closure.as_path())?;
        Ok(link)
    }

    /// Protects the attempt's prior.
    pub(crate) fn add_prior(&self, attempt: AttemptId, prior: &StorePath) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        slipway_durable::link(&self.dir.join(format!("{attempt}-prior")), prior.as_path())
    }

    /// Protects the attempt's closure no more.
    pub(crate) fn drop_closure(&self, attempt: AttemptId) {
        let _ = slipway_durable::remove(&self.closure_link(attempt));
    }

    /// Keeps one link, the newest, for each of the closures, and removes our other links.
    pub(crate) fn keep_only(&self, keep: &BTreeSet<StorePath>) -> io::Result<()> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let mut links = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(|name| {
                name.strip_suffix("-prior")
                    .unwrap_or(name)
                    .parse::<AttemptId>()
                    .is_ok()
            });
            if ours && entry.file_type()?.is_symlink() {
                let target = fs::read_link(entry.path())?;
                let made = entry.metadata()?.modified()?;
                links.push((made, entry.path(), target));
            }
        }
        links.sort();
        let mut kept = BTreeSet::new();
        for (_, link, target) in links.into_iter().rev() {
            let wanted = keep.iter().any(|closure| closure.as_path() == target);
            if !(wanted && kept.insert(target)) {
                slipway_durable::remove(&link)?;
            }
        }
        Ok(())
    }
}
