//! Reads a secret from a file: what `X_FILE` names, or a systemd credential.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::SecretString;

use crate::error::InvalidValue;
use crate::values::AppEnv;

/// More than any key or URL, and little enough to read at once.
const MOST_BYTES: u64 = 64 * 1024;
/// Read permission for everybody.
const WORLD_READABLE: u32 = 0o004;

/// The secret without the newline at its end, and a warning when anybody can read the file.
///
/// In production a file that anybody can read is refused: such a secret is none.
pub(crate) fn read(path: &Path, env: AppEnv) -> Result<(SecretString, Option<String>), InvalidValue> {
    let shown = path.display();
    let unreadable = |error: &std::io::Error| {
        InvalidValue::new(
            format!("{shown} cannot be read: {error}"),
            "create the file and let the process's user read it (chmod 0400), or correct the path",
        )
    };
    // Asked before opening: opening a pipe would wait for its writer, perhaps for ever.
    let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(InvalidValue::new(
            format!("{shown} is not a regular file"),
            "name a file that holds the secret",
        ));
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(InvalidValue::new(
            format!("{shown} is larger than 64 KiB"),
            "name a file that holds only the secret",
        ));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| InvalidValue::new(format!("{shown} is not UTF-8"), "put the secret in it as text"))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(InvalidValue::new(
            format!("{shown} is empty"),
            "put the secret in it",
        ));
    }
    let mode = metadata.permissions().mode();
    let warning =
        (mode & WORLD_READABLE != 0).then(|| format!("{shown} can be read by every user of the machine"));
    match warning {
        Some(problem) if env.is_production() => Err(InvalidValue::new(
            problem,
            "keep it outside the Nix store and make it 0400 (Kubernetes: defaultMode 0440 with fsGroup)",
        )),
        warning => Ok((text.into(), warning)),
    }
}
