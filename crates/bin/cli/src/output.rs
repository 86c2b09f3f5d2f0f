//! What goes to stdout and stderr.

use std::fmt::Display;
use std::io::{self, Write as _};

use chrono::{DateTime, Utc};
use serde::Serialize;
use slipway_text::{escape_json, scrub};

use crate::CliFailure;

/// Where and how to show things.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// One JSON document on stdout, and nothing else.
    pub json: bool,
    /// Whether text may have colours.
    pub colour: bool,
    /// Whether both stdout and stderr are terminals.
    pub terminal: bool,
    /// This machine's clock, for ages.
    pub now: fn() -> DateTime<Utc>,
}

impl Output {
    /// Shows a value: as JSON, or as the text that the closure makes.
    pub fn show(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), CliFailure> {
        if self.json {
            let mut json = serde_json::to_string_pretty(value)
                .map_err(|error| CliFailure::internal(format!("cannot write JSON: {error}")))?;
            json.push('\n');
            Self::stdout(&escape_json(&json))
        } else {
            Self::stdout(&text())
        }
    }

    /// Writes to stdout as it is, whatever the mode.
    pub fn stdout(text: &str) -> Result<(), CliFailure> {
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| CliFailure::io("cannot write to stdout", &error))
    }

    /// Says something on the side: on stderr, and not at all with `--json`.
    pub fn note(&self, text: impl Display) {
        if !self.json {
            Self::tell(&text.to_string());
        }
    }

    /// A note of those who do not know how things are shown.
    pub(crate) fn tell(text: &str) {
        // One that cannot be written changes nothing about the outcome.
        let _ = writeln!(io::stderr(), "{}", scrub(text));
    }

    /// Warns: on stderr.
    pub fn warn(&self, text: impl Display) {
        self.note(format_args!("warning: {text}"));
    }
}
