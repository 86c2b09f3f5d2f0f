//! Man pages, which packages install beside the completions.

use std::fs;
use std::path::Path;

use crate::CliFailure;

/// Writes one page for each command into `folder`, which is made if need be.
pub(super) fn write(folder: &Path) -> Result<(), CliFailure> {
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(crate::command(), folder))
        .map_err(|error| CliFailure::io(format!("cannot write man pages to {}", folder.display()), &error))
}
