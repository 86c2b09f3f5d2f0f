//! Values of documents.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::text;

/// Characters of a value; what is longer is shortened.
const MAX_CHARS: usize = 300;

/// Some tools write `null` where there is nothing.
pub(super) fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    reader: D,
) -> Result<T, D::Error> {
    Option::deserialize(reader).map(Option::unwrap_or_default)
}

/// That a key is there, whatever its value.
pub(super) fn present<'de, D: Deserializer<'de>>(reader: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(reader).map(|IgnoredAny| true)
}

/// A value as it is kept: of a bounded length, and without the character that no database takes. However long it is, no more
/// is looked at: a document may name one value thousands of times.
pub(super) fn cut(value: &str) -> String {
    let looked_at = value.chars().take(2 * MAX_CHARS);
    let mut value: String = looked_at.filter(|one| *one != '\0').collect();
    text::shorten(&mut value, MAX_CHARS);
    value
}

/// A value that is there and is not empty.
pub(super) fn some(value: Option<&String>) -> Option<String> {
    value.map(|value| cut(value)).filter(|value| !value.is_empty())
}

/// A component with its version.
pub(super) fn named(name: &str, version: Option<&str>) -> String {
    let version = cut(version.unwrap_or_default());
    cut(format!("{} {version}", cut(name)).trim_end())
}
