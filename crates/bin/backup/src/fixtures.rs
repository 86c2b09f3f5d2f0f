//! The records of runs and the manifests of dumps as each release wrote them, read by this version.

use slipway_fixtures::{Fixture, Reader, assert_kept, assert_tolerant, assert_unchanged, reader};

use crate::dumps::Manifest;
use crate::state::Record;

const FIXTURES: [Fixture; 1] = [Fixture {
    file: "880fbcd.json",
    text: include_str!("../fixtures/880fbcd.json"),
    sum: Some("d92f1c27bd3de9459faef6af8f2abe2d0f78f93cbb2c4d906f086c83bb6cd204"),
}];

const READERS: [(&str, Reader); 2] = [("Manifest", reader::<Manifest>), ("Record", reader::<Record>)];

#[test]
fn no_fixture_of_a_release_was_changed() {
    assert_unchanged(&FIXTURES);
}

#[test]
fn every_fixture_is_read_and_nothing_known_is_lost() {
    assert_kept(&FIXTURES, &READERS);
}

#[test]
fn an_unknown_field_of_a_newer_program_is_passed_over() {
    assert_tolerant(&FIXTURES, &READERS);
}
