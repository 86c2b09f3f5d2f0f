//! Logging in keeps a token where only its owner can read it, and sends it nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::common::{Slipway, TOKEN_ID, token, whoami};
use serde_json::{Value, json};
use slipway_client::testing::{ReceivedRequest, ScriptedApi, ScriptedReply, TestCertificate};
use slipway_wire::problem::kind;

fn api(request: &ReceivedRequest) -> ScriptedReply {
    match request.line().as_str() {
        "POST /api/v1/login" if request.body.contains("\"password\":\"right\"") => {
            ScriptedReply::json(201, &token())
        }
        "POST /api/v1/login" => {
            ScriptedReply::problem(401, kind::UNAUTHENTICATED, "the name or the password is wrong")
        }
        "GET /api/v1/whoami" if request.header("authorization").is_some() => {
            ScriptedReply::json(200, &whoami())
        }
        "DELETE /api/v1/tokens/0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b12" => ScriptedReply::empty(204),
        _ => ScriptedReply::problem(401, kind::UNAUTHENTICATED, "no token"),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_login_is_kept_for_its_owner_alone_and_used_by_the_next_command() {
    let server = ScriptedApi::start_tls(TestCertificate::Good, api);
    let slipway = Slipway::new();
    fs::write(slipway.home.path().join("ca.pem"), server.ca_pem()).unwrap();
    let url = server.url();
    let args = ["login", "--url", &url, "--ca-file", "ca.pem", "--password-stdin"];
    let ran = slipway.run_with_stdin(&args, "right\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("as admin, role admin") && !ran.stdout.contains("slw_"),
        "{}",
        ran.stdout
    );

    let config = slipway.config();
    assert_eq!((mode(&config), mode(config.parent().unwrap())), (0o600, 0o700));
    let kept: Value = serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    let ca = slipway.home.path().join("ca.pem");
    assert_eq!(
        kept,
        json!({"url": format!("{url}/"), "ca_file": ca, "token": "slw_made", "token_id": TOKEN_ID})
    );

    // From another folder, with nothing said: the kept address, token and CA.
    let ran: crate::common::Ran = slipway
        .command(&["whoami"])
        .current_dir("/")
        .output()
        .unwrap()
        .into();
    assert_eq!(
        (ran.code, ran.stdout),
        (0, format!("admin, role admin at {url}/\n"))
    );
    let last = server.requests().pop().unwrap();
    assert_eq!(last.header("authorization"), Some("Bearer slw_made"));

    let ran = slipway.run(&["logout", "--json"]);
    assert_eq!(ran.json()["token_revoked"], true);
    assert_eq!(
        server.requests().pop().unwrap().line(),
        format!("DELETE /api/v1/tokens/{TOKEN_ID}")
    );
    assert!(!config.exists());
    assert_eq!(slipway.run(&["whoami"]).code, 3);
    assert_eq!(slipway.run(&["logout"]).stdout, "you were not logged in\n");
}

#[test]
fn a_token_that_outlives_a_login_is_made_with_the_password() {
    let server = ScriptedApi::start(api);
    let slipway = Slipway::at(&server);
    let args = [
        "token",
        "create",
        "--principal",
        "ci",
        "--label",
        "deploy",
        "--with-password",
        "--password-stdin",
    ];
    let ran = slipway.run_with_stdin(&args, "right\n");
    assert!(ran.code == 0 && ran.stdout.contains("slw_made"), "{ran:?}");
    let sent = server.requests().pop().unwrap();
    assert_eq!(
        (sent.line().as_str(), sent.header("authorization")),
        ("POST /api/v1/login", None)
    );
    let sent: Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!(sent["token"], json!({"principal": "ci", "label": "deploy"}));
    let ran = slipway.run_with_stdin(&args, "wrong\n");
    assert!(ran.code == 3 && ran.stderr.contains("ADMIN_PASSWORD"), "{ran:?}");
}

#[test]
fn no_secret_is_sent_over_plain_http() {
    // A name that leads nowhere: whoever tried to send something would say that it cannot reach it.
    let url = "http://slipway.invalid";
    for (args, stdin) in [
        (&["login", "--url", url, "--password-stdin"][..], "right\n"),
        (&["login", "--url", url, "--token-stdin"], "slw_made\n"),
    ] {
        let slipway = Slipway::new();
        let ran = slipway.run_with_stdin(args, stdin);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(
            ran.stderr.contains("plain HTTP") && ran.stderr.contains("nothing was sent"),
            "{}",
            ran.stderr
        );
        assert!(!slipway.config().exists());
    }
    let slipway = Slipway::new()
        .env("SLIPWAY_URL", url)
        .env("SLIPWAY_TOKEN", "slw_test");
    let ran = slipway.run(&["whoami"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("your token could be read"),
        "{ran:?}"
    );
}

#[test]
fn a_wrong_password_keeps_nothing() {
    let server = ScriptedApi::start(api);
    let slipway = Slipway::new();
    let url = server.url();
    let ran = slipway.run_with_stdin(&["login", "--url", &url, "--password-stdin"], "wrong\n");
    assert_eq!(ran.code, 3);
    assert!(
        ran.stderr.contains("error: the name or the password is wrong")
            && ran.stderr.contains("ADMIN_PASSWORD"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("wrong\n\n"));
    assert_eq!(
        fs::read_dir(slipway.config().parent().unwrap()).unwrap().count(),
        0
    );
    let ran = slipway.run_with_stdin(&["login", "--url", &url, "--password-stdin"], "");
    assert!(
        ran.code == 2 && ran.stderr.contains("the password is empty"),
        "{ran:?}"
    );
    let ran = slipway.run(&["login", "--url", &url]);
    assert!(
        ran.code == 2 && ran.stderr.contains("--password-stdin"),
        "{ran:?}"
    );
}

#[test]
fn a_token_that_one_has_is_kept_once_the_api_knows_it() {
    let server = ScriptedApi::start(api);
    let slipway = Slipway::new();
    let url = server.url();
    let login = ["login", "--url", &url, "--token-stdin"];
    let ran = slipway.run_with_stdin(&login, "hunter2\n");
    assert!(ran.code == 2 && !ran.stderr.contains("hunter2"), "{ran:?}");
    assert_eq!(slipway.run_with_stdin(&login, " slw_mine\n").code, 0);
    assert!(fs::read_to_string(slipway.config()).unwrap().contains("slw_mine"));
    // It was not made by the login, so logging out does not revoke it.
    assert_eq!(slipway.run(&["logout"]).code, 0);
    assert!(server.requests().iter().all(|request| request.method != "DELETE"));
}

#[test]
fn a_kept_token_goes_to_no_other_address() {
    let server = ScriptedApi::start(api);
    let slipway = Slipway::new();
    let url = server.url();
    slipway.run_with_stdin(&["login", "--url", &url, "--password-stdin"], "right");
    let other = ScriptedApi::start(api);
    let ran = slipway.run(&["whoami", "--url", &other.url()]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("you are not logged in to"), "{}", ran.stderr);
    assert_eq!(other.requests().len(), 0);
}

#[test]
fn a_logout_that_cannot_revoke_says_so_and_forgets_only_when_told() {
    let server = ScriptedApi::start(api);
    let slipway = Slipway::new();
    let url = server.url();
    slipway.run_with_stdin(&["login", "--url", &url, "--password-stdin"], "right");
    drop(server);
    let ran = slipway.run(&["logout"]);
    assert!(ran.code == 6 && ran.stderr.contains("logout --local"), "{ran:?}");
    assert!(slipway.config().exists());
    assert_eq!(slipway.run(&["logout", "--local"]).code, 0);
    assert!(!slipway.config().exists());
}

#[test]
fn a_kept_login_that_others_can_read_or_that_is_damaged_is_told() {
    let server = ScriptedApi::start(api);
    let slipway = Slipway::new();
    slipway.run_with_stdin(&["login", "--url", &server.url(), "--password-stdin"], "right");
    fs::set_permissions(slipway.config(), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = slipway.run(&["whoami"]);
    assert!(ran.code == 0 && ran.stderr.contains("chmod 600"), "{ran:?}");
    fs::write(slipway.config(), "{").unwrap();
    let ran = slipway.run(&["whoami"]);
    assert!(ran.code == 2 && ran.stderr.contains("log in again"), "{ran:?}");
}

#[test]
fn where_the_token_comes_from_is_in_order() {
    let server = ScriptedApi::start(api);
    let slipway = Slipway::new().env("SLIPWAY_URL", &server.url());
    let file = |name: &str, token: &str| fs::write(slipway.home.path().join(name), token).unwrap();
    file("a", "slw_a\n");
    file("b", "slw_b\n");
    file("empty", "\n");
    let sent = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = slipway.command(&[&["whoami"], args].concat());
        let ran: crate::common::Ran = command.envs(variables.iter().copied()).output().unwrap().into();
        let token = server
            .requests()
            .pop()
            .and_then(|request| request.header("authorization").map(str::to_owned));
        (ran.code, token.unwrap_or_default(), ran.stderr)
    };
    assert_eq!(sent(&[("SLIPWAY_TOKEN", "slw_e")], &[]).1, "Bearer slw_e");
    assert_eq!(sent(&[("SLIPWAY_TOKEN_FILE", "a")], &[]).1, "Bearer slw_a");
    assert_eq!(
        sent(&[("SLIPWAY_TOKEN", "slw_e")], &["--token-file", "b"]).1,
        "Bearer slw_b"
    );
    let (code, _, stderr) = sent(&[("SLIPWAY_TOKEN", "slw_e"), ("SLIPWAY_TOKEN_FILE", "a")], &[]);
    assert!(code == 2 && stderr.contains("are both set"), "{stderr}");
    let (code, _, stderr) = sent(&[], &["--token-file", "empty"]);
    assert!(code == 2 && stderr.contains("is empty"), "{stderr}");
}

#[test]
fn a_token_that_does_not_work_is_named_by_its_place() {
    let server = ScriptedApi::start(|_| ScriptedReply::problem(401, kind::UNAUTHENTICATED, "no token"));
    let url = server.url();
    let whole = format!("slw_{}", "0a".repeat(32));
    let slipway = || Slipway::new().env("SLIPWAY_URL", &url);
    let said = |slipway: &Slipway, args: &[&str]| {
        let ran = slipway.run(args);
        assert_eq!(ran.code, 3, "{ran:?}");
        for hidden in ["Bearer", whole.as_str(), "0a0a"] {
            assert!(!ran.stderr.contains(hidden), "{}", ran.stderr);
        }
        ran.stderr
    };
    let of_variable = slipway().env("SLIPWAY_TOKEN", &whole);
    let why = "does not work: it is unknown, revoked or expired\n";
    assert!(said(&of_variable, &["status"]).starts_with(&format!("error: the token in SLIPWAY_TOKEN {why}")),);
    let cut = slipway().env("SLIPWAY_TOKEN", &whole[..60]);
    assert!(said(&cut, &["status"]).contains("SLIPWAY_TOKEN does not work: it is not whole"));

    let of_file = slipway().env("SLIPWAY_TOKEN_FILE", "token");
    fs::write(of_file.home.path().join("token"), &whole).unwrap();
    assert!(said(&of_file, &["status"]).starts_with(&format!(
        "error: the token in token, which SLIPWAY_TOKEN_FILE names, {why}"
    )));
    assert!(
        said(&of_file, &["status", "--token-file", "token"])
            .starts_with(&format!("error: the token in token {why}"))
    );

    let kept = Slipway::new();
    let config = kept.config();
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, json!({"url": url, "token": whole}).to_string()).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let of_login = said(&kept, &["status"]);
    assert!(
        of_login.starts_with("error: the token of your login, in ")
            && of_login.contains(&format!("config.json, {why}"))
            && of_login.ends_with("help: log in again: slipway login\n"),
        "{of_login}"
    );
    // A password is no token.
    let ran = kept.run_with_stdin(&["login", "--url", &url, "--password-stdin"], "wrong\n");
    assert!(ran.stderr.starts_with("error: no token\n"), "{ran:?}");
}

#[test]
fn what_is_no_token_is_sent_nowhere() {
    let server = ScriptedApi::start(api);
    let url = server.url();
    let slipway = Slipway::new().env("SLIPWAY_URL", &url);
    fs::write(slipway.home.path().join("token"), "hello\n").unwrap();
    let of_file = slipway.run(&["status", "--token-file", "token"]);
    let of_variable = slipway.env("SLIPWAY_TOKEN", "hello").run(&["status"]);
    for (ran, place) in [(of_file, "token"), (of_variable, "SLIPWAY_TOKEN")] {
        assert!(
            ran.code == 2
                && ran
                    .stderr
                    .starts_with(&format!("error: the token in {place} is none\n"))
                && ran.stderr.contains("a token is slw_ and 64 hex digits"),
            "{ran:?}"
        );
    }
    assert!(server.requests().is_empty());
}
