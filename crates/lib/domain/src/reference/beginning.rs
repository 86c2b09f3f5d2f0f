//! The beginning of an id.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The fewest hex digits that count as the beginning of an id.
pub const MIN_BEGINNING: usize = 4;
/// Hex digits of an id.
const ID_DIGITS: usize = 32;
/// Before which of its hex digits an id has a dash.
const DASHES: [usize; 4] = [8, 12, 16, 20];

/// The first hex digits of an id, in lower case, with or without the dashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdBeginning {
    digits: String,
}

impl IdBeginning {
    /// The lowest and the highest id that begin so.
    #[must_use]
    pub fn range(&self) -> (Uuid, Uuid) {
        let filled = |with: char| {
            let digits: String = self
                .digits
                .chars()
                .chain(std::iter::repeat(with))
                .take(ID_DIGITS)
                .collect();
            // Hex digits, and as many as an id has.
            Uuid::parse_str(&digits).unwrap_or_default()
        };
        (filled('0'), filled('f'))
    }
}

impl fmt::Display for IdBeginning {
    /// With the dashes that an id has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, digit) in self.digits.chars().enumerate() {
            if DASHES.contains(&place) {
                f.write_str("-")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl FromStr for IdBeginning {
    /// It is nothing more than that.
    type Err = NoBeginning;

    fn from_str(text: &str) -> Result<Self, NoBeginning> {
        let mut digits = String::new();
        let mut dashed = false;
        for c in text.chars() {
            match c.to_ascii_lowercase() {
                '-' if DASHES.contains(&digits.len()) && !dashed => dashed = true,
                c @ ('0'..='9' | 'a'..='f') => {
                    digits.push(c);
                    dashed = false;
                }
                _ => return Err(NoBeginning),
            }
        }
        if (MIN_BEGINNING..=ID_DIGITS).contains(&digits.len()) {
            Ok(Self { digits })
        } else {
            Err(NoBeginning)
        }
    }
}

/// Text that no id begins with, or too little of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no id begins so: give 4 or more hex digits")]
pub struct NoBeginning;
