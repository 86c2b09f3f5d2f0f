//! The checkout itself keeps the rules that `./dev test` checks.

use std::path::Path;
use std::process::Command;

use slipway_dev::test::{arrows, manifests, pages, sources};

fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."))
}

#[test]
fn this_checkout_has_only_the_arrows_of_the_design() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(checkout())
        .output()
        .unwrap();
    let metadata = arrows::parse(&String::from_utf8(output.stdout).unwrap()).unwrap();
    assert!(metadata.packages.len() >= 14, "all crates are looked at");
    assert_eq!(arrows::violations(&metadata), [""; 0]);
    for package in &metadata.packages {
        let text = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert_eq!(manifests::violations(&package.manifest_path, &text), [""; 0]);
    }
    assert_eq!(sources::too_long(checkout()).unwrap(), [""; 0]);
}

#[test]
fn every_link_of_this_checkout_leads_somewhere_and_every_decision_stands_in_the_index() {
    assert_eq!(pages::violations(checkout()).unwrap(), [""; 0]);
}
