//! What programs print, as plain text: without escapes for a terminal, whatever bytes there were.

use crate::{REPLACEMENT, is_hidden};

const ESCAPE: char = '\u{1b}';
/// The introducer of a control sequence as one character, which eight-bit terminals take.
const INTRODUCER: char = '\u{9b}';

/// The plain text of what a program printed: lines of visible characters.
///
/// Escapes for terminals go. Every line end becomes a line feed and every tab a space. A run of hidden characters or of
/// bytes that are no UTF-8 becomes one [`REPLACEMENT`]. So the text is never much longer than the bytes.
#[must_use]
pub fn printed(bytes: &[u8]) -> String {
    let mut plain = PlainText(String::with_capacity(bytes.len()));
    for chunk in bytes.utf8_chunks() {
        plain.take(chunk.valid());
        if !chunk.invalid().is_empty() {
            plain.hide();
        }
    }
    plain.0
}

struct PlainText(String);

impl PlainText {
    fn hide(&mut self) {
        if !self.0.ends_with(REPLACEMENT) {
            self.0.push(REPLACEMENT);
        }
    }

    fn take(&mut self, text: &str) {
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                ESCAPE => rest = after_escape(rest.as_str()).chars(),
                INTRODUCER => rest = after_sequence(rest.as_str()).chars(),
                '\r' => {
                    if !rest.as_str().starts_with('\n') {
                        self.0.push('\n');
                    }
                }
                '\n' => self.0.push('\n'),
                '\t' => self.0.push(' '),
                REPLACEMENT => self.hide(),
                c if is_hidden(c) => self.hide(),
                c => self.0.push(c),
            }
        }
    }
}

/// What follows an escape, whose first character was taken.
fn after_escape(text: &str) -> &str {
    let mut rest = text.chars();
    match rest.next() {
        Some('[') => after_sequence(rest.as_str()),
        // Titles, links, pictures and messages to the terminal: they have text of any length.
        Some(']' | 'P' | 'X' | '^' | '_') => after_string(rest.as_str()),
        Some(' '..='/') => {
            let rest = rest.as_str().trim_start_matches(|c| matches!(c, ' '..='/'));
            skip_one(rest, |c| matches!(c, '0'..='~'))
        }
        Some('0'..='~') => rest.as_str(),
        _ => text,
    }
}

/// What follows a control sequence: parameters, and one last character.
fn after_sequence(text: &str) -> &str {
    let rest = text.trim_start_matches(|c| matches!(c, ' '..='?'));
    skip_one(rest, |c| matches!(c, '@'..='~'))
}

/// What follows a string for the terminal. One that does not end on its line was none, or goes on elsewhere.
fn after_string(text: &str) -> &str {
    for (at, c) in text.char_indices() {
        match c {
            '\u{7}' | '\u{9c}' => return &text[at + c.len_utf8()..],
            ESCAPE => return text[at + 1..].strip_prefix('\\').unwrap_or(&text[at..]),
            '\n' | '\r' => return &text[at..],
            _ => {}
        }
    }
    ""
}

fn skip_one(text: &str, is_last: impl Fn(char) -> bool) -> &str {
    match text.chars().next() {
        Some(c) if is_last(c) => &text[c.len_utf8()..],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_go_and_lines_stay() {
        for (bytes, text) in [
            ("plain\nlines\n", "plain\nlines\n"),
            ("\u{1b}[1;31mred\u{1b}[0m\n", "red\n"),
            ("\u{9b}2Jgone\n", "gone\n"),
            ("\u{1b}]0;a title\u{7}after\n", "after\n"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\\n", "link\n"),
            ("\u{1b}]0;a title that never ends\nafter\n", "\nafter\n"),
            ("\u{1b}P1$r\u{1b}[31m\n", "\n"),
            ("\u{1b}(Bcharset\u{1b}7 \u{1b}=\n", "charset \n"),
            ("10%\r20%\r\nend\r\n", "10%\n20%\nend\n"),
            ("a\tb\u{8}c\n", "a b\u{fffd}c\n"),
            ("to the \u{202e}left\n", "to the \u{fffd}left\n"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
            ("<b>&amp;</b>", "<b>&amp;</b>"),
        ] {
            assert_eq!(printed(bytes.as_bytes()), text, "{bytes:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_one_mark_a_run() {
        assert_eq!(printed(b"a\xff\xfe\x00\x01b\n"), "a\u{fffd}b\n");
        assert_eq!(printed(&vec![0; 100_000]), "\u{fffd}");
        assert_eq!(printed(&vec![0xc3; 100_000]), "\u{fffd}");
    }

    /// Whatever comes, nothing hidden is left, and cleaning twice changes nothing.
    #[test]
    fn nothing_hidden_is_left() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..200)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let byte = (state >> 33).to_le_bytes()[0];
                    // Half of them are those that escapes are made of.
                    if state >> 63 == 0 {
                        byte
                    } else {
                        b"\x1b[]P\\;m\n\r\x07\xc2\x9b"[usize::from(byte) % 12]
                    }
                })
                .collect();
            let text = printed(&bytes);
            assert!(
                !text
                    .chars()
                    .any(|c| c != '\n' && c != REPLACEMENT && is_hidden(c)),
                "{text:?}"
            );
            assert_eq!(printed(text.as_bytes()), text);
            assert!(text.len() <= 2 * bytes.len());
        }
    }
}
