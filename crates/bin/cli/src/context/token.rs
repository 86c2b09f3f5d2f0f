//! The token in force: where it comes from, so that an error can name the place.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use slipway_verify::Advice;
use slipway_wire::access::TOKEN_PREFIX;

use crate::CliFailure;
use crate::failure::advice_on;
use crate::text::clean;

/// Hex digits of a token after its prefix.
const DIGITS: usize = 64;

/// Where a token was found.
#[derive(Debug, Clone)]
pub(super) enum TokenSource {
    Variable,
    FileOfVariable(PathBuf),
    FileOfFlag(PathBuf),
    /// Kept by `slipway login` in this file.
    Login(PathBuf),
}

impl TokenSource {
    fn words(&self) -> String {
        match self {
            Self::Variable => "the token in SLIPWAY_TOKEN".to_owned(),
            Self::FileOfVariable(path) => {
                format!("the token in {}, which SLIPWAY_TOKEN_FILE names,", path.display())
            }
            Self::FileOfFlag(path) => format!("the token in {}", path.display()),
            Self::Login(path) => format!("the token of your login, in {},", path.display()),
        }
    }
}

/// A token with its place.
#[derive(Debug, Clone)]
pub(super) struct FoundToken {
    pub(super) secret: SecretString,
    pub(super) source: TokenSource,
}

/// What an error says of a token that was used. It does not hold the token.
#[derive(Debug)]
pub(super) struct UsedToken {
    source: TokenSource,
    is_whole: bool,
}

impl FoundToken {
    /// Refuses what no API takes for a token, before it is sent anywhere.
    pub(super) fn check(&self) -> Result<UsedToken, CliFailure> {
        let token = self.secret.expose_secret();
        let Some(digits) = token.strip_prefix(TOKEN_PREFIX) else {
            return Err(
                CliFailure::usage(format!("{} is none", clean(&self.source.words()))).help(format!(
                    "a token is {TOKEN_PREFIX} and {DIGITS} hex digits; `slipway token create` makes one"
                )),
            );
        };
        Ok(UsedToken {
            source: self.source.clone(),
            is_whole: digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        })
    }
}

impl UsedToken {
    /// What to do about errors of requests with this token. A refused one is named by its place.
    pub(super) fn advice(&self) -> Advice {
        let refused = format!("{}; {}", self.problem(), self.help());
        Advice::new(move |error| advice_on(error, &refused))
    }

    /// The failure of a request whose token the API did not take.
    pub(super) fn explain(&self, failure: CliFailure) -> CliFailure {
        failure.saying(self.problem()).help(self.help())
    }

    fn problem(&self) -> String {
        let why = if self.is_whole {
            "it is unknown, revoked or expired".to_owned()
        } else {
            format!("it is not whole: a token is {TOKEN_PREFIX} and {DIGITS} hex digits")
        };
        format!("{} does not work: {why}", clean(&self.source.words()))
    }

    const fn help(&self) -> &'static str {
        match self.source {
            TokenSource::Login(_) => "log in again: slipway login",
            _ => {
                "put another one there: `slipway token create` or an administrator makes it; or log in: slipway login"
            }
        }
    }
}
