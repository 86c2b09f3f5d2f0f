//! Arguments of `slipway verify`.

use std::path::PathBuf;

use clap::Args;

use super::number::number;

/// What to check, and for how long.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Check this stack of this host; may be given several times. If left out, the first that there is of: the API at
    /// --url, this host's stacks, the API of SLIPWAY_URL, that of the last login
    #[arg(long = "stack", value_name = "NAME")]
    pub stacks: Vec<String>,
    /// Where this host's stacks are described
    #[arg(long, value_name = "FOLDER", default_value = "/etc/slipway/stacks")]
    pub stacks_dir: PathBuf,
    /// The status page of `slipway-backup exporter`; when left out, what the stack's description says
    #[arg(long, value_name = "URL")]
    pub backup_url: Option<String>,
    /// Seconds that each check may take; all run at once
    #[arg(long, value_name = "SECONDS", default_value_t = 10, allow_negative_numbers = true, value_parser = number(1_u64, 600))]
    pub timeout: u64,
}
