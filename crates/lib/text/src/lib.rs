//! Rules for text from others: which characters it may have, and how to show it. Every program uses this
//! crate before it stores or shows such a text. It must never let a hidden character through to a terminal, a
//! log or a browser. It also turns an error and its sources into one line, and writes numbers and
//! times for people ([`number`], [`time`]).
//!
//! A person, a host or a build wrote the text, and somebody else must see all of it. So a text must not have
//! characters that are invisible, control the terminal or change the direction of the line. [`is_hidden`] recognizes
//! them.
//!
//! | who | does |
//! |---|---|
//! | the api, with what people write | refuses it: [`find_hidden`] |
//! | the api, with what agents report | keeps the report and replaces the character: [`scrub`] |
//! | agent and api, with what a program printed | makes plain text of it: [`printed`] |
//! | the CLI, with what a person gives it to send | makes plain text of it: [`plain`] |
//! | whatever prints lines for people | replaces the character: [`clean`] |
//! | whatever prints JSON | escapes the character, so that the value stays the same: [`escape_json`] |
//! | whatever shows a document of somebody on a terminal | escapes the character: [`escape_hidden`] |

pub mod number;
mod printed;
pub mod time;

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;

pub use printed::printed;

/// The replacement of a hidden character.
pub const REPLACEMENT: char = '\u{fffd}';

/// Whether the character is invisible, or changes how its neighbours look.
///
/// These are Unicode's categories Cc, Cf, Zl and Zp, the fillers that look like a space, and noncharacters.
/// Variation selectors after emoji do no harm and stay. Icons of the private plane, which fonts draw, stay too.
#[must_use]
pub const fn is_hidden(c: char) -> bool {
    matches!(c,
        // Controls, DEL and C1: an eight-bit terminal takes U+009B for the start of a command.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Soft hyphen, combining grapheme joiner, signs of Arabic and Syriac numbers.
        | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}'
        // Braille without dots, the empty note head, the Khitan filler.
        | '\u{2800}' | '\u{1d159}' | '\u{16fe4}'
        // Hangul and Khmer fillers, Mongolian separators.
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}'
        // Zero-width spaces and joiners, directions, line and paragraph separators, invisible operators.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        // Byte order mark, interlinear annotations, noncharacters.
        | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}'
        // Kaithi, Egyptian, shorthand and musical format characters.
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        // Tags and the selectors beside them, private planes.
        | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
        // The last two of every plane are noncharacters.
        || c as u32 & 0xfffe == 0xfffe
}

/// Whether a text may have several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineLimit {
    /// Only one.
    One,
    /// Several, parted by line feeds.
    Many,
}

/// The first character that a stored text must not have.
#[must_use]
pub fn find_hidden(text: &str, lines: LineLimit) -> Option<char> {
    text.chars()
        .find(|c| is_hidden(*c) && !(*c == '\n' && lines == LineLimit::Many))
}

/// A report's text for the database: hidden characters are replaced, line feeds stay, and tabs become spaces.
#[must_use]
pub fn scrub(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '\n',
            '\t' => ' ',
            c if is_hidden(c) => REPLACEMENT,
            c => c,
        })
        .collect()
}

/// A person's text for the database: line ends become line feeds, tabs become spaces, and hidden characters
/// are removed.
///
/// Blanks at the end go too, such as the line feed that an editor leaves.
#[must_use]
pub fn plain(text: &str) -> String {
    let text = text
        .replace("\r\n", "\n")
        .replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let plain: String = text
        .chars()
        .map(|c| if c == '\t' { ' ' } else { c })
        .filter(|c| *c == '\n' || !is_hidden(*c))
        .collect();
    plain.trim_end().to_owned()
}

/// The text on one line for display: line feeds and tabs become spaces, hidden characters are replaced.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if is_hidden(c) => REPLACEMENT,
            c => c,
        })
        .collect()
}

/// A JSON document with its hidden characters escaped; its meaning stays the same.
///
/// JSON allows most of them unescaped, and serializers use that. Outside of strings JSON only has line feeds and
/// tabs, which stay.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    escape(json, |c| !c.is_ascii_control() && is_hidden(c) || c == '\u{7f}')
}

