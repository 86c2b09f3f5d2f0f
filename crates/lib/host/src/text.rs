//! Words for people: one line, bounded, without hidden characters.

use std::time::Duration;

use slipway_process::RunOutcome;

/// The longest message that leaves the host, in characters.
pub const MESSAGE_CHARS: usize = 1500;

/// The text on one line: hidden characters become spaces, and the middle goes when it is too long.
#[must_use]
pub fn one_line(text: &str, most: usize) -> String {
    let line: String = text
        .split(|c: char| slipway_text::is_hidden(c) || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let count = line.chars().count();
    if count <= most {
        return line;
    }
    let head: String = line.chars().take(most / 2).collect();
    let tail: String = line.chars().skip(count - (most - most / 2 - 3)).collect();
    format!("{head} … {tail}")
}

/// Why a program did not do what it was asked, in one line; `None` where it did.
pub(crate) fn problem_of(
    program: &str,
    outcome: &RunOutcome,
    output: &str,
    bound: Duration,
) -> Option<String> {
    let words = last_lines(output, 3);
    match outcome {
        RunOutcome::Exited(status) if status.success() => None,
        RunOutcome::Exited(status) if words.is_empty() => Some(format!("{program} ended with {status}")),
        RunOutcome::Exited(_) => Some(words),
        RunOutcome::Failed(error) => Some(format!(
            "cannot run {program}: {error}; is it in the agent's PATH?"
        )),
        RunOutcome::TimedOut => Some(format!(
            "{program} did not end within {} s: {words}",
            bound.as_secs()
        )),
    }
}

/// The last lines of a program's output, joined by ` | `.
#[must_use]
pub fn last_lines(output: &str, lines: usize) -> String {
    let mut kept: Vec<String> = output
        .lines()
        .rev()
        .map(|line| one_line(line, 400))
        .filter(|line| !line.is_empty())
        .take(lines)
        .collect();
    kept.reverse();
    kept.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_bounded_line() {
        assert_eq!(one_line("a\nb\x1b[31m\tc  d", 100), "a b [31m c d");
        let long = one_line(&"x".repeat(5000), 100);
        assert!(long.chars().count() <= 100, "{}", long.len());
        assert!(long.contains(" … "));
    }

    #[test]
    fn the_last_lines_are_kept_in_order() {
        assert_eq!(last_lines("1\n2\n\n3\n4\n", 2), "3 | 4");
    }
}
