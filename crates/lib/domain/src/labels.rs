//! Labels of hosts, and how a strategy names hosts by them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A host's labels: each name has one value.
pub type Labels = BTreeMap<String, String>;

/// Hosts of an environment with the same value of this label are members of one cluster. Rollouts never have two of them
/// out at once, whatever a strategy says.
pub const CLUSTER_LABEL: &str = "slipway.cluster";

/// Labels of a host.
pub const MAX_LABELS: usize = 32;
/// Characters in the name of a label.
pub const MAX_LABEL_NAME: usize = 63;
/// Characters in its value.
pub const MAX_LABEL_VALUE: usize = 255;

/// Characters of a text that names hosts.
pub const MAX_SELECTOR: usize = 1024;

/// Whether a label can have this name.
#[must_use]
pub fn is_label_name(text: &str) -> bool {
    (1..=MAX_LABEL_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
}

/// The labels as people write them: `role=db zone=a`.
#[must_use]
pub fn in_words(labels: &Labels) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    labels.join(" ")
}

/// Which hosts are meant: those that have all of these labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector(Labels);

/// Text that names no hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// More text than labels can need.
    #[error("it has {0} characters, and at most {MAX_SELECTOR} can name hosts: name fewer labels")]
    TooLong(usize),
    /// A part without `=`.
    #[error(
        "`{0}` is no label: write NAME=VALUE, such as role=db, or role=db,zone=a for hosts that have both"
    )]
    NoLabel(String),
    /// A name that no label has.
    #[error(
        "no label is called `{0}`: the name of a label is 1 to {MAX_LABEL_NAME} letters, digits, `-`, `_`, `.` and `/`"
    )]
    BadName(String),
    /// One label twice.
    #[error("the label `{0}` is named twice, and a host has one value of it: name it once")]
    Twice(String),
}

impl Selector {
    /// Whether a host with these labels is meant.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(name, value)| labels.get(name) == Some(value))
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let chars = text.chars().count();
        if chars > MAX_SELECTOR {
            return Err(SelectorError::TooLong(chars));
        }
        let mut labels = Labels::new();
        for part in text.split(',').map(str::trim) {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| SelectorError::NoLabel(part.to_owned()))?;
            if !is_label_name(name) {
                return Err(SelectorError::BadName(name.to_owned()));
            }
            if labels.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(SelectorError::Twice(name.to_owned()));
            }
        }
        Ok(Self(labels))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_host_is_meant_if_it_has_every_label() {
        let selector: Selector = "zone=a, role=db".parse().unwrap();
        assert_eq!(selector.to_string(), "role=db,zone=a");
        assert!(selector.matches(&labels(&[("role", "db"), ("zone", "a"), ("rack", "7")])));
        assert!(!selector.matches(&labels(&[("role", "db"), ("zone", "b")])));
        assert!(!selector.matches(&labels(&[("role", "db")])));
    }

    #[test]
    fn what_names_no_hosts_is_refused_with_the_cure() {
        for (text, said) in [
            ("", "`` is no label: write NAME=VALUE"),
            ("db", "`db` is no label: write NAME=VALUE"),
            ("role=db,", "`` is no label"),
            ("=db", "no label is called ``"),
            ("ro le=db", "no label is called `ro le`"),
            ("role=db,role=app", "`role` is named twice"),
        ] {
            let error = text.parse::<Selector>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        let long = format!("role={}", "x".repeat(MAX_SELECTOR));
        let error = long.parse::<Selector>().unwrap_err().to_string();
        assert!(error.contains("it has 1029 characters"), "{error}");
    }
}
