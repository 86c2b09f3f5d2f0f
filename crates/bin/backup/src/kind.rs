//! What is done on a schedule, and recorded.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One kind of work whose age is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BackupKind {
    /// A logical dump of the database
    Dump,
    /// A base backup for recovery to a point in time
    WalBase,
    /// An encrypted copy at another place
    Offsite,
    /// Everything that is kept can be read
    Verify,
    /// The newest backup restores to what was recorded
    Drill,
}

impl BackupKind {
    /// All kinds, in the order they are shown and run in.
    pub(crate) const ALL: [Self; 5] = [
        Self::Dump,
        Self::WalBase,
        Self::Offsite,
        Self::Verify,
        Self::Drill,
    ];

    /// As in the configuration, in file names and in labels.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dump => "dump",
            Self::WalBase => "wal-base",
            Self::Offsite => "offsite",
            Self::Verify => "verify",
            Self::Drill => "drill",
        }
    }
}

impl fmt::Display for BackupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
