//! What `slipway login` keeps: one API with its token.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slipway_domain::TokenId;
use slipway_wire::access::TokenSecret;

use crate::CliFailure;

/// The content of `config.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SavedLogin {
    /// The API's address.
    pub url: String,
    /// A PEM file with an extra CA; absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The token. It is only ever sent to `url`.
    pub token: TokenSecret,
    /// The token's id, when it was made by this login: then logout revokes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
}

/// The file's place: `$XDG_CONFIG_HOME/slipway/config.json`, else `~/.config/slipway/config.json`.
///
/// As the XDG specification asks, a relative `XDG_CONFIG_HOME` counts as none.
pub fn place(xdg_config_home: Option<&Path>, home: Option<&Path>) -> Result<PathBuf, CliFailure> {
    let base = match (xdg_config_home, home) {
        (Some(xdg), _) if xdg.is_absolute() => xdg.to_owned(),
        (_, Some(home)) if home.is_absolute() => home.join(".config"),
        _ => {
            return Err(CliFailure::usage("there is no folder to keep a login in").help(
                "set HOME or XDG_CONFIG_HOME to an absolute path, or use SLIPWAY_URL and SLIPWAY_TOKEN_FILE",
            ));
        }
    };
    Ok(base.join("slipway/config.json"))
}

/// Reads the file; none when there is none. The second value says that others may read it too.
pub fn load(path: &Path) -> Result<Option<(SavedLogin, bool)>, CliFailure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(CliFailure::io(
                format_args!("cannot read {}", path.display()),
                &error,
            ));
        }
    };
    let stored = serde_json::from_str(&text).map_err(|error| {
        // The error's own text could hold a part of the token.
        CliFailure::usage(format!("{} is damaged at line {}", path.display(), error.line()))
            .help("log in again: slipway login")
    })?;
    let mode = fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    Ok(Some((stored, mode & 0o077 != 0)))
}

/// A login about to be kept.
#[derive(Debug)]
pub struct PendingLogin(slipway_durable::PendingFile, PathBuf);

/// Checks before a login that its result can be stored.
pub fn prepare(path: &Path) -> Result<PendingLogin, CliFailure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    slipway_durable::private_folder(folder)
        .and_then(|()| slipway_durable::PendingFile::create(path, slipway_durable::PRIVATE))
        .map(|file| PendingLogin(file, path.to_owned()))
        .map_err(|error| CliFailure::io(format_args!("cannot write {}", path.display()), &error))
}

impl PendingLogin {
    /// Stores it with 0600 in a folder with 0700, complete or not at all.
    pub fn save(self, stored: &SavedLogin) -> Result<(), CliFailure> {
        let json = serde_json::to_string_pretty(stored)
            .map_err(|error| CliFailure::internal(format!("cannot write JSON: {error}")))?;
        self.0
            .commit((json + "\n").as_bytes())
            .map_err(|error| CliFailure::io(format_args!("cannot write {}", self.1.display()), &error))
    }
}

/// Removes the file, if there is one.
pub fn forget(path: &Path) -> Result<(), CliFailure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CliFailure::io(
            format_args!("cannot remove {}", path.display()),
            &error,
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_follows_the_xdg_rules() {
        let at = |xdg: Option<&str>, home: Option<&str>| {
            place(xdg.map(Path::new), home.map(Path::new)).map(|path| path.display().to_string())
        };
        assert_eq!(at(Some("/x"), Some("/h")).unwrap(), "/x/slipway/config.json");
        assert_eq!(
            at(Some("rel"), Some("/h")).unwrap(),
            "/h/.config/slipway/config.json"
        );
        assert!(at(None, None).is_err());
    }

    #[test]
    fn a_damaged_file_is_told_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "{\"url\":\"https://a\",\"token\":[\"slw_secret\"]}").unwrap();
        let failure = format!("{:?}", load(&path).unwrap_err());
        assert!(
            failure.contains("is damaged") && !failure.contains("slw_"),
            "{failure}"
        );
    }
}
