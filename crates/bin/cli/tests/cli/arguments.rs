//! Bad input is told by name and with a cure, before anything is sent.

use crate::common::{CLOSURE, RELEASE, ROLLOUT, Slipway, rollout};
use slipway_client::testing::{ScriptedApi, ScriptedReply};

fn assert_told_and_nothing_sent(slipway: &Slipway, args: &[&str], expected: &str) {
    let ran = slipway.run(args);
    assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
    assert!(ran.stderr.contains(expected), "{args:?}: {}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

#[test]
fn wrong_arguments_about_rollouts_and_releases_are_told_and_nothing_is_sent() {
    let server = ScriptedApi::start(|_| ScriptedReply::empty(500));
    let slipway = Slipway::at(&server);
    let closure = format!("web-1={CLOSURE}");
    let upwards = "web-1=/nix/store/../etc/passwd";
    for (args, expected) in [
        (
            &["rollout", "show", "Prod!"][..],
            "a rollout's number such as 34, its id or the beginning of it, latest, previous, or the name of an environment",
        ),
        (&["rollout", "start", "prod", "V2"], "`V2` is no release"),
        (
            &["rollout", "start", "prod", RELEASE, "--timeout", "5"],
            "help: add --watch",
        ),
        (
            &["rollout", "start", "prod", RELEASE, "--strategy", "no.json"],
            "cannot read the strategy file no.json",
        ),
        (
            &["rollout", "watch", ROLLOUT, "--timeout", "0"],
            "give a whole number from 1 to 2592000",
        ),
        (
            &["rollout", "watch", ROLLOUT, "--timeout", "soon"],
            "give a whole number from 1 to 2592000",
        ),
        (
            &["verify", "--timeout", "-1"],
            "give a whole number from 1 to 600",
        ),
        (
            &["release", "list", "--limit", "0"],
            "give a whole number, 1 or more",
        ),
        (
            &["audit", "events", "--after", "first"],
            "give a whole number, 0 or more",
        ),
        (&["release", "create"], "--closure <HOST=PATH>|--flake <REF>"),
        (
            &["release", "create", "--closure", &closure, "--flake", "."],
            "cannot be used with",
        ),
        (
            &["release", "create", "--closure", &closure, "--host", "web-1"],
            "--flake <REF>",
        ),
        (&["release", "create", "--closure", upwards], "`..` part"),
        (&["release", "create", "--closure", CLOSURE], "it has no `=`"),
        (
            &["release", "create", "--flake", "--expr"],
            "unexpected argument '--expr'",
        ),
        (
            &["release", "create", "--flake=--expr"],
            "`--expr` is neither a reference nor a URL",
        ),
        (&["release", "create", "--flake", ".#web"], "has a `#` part"),
    ] {
        assert_told_and_nothing_sent(&slipway, args, expected);
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn wrong_arguments_about_hosts_people_and_access_are_told_and_nothing_is_sent() {
    let server = ScriptedApi::start(|_| ScriptedReply::empty(500));
    let slipway = Slipway::at(&server);
    for (args, expected) in [
        (
            &["host", "create", "Web", "--env", "prod"][..],
            "`Web` is not a valid host name",
        ),
        (
            &["host", "create", "web", "--env", "prod", "--label", "x"],
            "give KEY=VALUE",
        ),
        (
            &[
                "host",
                "create",
                "web",
                "--env",
                "prod",
                "--token-out",
                "no/such/folder/f",
            ],
            "cannot write the token to",
        ),
        (&["host", "retire", "web-1"], "help: add --yes"),
        (&["env", "set", "prod"], "there is nothing to change"),
        (
            &["principal", "create", "ci", "--role", "root"],
            "use viewer, deployer, approver or admin",
        ),
        (
            &["token", "create", "--label", "x", "--expires-in-days", "0"],
            "give a whole number from 1 to 3650",
        ),
        (
            &["audit", "verify", "--expect-head", "abc"],
            "a head is 64 hex digits",
        ),
        (
            &["status", "--url", "slipway.example.com"],
            "`slipway.example.com` is not an API address: it has no scheme",
        ),
        (
            &["status", "--ca-file", "no.pem"],
            "cannot read the CA file no.pem",
        ),
        (
            &["status", "--token-file", "no.token"],
            "cannot read the token file no.token",
        ),
        (&["status", "--token", "slw_x"], "unexpected argument '--token'"),
    ] {
        assert_told_and_nothing_sent(&slipway, args, expected);
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_time_or_a_rollout_that_nobody_can_mean_is_refused() {
    let server = ScriptedApi::start(|_| ScriptedReply::empty(500));
    let slipway = Slipway::at(&server);
    for (args, expected) in [
        (
            &["rollout", "watch", ROLLOUT, "--timeout", "18446744073709551615"][..],
            "give a whole number from 1 to 2592000",
        ),
        (
            &["rollout", "approve", "prod"],
            "give the number of a rollout that you have looked at: slipway rollout show prod",
        ),
        (
            &["rollout", "approve", "latest@prod"],
            "that you have looked at: slipway rollout show latest@prod",
        ),
        (&["rollout", "resume", "prod"], "slipway rollout show prod"),
    ] {
        let ran = slipway.run(args);
        assert!(
            ran.code == 2 && ran.stderr.contains(expected),
            "{args:?}: {}",
            ran.stderr
        );
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_ca_file_without_a_certificate_is_told_by_its_name() {
    let server = ScriptedApi::start(|_| ScriptedReply::empty(500));
    let slipway = Slipway::at(&server);
    std::fs::write(
        slipway.home.path().join("key.pem"),
        "-----BEGIN PRIVATE KEY-----\n",
    )
    .unwrap();
    let ran = slipway.run(&["status", "--ca-file", "key.pem"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(
        ran.stderr,
        "error: the CA file key.pem holds no PEM certificate\n\
         help: name a file with one or more -----BEGIN CERTIFICATE----- blocks\n"
    );
    assert!(server.requests().is_empty());
}

#[test]
fn with_json_they_are_one_problem_document() {
    let ran = Slipway::new().run(&["--json", "rollout", "abort"]);
    assert_eq!(ran.code, 2);
    let problem = ran.problem();
    assert_eq!(problem["type"], "urn:slipway:problem:cli-usage");
    assert_eq!(problem["exit_code"], 2);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.ends_with("were not provided: <ROLLOUT>"), "{detail}");
}

#[test]
fn a_strategy_from_stdin_or_a_file_is_checked_for_its_form() {
    let server = ScriptedApi::start(|_| ScriptedReply::empty(500));
    let slipway = Slipway::at(&server);
    let start = ["rollout", "start", "prod", RELEASE, "--strategy", "-"];
    for (json, expected) in [
        ("", "is not a strategy: EOF"),
        ("{\"batches\": 2}", "unknown field `batches`"),
        ("[]", "docs/rollouts.md"),
    ] {
        let ran = slipway.run_with_stdin(&start, json);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains(expected), "{json}: {}", ran.stderr);
    }
    let long = "x".repeat(2 * 1024 * 1024);
    let ran = slipway.run_with_stdin(&start, &long);
    assert!(ran.stderr.contains("is over 1 MiB"), "{}", ran.stderr);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn what_is_mistaken_for_something_else_is_told_with_what_to_type() {
    let slipway = Slipway::new()
        .env("SLIPWAY_URL", "http://127.0.0.1:1")
        .env("SLIPWAY_TOKEN", "slw_test");
    for (args, said) in [
        (
            &["release", "create", "--host", "web-1=/nix/store/abc"][..],
            "closures are given with --closure web-1=/nix/store/abc",
        ),
        (
            &[
                "release",
                "create",
                "--manifest",
                "nope.json",
                "--sign-key",
                "key",
            ],
            "error: cannot read the manifest nope.json: No such file or directory (os error 2)\n\
             help: name a text file that this user can read\n",
        ),
    ] {
        let ran = slipway.run(args);
        assert!(ran.code == 2 && ran.stderr.contains(said), "{ran:?}");
    }
}

#[test]
fn a_reason_has_other_names_and_another_word_is_no_slip() {
    let server =
        ScriptedApi::start(|_| ScriptedReply::json(202, &rollout("rolling", None, ["waiting", "waiting"])));
    let slipway = Slipway::at(&server);
    for name in ["--reason", "--note", "--comment", "--why"] {
        let ran = slipway.run(&["rollout", "pause", ROLLOUT, name, "the shop is slow"]);
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
    }
    for request in server.requests() {
        assert!(
            request.body.contains("\"reason\":\"the shop is slow\""),
            "{}",
            request.body
        );
    }
    // Where there is no reason to give, nothing else is offered in its place.
    let ran = slipway.run(&["rollout", "watch", ROLLOUT, "--note", "x"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("unexpected argument '--note'"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("--token-file"), "{}", ran.stderr);
    let slip = slipway.run(&["rollout", "pause", ROLLOUT, "--reasn", "x"]);
    assert!(slip.stderr.contains("'--reason'"), "{}", slip.stderr);
}

#[test]
fn of_a_hundred_wrong_closures_the_first_are_told_and_the_number() {
    let wrong: Vec<String> = (0..100).map(|n| format!("--closure=web-{n}")).collect();
    let hosts: Vec<String> = (0..100).map(|n| format!("--closure=web-{n}={CLOSURE}")).collect();
    // Wrong as they are typed, and hosts that the API does not have.
    let server = ScriptedApi::start(|_| {
        let fields: Vec<_> = (0..100)
            .map(|n| serde_json::json!({ "field": format!("closures.web-{n}"), "detail": format!("there is no host `web-{n}`") }))
            .collect();
        ScriptedReply::json(
            422,
            &serde_json::json!({
                "type": "urn:slipway:problem:invalid", "title": "Invalid", "status": 422,
                "detail": "100 of 100 closures cannot be used", "fields": fields,
            }),
        )
    });
    let slipway = Slipway::at(&server);
    for closures in [wrong, hosts] {
        let mut args = vec!["release", "create"];
        args.extend(closures.iter().map(String::as_str));
        let ran = slipway.run(&args);
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert!(lines[0].contains("closures cannot be used"), "{ran:?}");
        assert!(lines[5].contains("web-4"), "{ran:?}");
        assert_eq!(lines[6], "  and 95 more; --json shows all", "{ran:?}");
        assert!(lines.len() < 9, "{ran:?}");
        args.insert(0, "--json");
        let all = slipway.run(&args).problem();
        assert_eq!(all["fields"].as_array().unwrap().len(), 100);
    }
}
