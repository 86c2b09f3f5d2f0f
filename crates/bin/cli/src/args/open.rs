//! Arguments of `slipway open`.

use clap::{Args, ValueEnum};

/// Which page.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// What it is about; all environments when left out
    #[arg(value_enum)]
    pub page: Option<Page>,
    /// Which one: a number, a name or an id, as in other commands; the list of all when left out
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Only print the address, also on a desktop
    #[arg(long)]
    pub print: bool,
}

/// What a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// An environment
    Env,
    /// A host
    Host,
    /// A release
    Release,
    /// A rollout
    Rollout,
    /// The audit log
    Audit,
    /// People and tokens
    Access,
    /// Browsers that are signed in
    Sessions,
}
