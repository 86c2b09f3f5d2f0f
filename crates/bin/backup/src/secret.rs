//! Secrets: read when needed, passed on in the environment of one program, and removed from output.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::Secret;
use crate::failure::{BackupFailure, Result, io};

/// A secret value that does not show itself.
#[derive(Clone)]
pub(crate) struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl Hidden {
    pub(crate) fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The text without this secret. Short values are kept: cutting them would damage words and protect
    /// nothing.
    pub(crate) fn scrub(&self, text: &str) -> String {
        if self.0.len() < 4 {
            return text.to_owned();
        }
        text.replace(&self.0, "***")
    }
}

impl Secret {
    /// The file to read: the unit's credential if it has it, else the path.
    pub(crate) fn file(&self) -> PathBuf {
        #[expect(
            clippy::disallowed_methods,
            reason = "what systemd tells a unit about its credentials"
        )]
        let folder = std::env::var("CREDENTIALS_DIRECTORY").ok();
        self.file_in(folder.as_deref().map(Path::new))
    }

    fn file_in(&self, folder: Option<&Path>) -> PathBuf {
        folder
            .zip(self.credential.as_ref())
            .map(|(folder, name)| folder.join(name))
            .filter(|file| file.exists())
            .unwrap_or_else(|| self.path.clone())
    }

    /// Its value, without the line break at its end.
    pub(crate) fn read(&self) -> Result<Hidden> {
        let file = self.file();
        let text = std::fs::read_to_string(&file)
            .map_err(io("read the secret", &file))
            .map_err(|failure| failure.cure("put the secret there; on NixOS its option names the file"))?;
        let value = text.trim_end_matches(['\n', '\r']);
        if value.is_empty() {
            return Err(
                BackupFailure::new(format!("the secret {} is empty", file.display()))
                    .cure("write the secret into the file"),
            );
        }
        Ok(Hidden::new(value))
    }

    /// The lines `NAME=value` of the file. Comments and empty lines are left out.
    pub(crate) fn read_environment(&self) -> Result<Vec<(String, Hidden)>> {
        let text = self.read()?;
        let mut found = Vec::new();
        for (number, line) in (1..).zip(text.expose().lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let variable = line.split_once('=').filter(|(name, _)| is_name(name.trim()));
            let Some((name, value)) = variable else {
                // Not the line itself: it may be a secret.
                return Err(BackupFailure::new(format!(
                    "line {number} of {} is not NAME=value",
                    self.path.display()
                ))
                .cure("write one variable a line, without `export`"));
            };
            found.push((name.trim().to_owned(), Hidden::new(unquote(value.trim()))));
        }
        Ok(found)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn unquote(value: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> (tempfile::TempDir, Secret) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, text).unwrap();
        let secret = Secret {
            path,
            credential: Some("NAME".to_owned()),
        };
        (folder, secret)
    }

    #[test]
    fn a_credential_goes_before_the_file() {
        let (folder, secret) = secret("from the file\n");
        let credentials = folder.path().join("credentials");
        assert_eq!(secret.file_in(Some(&credentials)), secret.path);
        std::fs::create_dir(&credentials).unwrap();
        std::fs::write(credentials.join("NAME"), "from systemd").unwrap();
        assert_eq!(secret.file_in(Some(&credentials)), credentials.join("NAME"));
        assert_eq!(secret.read().unwrap().expose(), "from the file");
    }

    #[test]
    fn an_environment_file_is_read_and_a_bad_line_is_not_repeated() {
        let (_folder, good) = secret("# keys\nAWS_ACCESS_KEY_ID=abc\n\nAWS_SECRET_ACCESS_KEY='d e'\n");
        let read = good.read_environment().unwrap();
        assert_eq!(read[1].0, "AWS_SECRET_ACCESS_KEY");
        assert_eq!(read[1].1.expose(), "d e");
        let (_folder, bad) = secret("hunter2hunter2\n");
        let failure = bad.read_environment().unwrap_err().to_string();
        assert!(
            failure.contains("line 1") && !failure.contains("hunter2"),
            "{failure}"
        );
    }

    #[test]
    fn a_secret_shows_itself_nowhere() {
        let hidden = Hidden::new("hunter2");
        assert_eq!(format!("{hidden:?}"), "[hidden]");
        assert_eq!(hidden.scrub("password hunter2 is wrong"), "password *** is wrong");
    }
}
