//! Which keys may have sealed which events.

use std::collections::BTreeMap;

use slipway_wire::audit::{AuditReport, SealKeyUse};

/// The keys that somebody named, each with the events that it may seal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyList {
    keys: BTreeMap<String, Vec<Span>>,
}

/// Events from the first number to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: i64,
    last: i64,
}

impl Span {
    const fn all() -> Self {
        Self {
            first: 1,
            last: i64::MAX,
        }
    }

    /// `FIRST`, `FIRST-` or `FIRST-LAST`.
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok().filter(|number: &i64| *number >= 1);
        let (first, last) = match text.split_once('-') {
            Some((first, "")) => (number(first)?, i64::MAX),
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        (first <= last).then_some(Self { first, last })
    }
}

impl KeyList {
    /// Reads what `slipway audit keys` prints: a key's id and, if it may not seal all events, those that it may.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut list = Self::default();
        for (place, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(id) = words.next() else {
                continue;
            };
            let line_number = place + 1;
            if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(format!(
                    "line {line_number} names no key: an id is 64 hex digits, as `slipway audit keys` prints them"
                ));
            }
            let span = match (words.next(), words.next()) {
                (None, _) => Some(Span::all()),
                (Some(span), None) => Span::parse(span),
                (Some(_), Some(_)) => None,
            };
            let span = span.ok_or_else(|| {
                format!(
                    "line {line_number} does not say which events the key may seal: write FIRST-LAST, FIRST- for all from \
                     there on, or nothing for all"
                )
            })?;
            list.keys.entry(id.to_ascii_lowercase()).or_default().push(span);
        }
        if list.keys.is_empty() {
            return Err("it names no key; make the list with `slipway audit keys`".to_owned());
        }
        Ok(list)
    }

    /// The events that are sealed with a key for which they are not named.
    pub(super) fn refused(&self, report: &AuditReport) -> Vec<String> {
        if report.keys.is_empty() && report.events > 0 {
            return vec![
                "the control plane does not say which keys sealed the events; update it to this command's release".to_owned(),
            ];
        }
        let mut refused = Vec::new();
        let mut counted = 0;
        for key in &report.keys {
            // Each key goes on where the one before ended: a gap would be events that nobody answers for.
            if key.first != counted + 1 || key.last < key.first {
                refused.push(format!(
                    "the control plane does not say which key sealed event {}",
                    counted + 1
                ));
                return refused;
            }
            counted = key.last;
            refused.extend(self.refused_of(key));
        }
        // A chain that is broken ends before.
        if report.whole && counted != report.events {
            refused.push(format!(
                "the control plane does not say which key sealed event {}",
                counted + 1
            ));
        }
        refused
    }

    fn refused_of(&self, key: &SealKeyUse) -> Vec<String> {
        let id = key.id.to_ascii_lowercase();
        let Some(spans) = self.keys.get(&id) else {
            return vec![format!(
                "{} sealed with key {id}, which the list does not name",
                events(key.first, key.last)
            )];
        };
        let mut outside = Vec::new();
        let mut next = key.first;
        let mut spans = spans.clone();
        spans.sort_by_key(|span| span.first);
        for span in spans {
            if span.first > next && next <= key.last {
                outside.push((next, key.last.min(span.first - 1)));
            }
            next = next.max(span.last.saturating_add(1));
        }
        if next <= key.last {
            outside.push((next, key.last));
        }
        outside
            .into_iter()
            .map(|(first, last)| {
                format!(
                    "{} sealed with key {id}, which the list names only for others",
                    events(first, last)
                )
            })
            .collect()
    }
}

fn events(first: i64, last: i64) -> String {
    if first == last {
        format!("event {first} is")
    } else {
        format!("events {first} to {last} are")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> String {
        hex::encode([byte; 32])
    }

    fn report(keys: &[(u8, i64, i64)]) -> AuditReport {
        AuditReport {
            whole: true,
            events: keys.last().map_or(0, |key| key.2),
            head: String::new(),
            broken_at: None,
            problem: None,
            unsealed: 0,
            sealed_earlier: 0,
            undigested: 0,
            keys: keys
                .iter()
                .map(|(byte, first, last)| SealKeyUse {
                    id: id(*byte),
                    first: *first,
                    last: *last,
                })
                .collect(),
        }
    }

    #[test]
    fn only_named_keys_count_and_only_for_their_events() {
        let two = report(&[(1, 1, 100), (2, 101, 250)]);
        let cases: [(String, &[&str]); 8] = [
            (format!("{}\n{}\n", id(1), id(2)), &[]),
            (format!("{} 1-100\n{} 101- # since May\n", id(1), id(2)), &[]),
            (format!("{} 1-40\n{} 41-100\n{}\n", id(1), id(1), id(2)), &[]),
            (id(1), &["events 101 to 250 are sealed with key 0202"]),
            (
                format!("{} 1-99\n{}", id(1), id(2)),
                &["event 100 is sealed with key 0101"],
            ),
            (
                format!("{} 10-20\n{} 30-\n{}", id(1), id(1), id(2)),
                &["events 1 to 9 are", "events 21 to 29 are"],
            ),
            (
                format!("{}\n{} 102-200", id(1), id(2)),
                &["event 101 is", "events 201 to 250 are"],
            ),
            (id(3), &["events 1 to 100 are", "events 101 to 250 are"]),
        ];
        for (list, expected) in cases {
            let refused = KeyList::parse(&list).unwrap().refused(&two);
            assert_eq!(refused.len(), expected.len(), "{list}: {refused:?}");
            for (found, expected) in refused.iter().zip(expected) {
                assert!(found.starts_with(expected), "{list}: {found}");
            }
        }
    }

    /// A server that leaves events out of its account cannot hide who sealed them.
    #[test]
    fn events_that_no_key_answers_for_are_refused() {
        let list = KeyList::parse(&id(1)).unwrap();
        let silent = AuditReport {
            keys: Vec::new(),
            ..report(&[(1, 1, 5)])
        };
        let short = AuditReport {
            events: 6,
            ..report(&[(1, 1, 5)])
        };
        let gap = report(&[(1, 1, 5), (1, 7, 9)]);
        let late = report(&[(1, 2, 9)]);
        for (case, expected) in [
            (silent, "does not say which keys"),
            (short, "event 6"),
            (gap, "event 6"),
            (late, "event 1"),
        ] {
            let refused = list.refused(&case);
            assert!(
                refused.len() == 1 && refused[0].contains(expected),
                "{expected}: {refused:?}"
            );
        }
        assert!(list.refused(&report(&[])).is_empty());
    }

    #[test]
    fn a_bad_list_is_named_by_its_line() {
        for bad in ["12345678", "not-a-key", &id(1)[1..]] {
            assert!(
                KeyList::parse(bad)
                    .unwrap_err()
                    .starts_with("line 1 names no key")
            );
        }
        for span in ["0-5", "5-4", "x", "1-2 3", "1..2", "-5"] {
            let error = KeyList::parse(&format!("# keys\n{} {span}", id(1))).unwrap_err();
            assert!(error.starts_with("line 2 does not say"), "{span}: {error}");
        }
        assert!(KeyList::parse("# none\n").is_err());
    }
}
