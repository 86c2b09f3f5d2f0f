//! Tokens that are shown once.

use std::path::{Path, PathBuf};

use serde::Serialize;
use slipway_domain::TokenId;
use slipway_wire::access::{TokenCreated, TokenSecret};

use crate::CliFailure;

/// Where a new token goes, made ready before there is one.
pub(super) struct Sink(Option<(slipway_durable::PendingFile, PathBuf)>);

/// A token that was made, as `--json` shows it.
#[derive(Serialize)]
pub(super) struct CreatedToken {
    id: TokenId,
    expires_at: Option<chrono::DateTime<chrono::Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<TokenSecret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
}

impl Sink {
    /// Prepares the file if one was asked for, so that a token is not made and then lost.
    pub(super) fn prepare(file: Option<&Path>) -> Result<Self, CliFailure> {
        let prepared = file.map(|path| {
            slipway_durable::PendingFile::create(path, slipway_durable::PRIVATE)
                .map(|file| (file, path.to_owned()))
                .map_err(|error| {
                    CliFailure::usage(format!("cannot write the token to {}: {error}", path.display()))
                })
        });
        prepared.transpose().map(Self)
    }

    /// Puts the token into the file, or keeps it to be shown.
    pub(super) fn take(self, created: TokenCreated) -> Result<CreatedToken, CliFailure> {
        let TokenCreated {
            id,
            token,
            expires_at,
        } = created;
        let (token, token_file) = match self.0 {
            None => (Some(token), None),
            Some((file, path)) => {
                file.commit(format!("{}\n", token.expose()).as_bytes())
                    .map_err(|error| {
                        CliFailure::internal(format!(
                            "the token {id} was made but cannot be written to {}: {error}",
                            path.display()
                        ))
                        .help("make another one")
                    })?;
                (None, Some(path))
            }
        };
        Ok(CreatedToken {
            id,
            expires_at,
            token,
            token_file,
        })
    }
}

impl CreatedToken {
    /// The token, or the file that it is in, with what to do about it.
    pub(super) fn text(&self) -> String {
        match (&self.token, &self.token_file) {
            (Some(token), _) => format!("token: {}\nIt is shown now and never again.\n", token.expose()),
            (None, Some(path)) => format!("the token is in {}\n", path.display()),
            (None, None) => String::new(),
        }
    }
}
