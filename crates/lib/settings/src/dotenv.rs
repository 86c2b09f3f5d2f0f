//! Reads a settings file. Errors name file and line, never the line's text: it may hold a secret.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use secrecy::SecretString;

use crate::error::{SettingsError, SettingsErrors};

/// Nobody writes a settings file of this size; whoever names another file by mistake is told so.
const MOST_BYTES: u64 = 1 << 20;

/// The variables of the file; `None` when there is no such file.
pub(crate) fn read(
    path: &Path,
    name: &str,
) -> Result<Option<BTreeMap<String, SecretString>>, SettingsErrors> {
    let wrong = |problem: String, cure: &str| SettingsErrors::from(SettingsError::new(name, problem, cure));
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let problem = format!("{} cannot be read: {error}", path.display());
            return Err(wrong(
                problem,
                "make it a text file that the process may read, or remove it",
            ));
        }
        Ok(read) if read as u64 > MOST_BYTES => {
            return Err(wrong(
                "is larger than 1 MiB".to_owned(),
                "keep only settings in it",
            ));
        }
        Ok(_) => {}
    }
    // The parser wants a line to end before the file does, and knows no byte order mark.
    text.push('\n');
    let text = text.trim_start_matches('\u{feff}');

    let mut variables = BTreeMap::new();
    for item in dotenvy::Iter::new(text.as_bytes()) {
        match item {
            Ok((key, value)) => {
                if variables.insert(key.clone(), SecretString::from(value)).is_some() {
                    return Err(wrong(format!("sets {key} twice"), "keep one of the lines"));
                }
            }
            Err(dotenvy::Error::LineParse(line, _)) => {
                let first = line.lines().next().unwrap_or_default().trim();
                let number = text
                    .lines()
                    .position(|line| line.trim() == first)
                    .map_or(0, |index| index + 1);
                let problem = format!("line {number} is not NAME=value");
                return Err(wrong(
                    problem,
                    "put values with spaces, quotes, # or $ in single quotes",
                ));
            }
            Err(error) => return Err(wrong(format!("cannot be read: {error}"), "make it a text file")),
        }
    }
    Ok(Some(variables))
}
