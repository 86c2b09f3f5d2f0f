//! The exit records of jobs as each release wrote them, read by this version.

use slipway_fixtures::{Fixture, Reader, assert_kept, assert_tolerant, assert_unchanged, reader};

use crate::job::Exit;

const FIXTURES: [Fixture; 1] = [Fixture {
    file: "880fbcd.json",
    text: include_str!("../fixtures/880fbcd.json"),
    sum: Some("540efa00d2bcfc70d28ef51d0244787c4f1ef314d1ed46a842408544f8a39d6d"),
}];

const READERS: [(&str, Reader); 1] = [("Exit", reader::<Exit>)];

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
