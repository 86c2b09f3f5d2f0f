//! What a person sees while the demo runs: lines with the time, and bars on a terminal.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::say::say;

/// The clock and the voice of the demo; all of it goes to standard error.
#[derive(Debug)]
pub(super) struct Timeline {
    start: Instant,
    bars: Option<MultiProgress>,
}

impl Default for Timeline {
    fn default() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            start: Instant::now(),
            bars: terminal.then(MultiProgress::new),
        }
    }
}

impl Timeline {
    /// Begins one of the six points.
    pub(super) fn point(&self, number: u8, title: &str) {
        self.line(&format!("\n{number}. {title}"));
    }

    /// Ends the story; the summary follows.
    pub(super) fn end(&self) {
        self.line("\nSummary");
    }

    /// Tells what just happened.
    pub(super) fn say(&self, text: &str) {
        let text = short(text, 150);
        self.line(&format!("[{:5.1} s] {text}", self.elapsed().as_secs_f64()));
    }

    /// Time since the start.
    #[must_use]
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// A bar of `steps` hosts; invisible where there is no terminal.
    #[must_use]
    pub(super) fn bar(&self, name: &str, steps: usize) -> ProgressBar {
        let Some(bars) = &self.bars else {
            return ProgressBar::hidden();
        };
        let style = ProgressStyle::with_template("          {prefix:<12} [{bar:24}] {pos}/{len} {wide_msg}");
        // Added before anything is set: a bar outside of the set would draw itself and stay there.
        let bar = bars.add(ProgressBar::new(u64::try_from(steps).unwrap_or_default()));
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        bar
    }

    fn line(&self, text: &str) {
        match &self.bars {
            // Above the bars, which would otherwise be torn.
            Some(bars) if bars.println(text).is_ok() => {}
            _ => say(text),
        }
    }
}

/// Names closures without store and hash, and cuts what is longer than `most` characters.
#[must_use]
pub(super) fn short(text: &str, most: usize) -> String {
    let word = |word: &str| {
        let name = word
            .rsplit_once("/store/")
            .and_then(|(_, name)| name.split_once('-'));
        name.map_or_else(|| word.to_owned(), |(_, name)| name.to_owned())
    };
    let text = text.split(' ').map(word).collect::<Vec<_>>().join(" ");
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closures_are_named_and_long_text_is_cut() {
        let text = "/x/run-1/store/026fjm8rp90zvflssiay7hv5p031wk6l-slipway-demo-web-1-v1 lacks a signature";
        assert_eq!(short(text, 100), "slipway-demo-web-1-v1 lacks a signature");
        assert_eq!(short("slipway-demo", 10), "slipway-d…");
        assert_eq!(short("    web-1 committed", 100), "    web-1 committed");
    }
}
