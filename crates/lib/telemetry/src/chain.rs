//! An error with its causes, in one line.

use std::error::Error;

/// The error and its sources, joined by `: `, for logging a failure once, where it is handled.
///
/// A source that the text already ends with is left out: not every library keeps its Display free of its source.
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write the journal")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("step 3 failed: {0}")]
    struct Middle(#[source] io::Error);

    #[test]
    fn every_cause_stands_once() {
        let error = Outer(Middle(io::Error::other("disk full")));
        assert_eq!(
            error_chain(&error),
            "cannot write the journal: step 3 failed: disk full"
        );
        assert_eq!(error_chain(&io::Error::other("alone")), "alone");
    }
}