/// A text of several lines with its hidden characters escaped, as JSON has them.
///
/// Line ends and tabs stay. A document in JSON keeps its meaning: it has no other control characters.
#[must_use]
pub fn escape_hidden(text: &str) -> Cow<'_, str> {
    if !text.contains("\r\n") {
        return escape(text, |c| !matches!(c, '\n' | '\t') && is_hidden(c));
    }
    let lines = text.split("\r\n").map(escape_hidden);
    Cow::Owned(lines.collect::<Vec<_>>().join("\r\n"))
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if is_escaped(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// An error and its sources in one line, joined by `: `, for telling a failure once, where it is handled.
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

    /// One of each kind.
    const HIDDEN: [char; 20] = [
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{ad}',
        '\u{61c}',
        '\u{200b}',
        '\u{200d}',
        '\u{200e}',
        '\u{2028}',
        '\u{2029}',
        '\u{202e}',
        '\u{2066}',
        '\u{feff}',
        '\u{3164}',
        '\u{e0041}',
        '\u{2800}',
        '\u{16fe4}',
        '\u{1d159}',
        '\u{3fffe}',
    ];

    #[test]
    fn no_hidden_character_may_be_stored() {
        for c in HIDDEN {
            assert_eq!(find_hidden(&format!("a{c}b"), LineLimit::Many), Some(c), "{c:?}");
        }
        assert_eq!(
            find_hidden("Grüße, 世界 ✨⚠\u{fe0f} é\u{301}", LineLimit::One),
            None
        );
        assert_eq!(find_hidden("a\nb", LineLimit::Many), None);
        assert_eq!(find_hidden("a\nb", LineLimit::One), Some('\n'));
        assert_eq!(find_hidden("a\tb\r\n", LineLimit::Many), Some('\t'));
    }

    #[test]
    fn what_is_made_fit_may_be_stored() {
        let text: String = HIDDEN
            .iter()
            .flat_map(|c| ['a', *c])
            .chain("\r\n\t".chars())
            .collect();
        for fit in [scrub(&text), plain(&text)] {
            assert_eq!(find_hidden(&fit, LineLimit::Many), None, "{fit:?}");
        }
        assert_eq!(find_hidden(&clean(&text), LineLimit::One), None);
        assert_eq!(
            plain("Fix\tit\r\n\r\nbecause\rof\u{200b} that\n"),
            "Fix it\n\nbecause\nof that"
        );
    }

    #[test]
    fn what_comes_from_elsewhere_cannot_steer_the_terminal() {
        let cleaned = clean("ok\u{1b}[2Jgone\r\n\u{9b}1m \u{202e}txt ä");
        assert_eq!(cleaned, "ok\u{fffd}[2Jgone\u{fffd} \u{fffd}1m \u{fffd}txt ä");
    }

    #[test]
    fn escaped_json_shows_nothing_hidden_and_means_the_same() {
        let json = format!(
            "{{\n\t\"a\": \"{}ä\"\n}}",
            &HIDDEN[1..].iter().collect::<String>()
        );
        let escaped = escape_json(&json);
        assert!(
            !escaped.chars().any(|c| is_hidden(c) && !c.is_ascii_whitespace()),
            "{escaped}"
        );
        assert_eq!(
            escaped,
            "{\n\t\"a\": \"\\u007f\\u0085\\u009b\\u00ad\\u061c\\u200b\\u200d\\u200e\\u2028\\u2029\\u202e\\u2066\
             \\ufeff\\u3164\\udb40\\udc41\\u2800\\ud81b\\udfe4\\ud834\\udd59\\ud8bf\\udffeä\"\n}"
        );
        assert!(matches!(escape_json("{\"a\": 1}"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_document_on_a_terminal_has_its_lines_and_nothing_hidden() {
        let hidden: String = HIDDEN.iter().collect();
        let text = format!("{{\r\n\t\"a\": \"{hidden}\\u202e\"\n}}\rgone");
        let escaped = escape_hidden(&text);
        assert!(
            escaped.starts_with("{\r\n\t\"a\": \"\\u001b\\u007f\\u0085\\u009b")
                && escaped.ends_with("\\u202e\"\n}\\u000dgone"),
            "{escaped}"
        );
        assert_eq!(
            find_hidden(&escaped.replace(['\r', '\t'], ""), LineLimit::Many),
            None
        );
        assert!(matches!(escape_hidden("{\n\t\"a\": 1 }"), Cow::Borrowed(_)));
    }

    #[derive(Debug)]
    struct ChainedError(&'static str, Option<Box<Self>>);

    impl std::fmt::Display for ChainedError {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for ChainedError {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|source| source as _)
        }
    }

    #[test]
    fn every_cause_of_an_error_stands_once() {
        let disk = ChainedError("disk full", None);
        let step = ChainedError("step 3 failed: disk full", Some(Box::new(disk)));
        let journal = ChainedError("cannot write the journal", Some(Box::new(step)));
        assert_eq!(
            error_chain(&journal),
            "cannot write the journal: step 3 failed: disk full"
        );
        assert_eq!(error_chain(&ChainedError("alone", None)), "alone");
    }
}
