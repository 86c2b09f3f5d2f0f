//! What is in force, for the `config` subcommands.

use crate::redact;
use crate::registry;
use crate::source::SettingsSource;
use crate::variable::Process;

/// What is in force for the process, one line each: `NAME=value  # source`, secrets redacted.
///
/// Works on settings that are wrong, too: it shows what was found, not what is accepted.
#[must_use]
pub fn describe(process: Process, source: &SettingsSource) -> String {
    let read = registry::variables().filter(|variable| variable.readers.contains(&process));
    let lines = read.map(|variable| match source.value(variable) {
        Some(value) => {
            let shown = quoted(&redact::redacted(variable, value.text()));
            format!("{}={shown}  # {}\n", variable.name, value.origin)
        }
        None => format!("{}=  # not set\n", variable.name),
    });
    lines.collect()
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
