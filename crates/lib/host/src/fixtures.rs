//! The exit records of jobs as each release wrote them, read by this version.

use slipway_fixtures::{Fixture, assert_compatible, reader};

use crate::job::JobExit;

const FIXTURES: [Fixture; 1] = [Fixture {
    file: "880fbcd.json",
    text: include_str!("../fixtures/880fbcd.json"),
    sum: Some("540efa00d2bcfc70d28ef51d0244787c4f1ef314d1ed46a842408544f8a39d6d"),
}];

#[test]
fn the_records_of_every_release_are_read() {
    assert_compatible(&FIXTURES, &[("Exit", reader::<JobExit>)]);
}
