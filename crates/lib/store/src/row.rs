//! From columns to the domain's types.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::types::Json;
use sqlx::{Decode, Postgres, Type, ValueRef as _};
use tracing::warn;

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

/// Reads a text column that may be null and that nothing depends on: what a newer program wrote is read as nothing.
pub(crate) fn lenient<T: FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
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

/// A column or an aggregate that cannot be negative.
#[derive(Debug)]
pub(crate) struct Count(u32);

impl From<Count> for u32 {
    fn from(count: Count) -> Self {
        count.0
    }
}

impl Type<Postgres> for Count {
    fn type_info() -> PgTypeInfo {
        <i64 as Type<Postgres>>::type_info()
    }
}

impl Decode<'_, Postgres> for Count {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        // This reads the bytes of an integer of any width.
        let number = i64::decode(value)?;
        let count = number.try_into();
        Ok(Self(count.map_err(|_| format!("{number} is out of range"))?))
    }
}

/// A JSON column of one row among many, which may be null. A value in an unknown format of a newer program is read as
/// nothing, so that the other rows can still be read.
#[derive(Debug)]
pub(crate) struct LenientJson<T>(Option<T>);

impl<T> From<LenientJson<T>> for Option<T> {
    fn from(json: LenientJson<T>) -> Self {
        json.0
    }
}

impl<T> Type<Postgres> for LenientJson<T> {
    fn type_info() -> PgTypeInfo {
        <Json<serde_json::Value> as Type<Postgres>>::type_info()
    }

    fn compatible(info: &PgTypeInfo) -> bool {
        <Json<serde_json::Value> as Type<Postgres>>::compatible(info)
    }
}

impl<'r, T: DeserializeOwned> Decode<'r, Postgres> for LenientJson<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.is_null() {
            return Ok(Self(None));
        }
        let Json(value) = Json::<serde_json::Value>::decode(value)?;
        let read = serde_json::from_value(value);
        if let Err(error) = &read {
            warn!(%error, "passed over what a newer program wrote");
        }
        Ok(Self(read.ok()))
    }
}

/// Reads a hash column.
pub(crate) fn hash(what: &'static str, bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|bytes: Vec<u8>| StoreError::Corrupt {
        what,
        detail: format!("{} bytes instead of 32", bytes.len()),
    })
}
