//! The stage of `./dev test` that looks at the flake.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::fs;
use std::process::Command;

use common::Base;
use slipway_dev::run::Run;
use slipway_dev::test::nix::check;

/// What the stage says of a checkout that has nothing but tests of nix/lib, none of them added to git yet.
async fn check_with(tests: &str) -> Result<(), String> {
    let base = Base::new();
    let checkout = tempfile::tempdir().unwrap();
    let folder = checkout.path().join("nix/lib/tests");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("default.nix"), tests).unwrap();
    let init = Command::new("git")
        .args(["init", "--quiet"])
        .current_dir(checkout.path())
        .status();
    assert!(init.unwrap().success());
    let run = Run::create(base.path()).unwrap();
    let outcome = check(&run, checkout.path()).await;
    run.close().await.unwrap();
    outcome.map_err(|error| format!("{error:#}"))
}

#[tokio::test]
async fn a_test_that_fails_is_told() {
    let told = check_with("[ (toString (1 + 1)) ]").await;
    assert_eq!(told, Err("nix/lib/tests found:\n  2".to_owned()));
}

#[tokio::test]
async fn a_file_that_does_not_parse_is_named() {
    let told = check_with("[ ").await.unwrap_err();
    assert!(
        told.contains("nix-parse failed") && told.contains("default.nix"),
        "{told}"
    );
}

#[tokio::test]
async fn where_no_input_can_be_fetched_the_rest_is_still_checked() {
    check_with("[ ]").await.unwrap();
}
