//! The forms that records of runs and manifests of dumps had in each release, read by this version. A file of a release is never changed: programs of that release write
//! so. New forms go into `next.json`; a release gives that its commit's name and a line in [`FILES`].

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::dumps::Manifest;
use crate::state::Record;

/// Every file with its SHA-256.
const FILES: [(&str, &str, &str); 1] = [(
    "880fbcd.json",
    include_str!("../fixtures/880fbcd.json"),
    "d92f1c27bd3de9459faef6af8f2abe2d0f78f93cbb2c4d906f086c83bb6cd204",
)];

/// Reads a value as a type of this version and writes it anew.
fn again<T: DeserializeOwned + Serialize>(value: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(value)?)
}

fn read(name: &str, value: Value) -> Result<Value, serde_json::Error> {
    match name {
        "Record" => again::<Record>(value),
        "Manifest" => again::<Manifest>(value),
        _ => panic!("{name} has a fixture and no reader"),
    }
}

#[test]
fn no_fixture_of_a_release_was_changed() {
    for (name, text, sum) in FILES {
        assert_eq!(
            hex::encode(Sha256::digest(text)),
            sum,
            "{name} was changed; put the new form into next.json"
        );
    }
}

#[test]
fn every_fixture_is_read_and_written_the_same() {
    for (file, text, _) in FILES {
        let types: BTreeMap<String, Vec<Value>> = serde_json::from_str(text).unwrap();
        for (name, value) in types
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        {
            let written =
                read(name, value.clone()).unwrap_or_else(|error| panic!("{file} {name} {value}: {error}"));
            assert_eq!(&written, value, "{file} {name}");
        }
    }
}

#[test]
fn an_unknown_field_of_a_newer_program_is_passed_over() {
    for (file, text, _) in FILES {
        let types: BTreeMap<String, Vec<Value>> = serde_json::from_str(text).unwrap();
        for (name, mut value) in types
            .into_iter()
            .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
        {
            value["of_a_later_release"] = json!({"a": [1]});
            read(&name, value).unwrap_or_else(|error| panic!("{file} {name}: {error}"));
        }
    }
}
