//! From columns to the domain's types.

use std::fmt::Display;
use std::str::FromStr;

use crate::StoreError;

/// Reads a text column that this program wrote.
pub(crate) fn parse<T>(what: &'static str, text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| StoreError::Corrupt {
        what,
        detail: error.to_string(),
    })
}

/// Reads a text column that may be null.
pub(crate) fn parse_opt<T>(what: &'static str, text: Option<&str>) -> Result<Option<T>, StoreError>
where
    T: FromStr,
    T::Err: Display,
{
    text.map(|text| parse(what, text)).transpose()
}

/// Reads a name with a function of its own.
pub(crate) fn named<T>(
    what: &'static str,
    text: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoreError> {
    read(text).ok_or_else(|| StoreError::Corrupt {
        what,
        detail: format!("`{text}` is not one"),
    })
}

/// Reads a number column that cannot be negative.
pub(crate) fn count<N>(what: &'static str, number: N) -> Result<u32, StoreError>
where
    N: TryInto<u32> + Copy + Display,
{
    number.try_into().map_err(|_| StoreError::Corrupt {
        what,
        detail: format!("{number} is out of range"),
    })
}

/// Reads a hash column.
pub(crate) fn hash(what: &'static str, bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|bytes: Vec<u8>| StoreError::Corrupt {
        what,
        detail: format!("{} bytes instead of 32", bytes.len()),
    })
}
