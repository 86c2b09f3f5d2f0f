//! Releases.

use clap::{ArgGroup, Args, Subcommand};
use slipway_domain::{HostName, ReleaseId};

use super::number::at_least;

/// Releases.
#[derive(Debug, Subcommand)]
pub enum ReleaseCommand {
    /// Register what each host is to run
    ///
    /// Either name the closures, or have them built from a flake's nixosConfigurations and copied to a binary cache.
    Create(CreateReleaseArgs),
    /// List releases, the newest first
    List {
        /// At most this many
        #[arg(long, default_value_t = 20, value_name = "N", allow_negative_numbers = true, value_parser = at_least(1_u32))]
        limit: u32,
    },
    /// Show a release
    Show {
        /// Its id
        id: ReleaseId,
    },
}

/// Register a release.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("from").required(true).args(["closures", "flake"])))]
pub struct CreateReleaseArgs {
    /// What one host is to run; give it once for every host
    #[arg(long = "closure", value_name = "HOST=PATH")]
    pub closures: Vec<String>,
    /// Build nixosConfigurations.HOST.config.system.build.toplevel of this flake with Nix
    #[arg(long, value_name = "REF")]
    pub flake: Option<String>,
    /// With --flake: only these hosts; all nixosConfigurations when left out
    #[arg(long = "host", value_name = "HOST", conflicts_with = "closures")]
    pub hosts: Vec<HostName>,
    /// With --flake: copy the closures to this binary cache, such as s3://bucket or file:///srv/cache
    ///
    /// Sign them with Nix's own secret-key-files setting or secret-key in the URL: agents refuse what is not signed.
    #[arg(long, value_name = "URL", conflicts_with = "closures")]
    pub cache: Option<String>,
    /// What it is, for people
    #[arg(long, short, value_name = "TEXT")]
    pub message: Option<String>,
}
