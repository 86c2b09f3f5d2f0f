//! Names of releases.

use super::read;
use crate::ReleaseId;
use crate::checked::checked_text;

/// The longest name of a release, in bytes.
pub const MAX_RELEASE_NAME: usize = 63;

/// Text that is no name of a release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseNameError {
    /// It has the wrong form.
    #[error(
        "`{0}` cannot be a release's name: use 1 to 63 lower-case letters, digits, `.`, `_` and `-`, beginning and ending with \
         a letter or digit, such as v1.4.0"
    )]
    Form(String),
    /// It says something else already.
    #[error(
        "`{0}` cannot be a release's name, since it can be read as a number, as the beginning of an id, or as latest or \
         previous; add something, such as v{0}"
    )]
    Taken(String),
}

checked_text! {
    /// A release's name, such as `v1.4.0`. It is given once and never moved.
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, example = "v1.4.0", pattern = "^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$"))]
    ReleaseName, ReleaseNameError, check
}

fn check(text: &str) -> Result<(), ReleaseNameError> {
    let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let has_form = text.len() <= MAX_RELEASE_NAME
        && is_edge(text.chars().next())
        && is_edge(text.chars().last())
        && text
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._-".contains(&c));
    let shown = || text.chars().take(80).collect();
    if !has_form {
        return Err(ReleaseNameError::Form(shown()));
    }
    let is_digits = text.bytes().all(|c| c.is_ascii_digit());
    if is_digits || read::<ReleaseId>(text).is_some() {
        return Err(ReleaseNameError::Taken(shown()));
    }
    Ok(())
}
