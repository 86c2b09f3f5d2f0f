//! Man pages, which packages install beside the completions.

use std::fs;
use std::path::Path;

use crate::Failure;

/// Writes one page for each command into `folder`, which is made if need be.
pub(super) fn write(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(crate::command(), folder))
        .map_err(|error| Failure::io(format!("cannot write man pages to {}", folder.display()), &error))
}
