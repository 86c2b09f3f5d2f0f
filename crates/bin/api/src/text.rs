//! Free text that people write: bounded, so that lists and logs stay readable.

use crate::error::{ApiError, Result};

/// Characters in a label.
pub(crate) const LABEL: usize = 100;
/// Characters in a reason or a message.
pub(crate) const MESSAGE: usize = 2000;

/// Cuts a text off after so many characters.
pub(crate) fn cut(text: &mut String, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
    }
}

/// Cuts a text off after so many characters, and shows that something is missing.
pub(crate) fn shorten(text: &mut String, most: usize) {
    let whole = text.len();
    cut(text, most);
    if text.len() < whole {
        text.push('…');
    }
}

/// Checks a text that must be there.
pub(crate) fn check(field: &str, text: &str, most: usize) -> Result<()> {
    if text.trim().is_empty() {
        return Err(ApiError::field(
            field,
            "it is empty; write something, or leave the field out if it is optional",
        ));
    }
    let count = text.chars().count();
    if count > most {
        return Err(ApiError::field(
            field,
            format!("it has {count} characters; use at most {most}"),
        ));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(ApiError::field(field, "it has a control character; leave it out"));
    }
    Ok(())
}

/// Checks a text that may be left out.
pub(crate) fn check_opt(field: &str, text: Option<&str>, most: usize) -> Result<()> {
    text.map_or(Ok(()), |text| check(field, text, most))
}
