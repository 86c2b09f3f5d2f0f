//! Tables: columns as wide as their widest cell, two spaces between.

use slipway_domain::{RolloutState, StepState};

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
    rows: Vec<Vec<Cell>>,
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
        self.rows.push(cells.into_iter().collect());
    }

    /// The whole table, each line with its newline; `none` when it has no rows.
    #[must_use]
    pub fn render(&self, colour: bool, none: &str) -> String {
        if self.rows.is_empty() {
            return format!("{none}\n");
        }
        let head: Vec<Cell> = self.header.iter().map(|name| Cell::from(*name)).collect();
        let widths: Vec<usize> = (0..self.header.len())
            .map(|column| {
                let cells = self.rows.iter().chain([&head]).filter_map(|row| row.get(column));
                cells.map(|cell| cell.0.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in std::iter::once(&head).chain(&self.rows) {
            for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let last = i + 1 == row.len();
                let padding = if last {
                    0
                } else {
                    width + 2 - cell.0.chars().count()
                };
                text.push_str(&paint(&cell.0, cell.1, colour));
                text.extend(std::iter::repeat_n(' ', padding));
            }
            text.push('\n');
        }
        text
    }
}

/// The text in its tone's colour.
#[must_use]
pub fn paint(text: &str, tone: Tone, colour: bool) -> String {
    let code = match tone {
        Tone::Good => "32",
        Tone::Busy => "36",
        Tone::Bad => "31",
        Tone::Plain => return text.to_owned(),
    };
    if colour {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
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
        assert_eq!(Table::new(&["HOST"]).render(true, "no hosts"), "no hosts\n");
    }
}
