//! Free text from people: bounded, so that lists and logs stay readable, and without hidden characters.

use slipway_text::{LineLimit, find_hidden};
use slipway_wire::limits::{LABEL_CHARS, MESSAGE_CHARS, OIDC_CHARS, SEARCH_WORDS};
use slipway_wire::output::MAX_SEARCH_CHARS;

use crate::error::{ApiError, Result};

/// How long a text may be, and of how many lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    /// Characters.
    most: usize,
    lines: LineLimit,
}

/// What names something.
pub(crate) const LABEL: Bound = Bound {
    most: LABEL_CHARS,
    lines: LineLimit::One,
};
/// What a provider of sign-in sends back with the browser.
pub(crate) const OIDC: Bound = Bound {
    most: OIDC_CHARS,
    lines: LineLimit::One,
};
/// A reference to sources, a reason that others repeat within a line, or the words of a search.
pub(crate) const REFERENCE: Bound = Bound {
    most: MESSAGE_CHARS,
    lines: LineLimit::One,
};
/// A reason or a message.
pub(crate) const MESSAGE: Bound = Bound {
    most: MESSAGE_CHARS,
    lines: LineLimit::Many,
};

/// What is searched for in lines.
pub(crate) const SEARCH: Bound = Bound {
    most: MAX_SEARCH_CHARS,
    lines: LineLimit::One,
};

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
pub(crate) fn check(field: &str, text: &str, bound: Bound) -> Result<()> {
    if text.trim().is_empty() {
        return Err(ApiError::field(
            field,
            "it is empty; write something, or leave the field out if it is optional",
        ));
    }
    let (count, most) = (text.chars().count(), bound.most);
    if count > most {
        return Err(ApiError::field(
            field,
            format!("it has {count} characters; use at most {most}"),
        ));
    }
    match hidden(text, bound.lines) {
        Some(problem) => Err(ApiError::field(field, problem)),
        None => Ok(()),
    }
}

/// Checks a text that may be left out.
pub(crate) fn check_opt(field: &str, text: Option<&str>, bound: Bound) -> Result<()> {
    text.map_or(Ok(()), |text| check(field, text, bound))
}

/// The words of a search, of which there are few; none where it says nothing.
pub(crate) fn words<'a>(field: &str, text: Option<&'a str>) -> Result<Vec<&'a str>> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        return Ok(Vec::new());
    };
    check(field, text, REFERENCE)?;
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.len() > SEARCH_WORDS {
        let detail = format!("it has {} words; use at most {SEARCH_WORDS}", words.len());
        return Err(ApiError::field(field, detail));
    }
    Ok(words)
}

/// What to say of a text with a character that may not be stored.
pub(crate) fn hidden(text: &str, lines: LineLimit) -> Option<String> {
    let found = find_hidden(text, lines)?;
    Some(format!(
        "it has the hidden character U+{:04X}; leave it out",
        u32::from(found)
    ))
}
