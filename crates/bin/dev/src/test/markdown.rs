//! Markdown as its readers see it: prose apart from code, and what it names.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A word of prose with the line that it begins on. A span of code is one word, a link its text.
#[derive(Debug)]
pub struct PageWord {
    /// Counted from 1.
    pub line: usize,
    /// With its punctuation.
    pub text: String,
}

/// What a page names.
#[derive(Debug, Default)]
pub struct Names {
    /// Where links lead.
    pub links: Vec<String>,
    /// Spans of code in prose, as they stand in the page.
    pub code: Vec<String>,
    /// Headings, as text.
    pub headings: Vec<String>,
}

fn events(page: &str) -> impl Iterator<Item = (Event<'_>, std::ops::Range<usize>)> {
    Parser::new_ext(page, Options::ENABLE_TABLES).into_offset_iter()
}

/// The words of each paragraph, heading, item of a list and cell of a table: no sentence goes from one into the next.
#[must_use]
pub fn blocks(page: &str) -> Vec<Vec<PageWord>> {
    let ends: Vec<usize> = page.match_indices('\n').map(|(at, _)| at).collect();
    let line = |at| ends.partition_point(|end| *end < at) + 1;
    let mut blocks = vec![Vec::new()];
    let mut in_word = false;
    let mut is_code = false;
    for (event, place) in events(page) {
        let block = blocks.last_mut().expect("there always is one");
        match event {
            Event::Text(text) if !is_code => {
                for (i, part) in text.split(char::is_whitespace).enumerate() {
                    in_word &= i == 0;
                    add(block, part, line(place.start), &mut in_word);
                }
            }
            Event::Code(_) => add(block, &page[place.clone()], line(place.start), &mut in_word),
            Event::SoftBreak | Event::HardBreak => in_word = false,
            Event::Start(tag) if !is_inline(tag.to_end()) => {
                is_code = matches!(tag, Tag::CodeBlock(_));
                in_word = false;
                blocks.push(Vec::new());
            }
            Event::End(tag) if !is_inline(tag) => {
                is_code = false;
                in_word = false;
                blocks.push(Vec::new());
            }
            _ => {}
        }
    }
    blocks
}

fn is_inline(tag: TagEnd) -> bool {
    matches!(
        tag,
        TagEnd::Emphasis | TagEnd::Strong | TagEnd::Link | TagEnd::Image
    )
}

fn add(block: &mut Vec<PageWord>, text: &str, line: usize, in_word: &mut bool) {
    match block.last_mut().filter(|_| *in_word) {
        _ if text.is_empty() => {}
        Some(word) => word.text.push_str(text),
        None => {
            block.push(PageWord {
                line,
                text: text.to_owned(),
            });
            *in_word = true;
        }
    }
}

/// Links, spans of code and headings.
#[must_use]
pub fn names(page: &str) -> Names {
    let mut names = Names::default();
    let mut heading: Option<String> = None;
    for (event, place) in events(page) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                names.links.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => names.headings.extend(heading.take()),
            Event::Text(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
                names.code.push(page[place].to_owned());
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_a_reader_sees_with_their_lines() {
        let page = "# A *title*\n\nSee [this\npage](x.md), or `a b`. <!-- no -->\n\n```\ncode\n```\n- one\n  - two\n\n| a | b |\n|---|---|\n| c | d |\n";
        let seen: Vec<Vec<(usize, String)>> = blocks(page)
            .into_iter()
            .filter(|block| !block.is_empty())
            .map(|block| block.into_iter().map(|word| (word.line, word.text)).collect())
            .collect();
        let words = |words: &[(usize, &str)]| -> Vec<(usize, String)> {
            words
                .iter()
                .map(|(line, word)| (*line, (*word).to_owned()))
                .collect()
        };
        assert_eq!(
            seen,
            [
                words(&[(1, "A"), (1, "title")]),
                words(&[(3, "See"), (3, "this"), (4, "page,"), (4, "or"), (4, "`a b`.")]),
                words(&[(9, "one")]),
                words(&[(10, "two")]),
                words(&[(12, "a")]),
                words(&[(12, "b")]),
                words(&[(14, "c")]),
                words(&[(14, "d")]),
            ]
        );
    }

    #[test]
    fn names_are_found_in_prose_alone() {
        let names =
            names("# One `log`\n\n[a](b.md#c) ![d](e.png) [f]\n\n[f]: g.md\n\n```\n[no](no.md) `no`\n```\n");
        assert_eq!(names.links, ["b.md#c", "e.png", "g.md"]);
        assert_eq!(names.code, ["`log`"]);
        assert_eq!(names.headings, ["One log"]);
    }
}
