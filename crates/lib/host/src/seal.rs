//! JSON with a checksum over its own bytes, so that a flipped bit is noticed.
//!
//! It has two more fields: a checksum, and a mark at the end that there is one. A single bit cannot hide both. Older
//! agents ignore both fields, and their files, which have neither, can still be read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Stands in the checksum's place while it is counted.
const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Serialize)]
struct Writing<'a, T> {
    checksum: &'a str,
    #[serde(flatten)]
    value: &'a T,
    sealed: bool,
}

#[derive(Deserialize)]
struct Reading {
    checksum: Option<String>,
    sealed: Option<bool>,
}

/// The value as JSON with its checksum. It must be a struct or a map without these two fields.
pub fn seal<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let blank = serde_json::to_string_pretty(&Writing {
        checksum: BLANK,
        value,
        sealed: true,
    })?;
    let checksum = hex::encode(Sha256::digest(blank.as_bytes()));
    Ok(blank.replacen(BLANK, &checksum, 1).into_bytes())
}

/// Reads a value whose checksum is right, or which never had one. `Err` says what is wrong.
pub fn unseal<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let read: Reading = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    match (read.checksum, read.sealed) {
        (None, None) => {}
        (Some(checksum), Some(true)) if checksum == count(text, &checksum) => {}
        (Some(_), Some(true)) => return Err("its checksum is wrong".to_owned()),
        _ => return Err("its checksum is incomplete".to_owned()),
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// The checksum of the text with the one in it blanked out; empty when it is not there as it was read.
fn count(text: &[u8], checksum: &str) -> String {
    let at = text
        .windows(BLANK.len())
        .position(|window| window == checksum.as_bytes());
    let Some(at) = at else {
        return String::new();
    };
    let mut hash = Sha256::new();
    hash.update(&text[..at]);
    hash.update(BLANK);
    hash.update(&text[at + BLANK.len()..]);
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Value = BTreeMap<String, serde_json::Value>;

    fn value() -> Value {
        BTreeMap::from([("n".to_owned(), 4.into()), ("text".to_owned(), "é".into())])
    }

    #[test]
    fn no_flipped_bit_is_believed() {
        let text = seal(&value()).unwrap();
        let read: Value = unseal(&text).unwrap();
        assert_eq!((&read["n"], &read["text"]), (&value()["n"], &value()["text"]));
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = unseal::<Value>(&flipped);
            assert!(read.is_err(), "bit {bit}: {read:?}");
        }
    }

    #[test]
    fn what_never_had_a_checksum_is_read_as_it_is() {
        let read: Value = unseal(br#"{"n":4}"#).unwrap();
        assert_eq!(read["n"], 4);
    }
}
