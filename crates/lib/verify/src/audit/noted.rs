//! Heads that were noted down outside of the control plane.

use std::collections::BTreeMap;

use slipway_domain::event::{EventHash, GENESIS};

/// Heads by the numbers of their events, each with the place where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotedHeads {
    heads: BTreeMap<i64, Vec<NotedHead>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NotedHead {
    hash: EventHash,
    line: usize,
}

impl NotedHeads {
    /// Reads what `slipway audit head` prints, one head on a line. What follows the hash is for people, and so is a line
    /// that begins with `#`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut heads = Self::default();
        for (place, line) in text.lines().enumerate() {
            let line_number = place + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (number, hash) = head(line).ok_or_else(|| {
                format!(
                    "line {line_number} is no head: write the number of an event and the 64 hex digits of its hash, as \
                     `slipway audit head` prints them"
                )
            })?;
            let of_number = heads.heads.entry(number).or_default();
            if of_number.iter().all(|noted| noted.hash != hash) {
                of_number.push(NotedHead {
                    hash,
                    line: line_number,
                });
            }
        }
        if heads.heads.is_empty() {
            return Err("it has no head; note one down with `slipway audit head`".to_owned());
        }
        Ok(heads)
    }

    /// How many events are noted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The newest head; two that disagree are none.
    #[must_use]
    pub fn newest(&self) -> Option<(i64, EventHash)> {
        let (number, heads) = self.heads.last_key_value()?;
        match heads.as_slice() {
            [only] => Some((*number, only.hash)),
            _ => None,
        }
    }

    /// What is wrong with the event of this number, if its hash was noted.
    pub(super) fn contradiction(&self, number: i64, hash: &EventHash) -> Option<String> {
        let other = self
            .heads
            .get(&number)?
            .iter()
            .find(|noted| noted.hash != *hash)?;
        Some(format!(
            "event {number} is another than the one that was noted down in line {}: the log was written anew, up to there \
             or before",
            other.line
        ))
    }

    /// The heads beyond the end of the log.
    pub(super) fn cut_off(&self, events: i64) -> Option<String> {
        let (number, heads) = self.heads.range(events + 1..).next_back()?;
        let line = heads.first().map_or(0, |noted| noted.line);
        Some(format!(
            "event {number} was noted down in line {line}, and the log ends with event {events}: its end was cut off"
        ))
    }

    /// A head before the first event.
    pub(super) fn before_all(&self) -> Option<String> {
        self.contradiction(0, &GENESIS)
    }
}

fn head(line: &str) -> Option<(i64, EventHash)> {
    let mut words = line.split_whitespace();
    let number: i64 = words.next()?.parse().ok()?;
    let mut hash = [0; 32];
    hex::decode_to_slice(words.next()?, &mut hash).ok()?;
    (number >= 0).then_some((number, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(byte: u8) -> String {
        hex::encode([byte; 32])
    }

    #[test]
    fn heads_are_read_with_notes_beside_them() {
        let text = format!(
            "# prod\n7 {} 2026-12-01T00:00:00Z\n\n 12 {}\n12 {}\n",
            hash(1),
            hash(2),
            hash(2)
        );
        let heads = NotedHeads::parse(&text).unwrap();
        assert_eq!((heads.len(), heads.newest()), (2, Some((12, [2; 32]))));
        assert_eq!(heads.contradiction(7, &[1; 32]), None);
        assert_eq!(heads.contradiction(8, &[9; 32]), None);
        assert!(heads.contradiction(7, &[9; 32]).unwrap().contains("line 2"));
        assert!(heads.cut_off(11).unwrap().contains("event 12"));
        assert_eq!(heads.cut_off(12), None);
    }

    /// Two heads of one event cannot both be right, and the log is held against each.
    #[test]
    fn heads_that_disagree_are_found() {
        let heads = NotedHeads::parse(&format!("7 {}\n7 {}\n", hash(1), hash(2))).unwrap();
        assert_eq!(heads.newest(), None);
        assert!(heads.contradiction(7, &[1; 32]).unwrap().contains("line 2"));
        assert!(heads.contradiction(7, &[2; 32]).unwrap().contains("line 1"));
    }

    #[test]
    fn what_is_no_head_is_named_by_its_line() {
        for text in ["", "# none\n"] {
            assert!(NotedHeads::parse(text).unwrap_err().contains("no head"), "{text}");
        }
        let bad = [
            "7".to_owned(),
            "seven abc".to_owned(),
            format!("-1 {}", hash(1)),
            format!("7 {}", &hash(1)[..63]),
            format!("{} 7", hash(1)),
            format!("99999999999999999999 {}", hash(1)),
        ];
        for line in bad {
            let error = NotedHeads::parse(&format!("1 {}\n{line}\n", hash(3))).unwrap_err();
            assert!(error.contains("line 2 is no head"), "{line}: {error}");
        }
    }
}
