//! Files that an operator names.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use secrecy::SecretString;

use crate::CliFailure;

/// No token, password, configuration or strategy is near this many bytes.
const LONGEST: u64 = 1024 * 1024;
/// Heads of an audit log, one a minute for a year, or the manifest of a large fleet.
const LONGEST_LIST: u64 = 64 * 1024 * 1024;

/// Reads a text file, `-` for stdin.
pub fn read(path: &Path, what: &str) -> Result<String, CliFailure> {
    read_up_to(path, what, LONGEST)
}

/// Reads a text file with a list that grows, `-` for stdin.
pub fn read_list(path: &Path, what: &str) -> Result<String, CliFailure> {
    read_up_to(path, what, LONGEST_LIST)
}

/// Reads a text file of at most so many bytes, `-` for stdin.
pub fn read_up_to(path: &Path, what: &str, longest: u64) -> Result<String, CliFailure> {
    let mut text = String::new();
    let outcome = if path == Path::new("-") {
        io::stdin().lock().take(longest + 1).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(longest + 1).read_to_string(&mut text))
    };
    match outcome {
        Err(error) => Err(
            CliFailure::usage(format!("cannot read the {what} {}: {error}", path.display()))
                .help("name a text file that this user can read"),
        ),
        Ok(read) if read as u64 > longest => Err(CliFailure::usage(format!(
            "the {what} {} is over {} MiB",
            path.display(),
            longest / (1024 * 1024)
        ))),
        Ok(_) => Ok(text),
    }
}

/// Reads a secret: what is in the file, without the newline at its end.
pub fn read_secret(path: &Path, what: &str) -> Result<SecretString, CliFailure> {
    let text = read(path, what)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(CliFailure::usage(format!(
            "the {what} {} is empty",
            path.display()
        )));
    }
    Ok(text.into())
}
