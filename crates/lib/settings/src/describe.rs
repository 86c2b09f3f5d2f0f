//! What is in force, for the `config` subcommands.

use std::fmt::Write;

use secrecy::ExposeSecret;

use crate::redact;
use crate::registry::{Process, VARIABLES};
use crate::source::Source;

/// What is in force for the process, one line each: `NAME=value  # source`, secrets redacted.
///
/// Works on settings that are wrong, too: it shows what was found, not what is accepted.
#[must_use]
pub fn describe(process: Process, source: &Source) -> String {
    let mut text = String::new();
    for variable in VARIABLES
        .iter()
        .filter(|variable| variable.readers.contains(&process))
    {
        let line = match source.value(variable) {
            Some(value) => {
                let shown = redact::shown(variable, value.text.expose_secret());
                writeln!(text, "{}={}  # {}", variable.name, quoted(&shown), value.origin)
            }
            None => writeln!(text, "{}=  # not set", variable.name),
        };
        line.expect("writing to a String does not fail");
    }
    text
}

/// As a settings file would have it, so that a value cannot look like a source or like another line.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:,=@%+?&*<>[]~".contains(c);
    if value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.escape_debug())
    }
}
