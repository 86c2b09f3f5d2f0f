//! What went wrong, what the program printed about it, and what to do.

use std::fmt;

/// A failure as a person reads it, and as it is kept in the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackupFailure {
    what: String,
    printed: Vec<String>,
    cure: Option<String>,
    /// The status a program ended with, for callers that know its meaning.
    status: Option<i32>,
}

pub(crate) type Result<T> = std::result::Result<T, BackupFailure>;

impl BackupFailure {
    /// A failure; the text says what could not be done.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            printed: Vec::new(),
            cure: None,
            status: None,
        }
    }

    /// Adds the cure. The cure nearest to the cause stays.
    pub(crate) fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure.get_or_insert_with(|| cure.into());
        self
    }

    /// The last lines that a program printed.
    pub(crate) fn printed(mut self, lines: Vec<String>) -> Self {
        self.printed = lines;
        self
    }

    /// The status that a program ended with.
    pub(crate) fn status(mut self, status: Option<i32>) -> Self {
        self.status = status;
        self
    }

    /// What was being done when it failed.
    pub(crate) fn during(mut self, what: impl fmt::Display) -> Self {
        self.what = format!("{what}: {}", self.what);
        self
    }

    /// The status that a program ended with, if that is what failed.
    pub(crate) fn exit_status(&self) -> Option<i32> {
        self.status
    }

    /// Whether a program ran to its end and said no. A program that is missing, was killed or took too long has
    /// proved nothing.
    pub(crate) fn is_verdict(&self) -> bool {
        self.status.is_some()
    }

    /// Whether the program printed this.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.what.contains(text) || self.printed.iter().any(|line| line.contains(text))
    }

    /// What failed and what was printed, in one line.
    pub(crate) fn summary(&self) -> String {
        let printed = self.printed.join(" | ");
        if printed.is_empty() {
            self.what.clone()
        } else {
            format!("{}: {printed}", self.what)
        }
    }

    /// What to do.
    pub(crate) fn remedy(&self) -> Option<&str> {
        self.cure.as_deref()
    }
}

impl fmt::Display for BackupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for line in &self.printed {
            write!(f, "\n  {line}")?;
        }
        if let Some(cure) = &self.cure {
            write!(f, "\ncure: {cure}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BackupFailure {}

/// Says what could not be done to which path, and what to do about the usual reasons.
pub(crate) fn io(
    doing: impl fmt::Display,
    path: &std::path::Path,
) -> impl FnOnce(std::io::Error) -> BackupFailure {
    move |error| {
        let failure = BackupFailure::new(format!("cannot {doing} {}: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::StorageFull => failure.cure(NO_ROOM),
            std::io::ErrorKind::PermissionDenied => failure
                .cure("run it as root or as the user of the backup's units; `ls -ld` shows who may enter the folder"),
            std::io::ErrorKind::ReadOnlyFilesystem => {
                failure.cure("mount the file system writable; `dmesg` says why it is not")
            }
            _ => failure,
        }
    }
}

/// The cure for a full disk.
pub(crate) const NO_ROOM: &str = "free space on the file system of the backups (`df -h`), keep fewer days of dumps, or \
                                  move backup.directory to a larger disk; the next run cleans up what this one left";
