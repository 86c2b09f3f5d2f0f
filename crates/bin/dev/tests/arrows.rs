//! The checkout itself keeps the rules that `./dev test` checks.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::path::Path;
use std::process::Command;

use slipway_dev::test::{arrows, layout, manifests, pages, sentences, shown, sources};

fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."))
}

fn metadata() -> arrows::Metadata {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(checkout())
        .output()
        .unwrap();
    arrows::parse(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

#[test]
fn this_checkout_has_only_the_arrows_of_the_design() {
    let metadata = metadata();
    assert!(metadata.packages.len() >= 14, "all crates are looked at");
    assert_eq!(arrows::violations(&metadata), [""; 0]);
    for package in &metadata.packages {
        let text = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert_eq!(manifests::violations(&package.manifest_path, &text), [""; 0]);
    }
    assert_eq!(sources::too_long(checkout()).unwrap(), [""; 0]);
    assert_eq!(sources::unmerged(checkout()).unwrap(), [""; 0]);
}

#[test]
fn every_link_of_this_checkout_leads_somewhere_and_every_decision_stands_in_the_index() {
    assert_eq!(pages::violations(checkout()).unwrap(), [""; 0]);
}

#[test]
fn every_test_that_a_page_of_this_checkout_names_is_there() {
    assert_eq!(shown::violations(checkout()).unwrap(), [""; 0]);
}

#[test]
fn the_layout_of_the_pages_is_as_generated() {
    let page = checkout().join(layout::PAGE);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        let text = std::fs::read_to_string(&page).unwrap();
        std::fs::write(&page, layout::renewed(&text, &metadata()).unwrap()).unwrap();
    }
    assert_eq!(layout::violations(checkout(), &metadata()).unwrap(), [""; 0]);
}

#[test]
fn no_sentence_of_this_checkout_is_too_long() {
    assert_eq!(sentences::violations(checkout()).unwrap(), [""; 0]);
}
