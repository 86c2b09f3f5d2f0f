//! Tables: columns as wide as their widest cell, two spaces between.

use std::io::Write as _;

use slipway_domain::{RolloutState, StepState};
use tabwriter::TabWriter;

use crate::text::clean;

/// The meaning of a cell. Its colour shows it, in addition to the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing to say.
    Plain,
    /// As wanted.
    Good,
    /// Under way.
    Busy,
    /// Needs a look.
    Bad,
}

/// A cell: its text with its tone.
#[derive(Debug, Clone)]
pub struct Cell(String, Tone);

impl Cell {
    /// A cell with a tone.
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self(clean(text.as_ref()), tone)
    }

    /// A plain cell; a dash for nothing.
    pub fn maybe(text: Option<impl ToString>) -> Self {
        text.map_or_else(|| Self::from("-"), |text| Self::from(text.to_string()))
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// A rollout's state as a cell.
#[must_use]
pub fn rollout_state(state: RolloutState) -> Cell {
    let tone = match state {
        RolloutState::Succeeded => Tone::Good,
        RolloutState::Staging | RolloutState::Rolling => Tone::Busy,
        _ => Tone::Bad,
    };
    Cell::new(state.as_str(), tone)
}

/// A step's state as a cell.
#[must_use]
pub fn step_state(state: StepState) -> Cell {
    let tone = match state {
        StepState::Committed => Tone::Good,
        StepState::Waiting | StepState::Skipped => Tone::Plain,
        StepState::Reverting | StepState::Reverted | StepState::Stuck => Tone::Bad,
        _ => Tone::Busy,
    };
    Cell::new(state.as_str(), tone)
}

/// A table under way.
#[derive(Debug)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    cells: Vec<Cell>,
    /// Lines below it, which no column holds.
    below: Vec<String>,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new(header: &[&'static str]) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with a cell for every column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(Row {
            cells: cells.into_iter().collect(),
            below: Vec::new(),
        });
    }

    /// Adds a line below the last row.
    pub fn below(&mut self, text: impl AsRef<str>) {
        if let Some(row) = self.rows.last_mut() {
            row.below.push(clean(text.as_ref()));
        }
    }

    /// The whole table, each line with its newline; `none` when it has no rows.
    #[must_use]
    pub fn render(&self, colour: bool, none: &str) -> String {
        if self.rows.is_empty() {
            return format!("{none}\n");
        }
        let mut lines = self.header.join("\t");
        for row in &self.rows {
            let cells = row.cells.iter();
            let cells: Vec<String> = cells.map(|cell| paint(&cell.0, cell.1, colour)).collect();
            lines.push('\n');
            lines.push_str(&cells.join("\t"));
        }
        lines.push('\n');
        let mut writer = TabWriter::new(Vec::new()).padding(2).minwidth(0).ansi(true);
        // Writing to memory does not fail.
        let _ = writer.write_all(lines.as_bytes());
        let aligned = writer.into_inner().unwrap_or_default();
        let aligned = String::from_utf8_lossy(&aligned);
        let mut aligned = aligned.split_inclusive('\n');
        let mut text: String = aligned.by_ref().take(1).collect();
        for (row, line) in self.rows.iter().zip(aligned) {
            text.push_str(line);
            for line in &row.below {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

const GOOD: &str = "[32m";
const BUSY: &str = "[36m";
const BAD: &str = "[31m";
const PLAIN: &str = "[0m";
/// All that is painted with, each without the escape before it.
pub const COLOURS: [&str; 4] = [GOOD, BUSY, BAD, PLAIN];

/// The text in its tone's colour.
#[must_use]
pub fn paint(text: &str, tone: Tone, colour: bool) -> String {
    let code = match tone {
        Tone::Good => GOOD,
        Tone::Busy => BUSY,
        Tone::Bad => BAD,
        Tone::Plain => return text.to_owned(),
    };
    if colour {
        format!("\u{1b}{code}{text}\u{1b}{PLAIN}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_and_without_colour() {
        let mut table = Table::new(&["HOST", "STATE", "WHY"]);
        table.row(["web-1".into(), step_state(StepState::Committed), "ö".into()]);
        table.row([
            "w".into(),
            step_state(StepState::Stuck),
            Cell::maybe(None::<String>),
        ]);
        assert_eq!(
            table.render(false, ""),
            "HOST   STATE      WHY\nweb-1  committed  ö\nw      stuck      -\n"
        );
        assert_eq!(
            table.render(true, "").lines().nth(1),
            Some("web-1  \u{1b}[32mcommitted\u{1b}[0m  ö")
        );
        table.below("  because");
        assert!(
            table
                .render(false, "")
                .ends_with("w      stuck      -\n  because\n")
        );
        let mut wide = Table::new(&["HOST", "STATE"]);
        wide.row(["主机".into(), "ok".into()]);
        assert_eq!(
            wide.render(false, ""),
            "HOST  STATE\n主机  ok\n",
            "a wide character takes two columns"
        );
        assert_eq!(Table::new(&["HOST"]).render(true, "no hosts"), "no hosts\n");
    }
}
