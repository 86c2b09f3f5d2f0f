//! What goes to stdout and stderr.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write as _};

use chrono::{DateTime, Utc};
use serde::Serialize;
use slipway_text::{escape_hidden, escape_json, scrub};

use crate::CliFailure;
use crate::table::COLOURS;

const ESCAPE: char = '\u{1b}';

/// Where and how to show things.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of where it is shown"
)]
pub struct Output {
    /// One JSON document on stdout, and nothing else.
    pub json: bool,
    /// Whether text may have colours.
    pub colour: bool,
    /// Whether stdout is a terminal.
    pub stdout_terminal: bool,
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
            Self::stdout(&self.visible(&text()))
        }
    }

    /// Shows a document of somebody else: as JSON with what is known of it, or as it is. On a terminal its hidden characters
    /// are escaped, and its colours are none of ours.
    pub fn show_document(&self, value: &impl Serialize, document: &str) -> Result<(), CliFailure> {
        if self.json {
            self.show(value, String::new)
        } else if self.stdout_terminal {
            Self::stdout(&escape_hidden(document))
        } else {
            Self::stdout(document)
        }
    }

    /// A text as stdout may have it. It repeats words of hosts and programs, and control characters in them could hide lines on a
    /// terminal or type commands there. So a terminal gets our own colours alone. A pipe gets the text unchanged.
    #[must_use]
    pub fn visible<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.stdout_terminal {
            return Cow::Borrowed(text);
        }
        let mut parts = text.split(ESCAPE);
        let first = escape_hidden(parts.next().unwrap_or_default());
        parts.fold(first, |mut visible, part| {
            let colour = COLOURS.iter().find(|colour| part.starts_with(**colour));
            let visible_text = visible.to_mut();
            match colour {
                Some(_) if self.colour => visible_text.push(ESCAPE),
                _ => visible_text.push_str(&escape_hidden("\u{1b}")),
            }
            visible_text.push_str(&escape_hidden(part));
            visible
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn output(stdout_terminal: bool, colour: bool) -> Output {
        Output {
            json: false,
            colour,
            stdout_terminal,
            terminal: false,
            now: DateTime::default,
        }
    }

    #[test]
    fn a_terminal_gets_no_command_but_our_colours() {
        let text = "a\u{1b}[31mred\u{1b}[0m \u{1b}[2J\u{9b}1m\u{202e}\n\tb";
        assert_eq!(
            output(true, true).visible(text),
            "a\u{1b}[31mred\u{1b}[0m \\u001b[2J\\u009b1m\\u202e\n\tb"
        );
        assert_eq!(
            output(true, false).visible(text),
            "a\\u001b[31mred\\u001b[0m \\u001b[2J\\u009b1m\\u202e\n\tb"
        );
        assert_eq!(output(false, false).visible(text), text);
    }
}
