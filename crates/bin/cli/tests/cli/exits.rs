//! Exit codes, and errors as text and as JSON.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::common::{CLOSURE, RELEASE, ROLLOUT, Slipway, environment, host, whoami};
use serde_json::json;
use slipway_client::testing::{ScriptedApi, ScriptedReply, TestCertificate};
use slipway_wire::problem::kind;

#[test]
fn what_the_api_refuses_has_its_exit_code() {
    for (status, kind, code) in [
        (400, kind::MALFORMED, 5),
        (401, kind::UNAUTHENTICATED, 3),
        (403, kind::FORBIDDEN, 3),
        (404, kind::NOT_FOUND, 4),
        (409, kind::ENVIRONMENT_BUSY, 5),
        (413, kind::TOO_LARGE, 5),
        (422, kind::INVALID, 5),
        (429, kind::TOO_MANY_FAILURES, 6),
        (500, kind::INTERNAL, 1),
        (503, kind::UNAVAILABLE, 6),
    ] {
        let server = ScriptedApi::start(move |_| {
            ScriptedReply::problem(status, kind, "what was wrong").header("retry-after", "0")
        });
        let args = ["principal", "disable", "ci"];
        let ran = Slipway::at(&server).run(&args);
        assert_eq!(ran.code, code, "{kind}: {ran:?}");
        // The API cannot know where a token that it does not take comes from.
        let said = match status {
            401 => {
                "the token in SLIPWAY_TOKEN does not work: it is not whole: a token is slw_ and 64 hex digits"
            }
            _ => "what was wrong",
        };
        assert!(
            ran.stderr
                .starts_with(&format!("error: {said}\n  request id: req-1\n")),
            "{}",
            ran.stderr
        );

        let ran = Slipway::at(&server).run(&[&args[..], &["--json"]].concat());
        let problem = ran.problem();
        assert_eq!(problem["type"], format!("urn:slipway:problem:{kind}"));
        assert_eq!(
            (problem["status"].as_u64(), problem["exit_code"].as_i64()),
            (Some(status.into()), Some(code.into()))
        );
    }
}

#[test]
fn a_lost_answer_says_what_may_have_happened_and_how_to_look() {
    let lost: [fn() -> ScriptedReply; 4] = [
        ScriptedReply::cut,
        || ScriptedReply::text(502, "text/html", "<h1>Bad Gateway</h1>"),
        || ScriptedReply::problem(503, kind::UNAVAILABLE, "the database is away").header("retry-after", "2"),
        || ScriptedReply::problem(408, kind::TIMEOUT, "it took too long"),
    ];
    for reply in lost {
        let server = ScriptedApi::start(move |_| reply());
        let slipway = Slipway::at(&server);
        for (args, look) in [
            (&["rollout", "start", "prod", RELEASE][..], "slipway rollout list"),
            (
                &["release", "create", "--closure", &format!("web-1={CLOSURE}")],
                "slipway release list",
            ),
            (&["host", "create", "web-1", "--env", "prod"], "slipway host list"),
            (
                &["rollout", "abort", ROLLOUT],
                &format!("slipway rollout show {ROLLOUT}"),
            ),
            (
                &["env", "set", "prod", "--approval-required", "true"],
                "slipway env list",
            ),
        ] {
            let ran = slipway.run(args);
            assert_eq!(ran.code, 6, "{ran:?}");
            let expected =
                format!("it may have been done all the same; look before you ask for it again: {look}");
            assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
        }
        // What changes nothing has nothing to look for.
        let ran = slipway.run(&["whoami"]);
        assert!(!ran.stderr.contains("all the same"), "{}", ran.stderr);
    }
    // Nothing was sent where nobody listens.
    let port = ScriptedApi::start(|_| ScriptedReply::empty(200)).port();
    let slipway = Slipway::new()
        .env("SLIPWAY_URL", &format!("http://127.0.0.1:{port}"))
        .env("SLIPWAY_TOKEN", "slw_test");
    let ran = slipway.run(&["rollout", "abort", ROLLOUT]);
    assert!(!ran.stderr.contains("all the same"), "{}", ran.stderr);
}

