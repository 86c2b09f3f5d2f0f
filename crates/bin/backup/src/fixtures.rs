//! The records of runs and the manifests of dumps as each release wrote them, read by this version.

use slipway_fixtures::{Fixture, assert_compatible, reader};

use crate::dumps::Manifest;
use crate::state::Record;

const FIXTURES: [Fixture; 1] = [Fixture {
    file: "880fbcd.json",
    text: include_str!("../fixtures/880fbcd.json"),
    sum: Some("d92f1c27bd3de9459faef6af8f2abe2d0f78f93cbb2c4d906f086c83bb6cd204"),
}];

#[test]
fn the_records_of_every_release_are_read() {
    assert_compatible(
        &FIXTURES,
        &[("Manifest", reader::<Manifest>), ("Record", reader::<Record>)],
    );
}
