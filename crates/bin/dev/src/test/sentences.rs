//! Sentences of pages and comments: one of more than 25 words is hard to read, so this names it with its place.

use std::path::Path;

use anyhow::Result;

use crate::test::markdown::{PageWord, blocks};
use crate::test::sources;

/// A longer sentence says more than one thing.
const MOST_WORDS: usize = 25;

/// Words whose full stop ends no sentence.
const ABBREVIATIONS: [&str; 5] = ["e.g.", "i.e.", "etc.", "vs.", "no."];

/// What is wrong with the pages and the comments of Rust code in the checkout at `root`, as sentences.
///
/// docs/options.md and docs/cli.md are made from the texts of options and commands, so these are checked as well.
pub fn violations(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in sources::files(root, &["md", "rs"])? {
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        let mut text = sources::text(&file)?;
        if file.extension().is_some_and(|extension| extension == "rs") {
            text = comments(&text);
        }
        for long in too_long(&text) {
            found.push(format!(
                "{name}:{}: a sentence of {} words, {MOST_WORDS} at most; split it: {}",
                long.line, long.words, long.text
            ));
        }
    }
    Ok(found)
}

/// The comments of Rust code as Markdown, each on the line that it has in the code.
fn comments(code: &str) -> String {
    let text = |line: &str| {
        let comment = ["//!", "///", "//"]
            .iter()
            .find_map(|mark| line.trim_start().strip_prefix(mark));
        format!("{}\n", comment.unwrap_or_default())
    };
    code.lines().map(text).collect()
}

/// One sentence with too many words.
#[derive(Debug, PartialEq, Eq)]
struct Long {
    line: usize,
    words: usize,
    text: String,
}

/// Sentences of Markdown with too many words.
fn too_long(page: &str) -> Vec<Long> {
    let mut found = Vec::new();
    for block in blocks(page) {
        let mut sentence = Vec::new();
        for word in block {
            let ends = ends_a_sentence(&word.text);
            sentence.push(word);
            if ends {
                found.extend(judge(&sentence));
                sentence.clear();
            }
        }
        found.extend(judge(&sentence));
    }
    found
}

fn judge(sentence: &[PageWord]) -> Option<Long> {
    let words = sentence
        .iter()
        .filter(|word| word.text.contains(char::is_alphanumeric))
        .count();
    let text: Vec<&str> = sentence.iter().map(|word| word.text.as_str()).collect();
    (words > MOST_WORDS).then(|| Long {
        line: sentence[0].line,
        words,
        text: text.join(" "),
    })
}

fn ends_a_sentence(word: &str) -> bool {
    let bare = word.trim_end_matches([')', ']', '"', '\'', '*', '_']);
    let begin = bare.trim_start_matches(['(', '[', '"', '\'', '*', '_']);
    bare.ends_with(['.', '!', '?']) && !ABBREVIATIONS.contains(&begin.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` words, the last one with a full stop.
    fn sentence(count: usize) -> String {
        let mut words = vec!["word"; count];
        words[count - 1] = "end.";
        words.join(" ")
    }

    #[test]
    fn a_sentence_of_26_words_is_told_with_its_line_and_one_of_25_is_not() {
        let page = format!("# A title\n\nShort. {}\n{}\n", sentence(25), sentence(26));
        let found = too_long(&page);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].line, found[0].words), (4, 26));
        assert_eq!(found[0].text, sentence(26));
    }

    #[test]
    fn a_sentence_goes_on_over_lines_and_ends_with_its_block() {
        let half = ["word"; 13].join(" ");
        assert_eq!(too_long(&format!("{half}\n{half}\n")).len(), 1);
        for between in ["\n\n", "\n- ", "\n# ", ".\n", "?) ", "\n```\n", "\n\n> x\n\n"] {
            let page = format!("{half}{between}{half}\n");
            assert_eq!(too_long(&page), [], "{page}");
        }
        for page in [
            format!("1. {half}\n2. {half}\n"),
            format!("1. {half}\n   - {half}\n"),
            format!("| a | b |\n|---|---|\n| {half} | {half} |\n"),
        ] {
            assert_eq!(too_long(&page), [], "{page}");
        }
        assert_eq!(
            too_long(&format!("{half}\n503. {half}, {half}\n")).len(),
            1,
            "503. is no mark of a list"
        );
    }

    #[test]
    fn comments_of_code_are_prose_and_code_is_not() {
        let words = ["word"; 26].join(" ");
        let code = format!("//! {words}\nlet {words};\n    /// {words}\n    // {words}\n");
        let lines: Vec<usize> = too_long(&comments(&code)).iter().map(|long| long.line).collect();
        assert_eq!(lines, [1, 3]);
        assert_eq!(
            too_long(&comments(&code))[1].words,
            52,
            "two lines of comments are one text"
        );
    }

    #[test]
    fn code_and_targets_of_links_are_not_prose() {
        let code = format!("```sh\n{}\n```\n~~~\n{0}\n~~~\n", ["word"; 30].join(" "));
        assert_eq!(too_long(&code), []);
        let span = format!("A `{}` is one word.", ["word"; 30].join(" "));
        assert_eq!(too_long(&span), []);
        let link = format!("See [this page](<a page {}>).", ["word"; 30].join(" "));
        assert_eq!(too_long(&link), []);
        let abbreviated = format!("{}, e.g. {}", ["word"; 13].join(" "), ["word"; 13].join(" "));
        assert_eq!(too_long(&abbreviated).len(), 1);
        let marks = format!("{} - / & {}.", ["word"; 12].join(" "), ["word"; 13].join(" "));
        assert_eq!(too_long(&marks), [], "marks are no words");
    }
}