#[test]
fn a_dead_proxy_is_blamed_and_not_the_api() {
    let dead = ScriptedApi::start(|_| ScriptedReply::empty(200)).port();
    // One that lets nobody through.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        }
    });
    for (proxy, expected) in [
        (
            format!("http://me:secret@127.0.0.1:{dead}"),
            "cannot be reached: nothing listens there",
        ),
        (closed, "does not connect to it"),
    ] {
        let slipway = Slipway::new()
            .env("SLIPWAY_URL", "https://slipway.invalid")
            .env("SLIPWAY_TOKEN", "slw_test")
            .env("HTTPS_PROXY", &proxy);
        let ran = slipway.run(&["whoami"]);
        assert_eq!(ran.code, 6, "{ran:?}");
        assert!(
            ran.stderr.contains("the proxy http://127.0.0.1:") && ran.stderr.contains(expected),
            "{}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("NO_PROXY") && !ran.stderr.contains("secret"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn json_shows_nothing_hidden_and_keeps_the_value() {
    let hidden = "web\u{9b}31m\u{7f}\u{202e}\u{200b}\u{2028}1";
    let server = ScriptedApi::start(move |request| match request.line().as_str() {
        "GET /api/v1/hosts/web-1" => {
            let mut host = host("web-1");
            host["labels"]["rack"] = json!(hidden);
            ScriptedReply::json(200, &host)
        }
        _ => ScriptedReply::problem(422, kind::INVALID, hidden),
    });
    let slipway = Slipway::at(&server);
    let ran = slipway.run(&["host", "show", "web-1", "--json"]);
    assert_eq!(ran.json()["labels"]["rack"], hidden);
    let failed = slipway.run(&["env", "show", "prod", "--json"]);
    assert_eq!(failed.problem()["detail"], hidden);
    for shown in [
        &ran.stdout,
        &failed.stderr,
        &slipway.run(&["env", "show", "prod"]).stderr,
    ] {
        let found = shown.chars().find(|c| slipway_text::is_hidden(*c) && *c != '\n');
        assert_eq!(found, None, "{shown:?}");
    }
}

#[test]
fn wrong_fields_are_listed_one_a_line() {
    let server = ScriptedApi::start(|_| {
        let problem = json!({
            "type": "urn:slipway:problem:invalid-request", "title": "Invalid request", "status": 422,
            "detail": "the strategy cannot be used", "request_id": "r-7",
            "fields": [
                {"field": "strategy.batch", "detail": "0 would never get anywhere; use 1 or more"},
                {"field": "strategy.canary", "detail": "9 is more than the 6 hosts\u{1b}[31m of the rollout"},
            ],
        });
        ScriptedReply::text(422, "application/problem+json", problem.to_string())
    });
    let ran = Slipway::at(&server).run(&["rollout", "start", "prod", RELEASE]);
    assert_eq!(ran.code, 5);
    assert_eq!(
        ran.stderr,
        "error: the strategy cannot be used\n  \
         strategy.batch: 0 would never get anywhere; use 1 or more\n  \
         strategy.canary: 9 is more than the 6 hosts\u{fffd}[31m of the rollout\n  \
         request id: r-7\n"
    );
}

#[test]
fn a_refusal_is_told_once_and_no_cure_is_added_that_does_not_help() {
    let detail = "the strategy cannot be used: max_unavailable: 0 is too few; use 1 or more";
    let server = ScriptedApi::start(move |request| {
        let status = if request.method == "GET" { 403 } else { 422 };
        let problem = json!({
            "type": format!("urn:slipway:problem:{}", if status == 403 { "forbidden" } else { "invalid-request" }),
            "title": "No", "status": status, "detail": if status == 403 { "ask somebody else" } else { detail },
            "fields": if status == 403 { json!([]) } else {
                json!([{"field": "strategy.max_unavailable", "detail": "max_unavailable: 0 is too few; use 1 or more"}])
            },
        });
        ScriptedReply::text(status, "application/problem+json", problem.to_string())
    });
    let slipway = Slipway::at(&server);
    let ran = slipway.run(&["rollout", "start", "prod", RELEASE]);
    assert_eq!(ran.stderr, format!("error: {detail}\n"));
    // A role is not all that may be missing: what the API says is the cure.
    let ran = slipway.run(&["env", "show", "prod"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (3, "error: ask somebody else\n"));
}

#[test]
fn an_api_that_is_not_there_is_6_with_address_and_cure() {
    let server = ScriptedApi::start(|_| ScriptedReply::empty(500));
    let slipway = Slipway::at(&server);
    let url = server.url();
    drop(server);
    let ran = slipway.run(&["principal", "disable", "ci"]);
    assert_eq!(ran.code, 6);
    assert_eq!(
        ran.stderr,
        format!(
            "error: cannot reach {url}: nothing listens there (connection refused)\n\
             help: check the port in the address, and that the API runs\n"
        )
    );
    let ran = slipway.run(&["principal", "disable", "ci", "--json"]);
    assert_eq!(ran.problem()["type"], "urn:slipway:problem:cli-unreachable");
}

#[test]
fn an_unknown_ca_names_the_flag() {
    let server = ScriptedApi::start_tls(TestCertificate::Good, |_| ScriptedReply::json(200, &whoami()));
    let slipway = Slipway::at(&server);
    let ran = slipway.run(&["whoami"]);
    assert!(ran.code == 2 || ran.code == 6, "{ran:?}");
    assert!(
        ran.stderr.contains("CA file") || ran.stderr.contains("--ca-file"),
        "{}",
        ran.stderr
    );
    std::fs::write(slipway.home.path().join("ca.pem"), server.ca_pem()).unwrap();
    let ran = slipway.env("SLIPWAY_CA_FILE", "ca.pem").run(&["whoami"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn something_else_that_answers_is_1() {
    let server = ScriptedApi::start(|_| ScriptedReply::text(200, "text/html", "<h1>Welcome to nginx!</h1>"));
    let ran = Slipway::at(&server).run(&["whoami"]);
    assert!(
        ran.code == 1 && ran.stderr.contains("not as the Slipway API does"),
        "{ran:?}"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error_message() {
    let server = ScriptedApi::start(|request| {
        if request.path.ends_with("/environments") {
            return ScriptedReply::json(200, &json!({"items": [environment()]}));
        }
        let hosts: Vec<_> = (0..5000).map(|n| host(&format!("web-{n}"))).collect();
        ScriptedReply::json(200, &json!({"items": hosts}))
    });
    let mut child = Slipway::at(&server).start(&["status", "--json"]);
    let mut few = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut few).unwrap();
    let ran: crate::common::Ran = child.wait_with_output().unwrap().into();
    assert_eq!((ran.code, ran.stderr.as_str()), (141, ""));
}
