//! The programs of this checkout.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// Where they are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `slipway-api`
    pub api: PathBuf,
    /// `slipway-worker`
    pub worker: PathBuf,
    /// `slipway-agent`
    pub agent: PathBuf,
    /// `slipway`
    pub cli: PathBuf,
    /// `slipway-demo-service`
    pub demo_service: PathBuf,
    folder: PathBuf,
}

impl Binaries {
    /// Those in `folder`, where cargo put ours too.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let find = |name: &str| program(folder, name);
        Ok(Self {
            api: find("slipway-api")?,
            worker: find("slipway-worker")?,
            agent: find("slipway-agent")?,
            cli: find("slipway")?,
            demo_service: find("slipway-demo-service")?,
            folder: folder.to_owned(),
        })
    }

    /// `slipway-backup`, which only some commands need.
    pub fn backup(&self) -> Result<PathBuf> {
        program(&self.folder, "slipway-backup")
    }
}

fn program(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    ensure!(
        path.is_file(),
        "{} is not built: start through ./dev, which builds it, or run `cargo programs --bins`",
        path.display()
    );
    Ok(path)
}
