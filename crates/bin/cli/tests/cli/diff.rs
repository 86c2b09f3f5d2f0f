//! What differs between two releases, or between a release and what runs.

use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply};

use crate::common::{AT, RELEASE, Slipway, host};

const OLD: &str = "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10";

fn closure(n: u8) -> String {
    format!("/nix/store/{n}c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-nixos-system-web")
}

fn release(id: &str, closures: &Value) -> ScriptedReply {
    let release = json!({
        "id": id, "author": "ci", "created_at": AT, "message": null, "source": {}, "closures": closures,
    });
    ScriptedReply::json(200, &release)
}

/// Two releases: the first host keeps its closure, the next two get others, the fourth is left out, and the fifth is new.
fn api() -> ScriptedApi {
    ScriptedApi::start(|request| {
        let digest = |n: u8| format!("sha256:{}", n.to_string().repeat(64));
        let known = |n: u8, from: u8, host: &str, unit: &str| {
            json!({
                "digest": digest(n),
                "plan": { "sections": { "units": { "entries": [{ "name": unit, "change": "restart" }] } } },
                "hosts": [{ "host": host, "report": {
                    "digest": digest(n), "from": closure(from), "bytes_before": 1, "bytes_after": 2, "bytes_new": 1,
                } }],
            })
        };
        let old = format!("/api/v1/releases/{OLD}");
        let new = format!("/api/v1/releases/{RELEASE}");
        match request.line().strip_prefix("GET ").unwrap_or_default() {
            path if path == old => release(
                OLD,
                &json!({ "web-1": closure(1), "web-2": closure(1), "web-3": closure(1), "web-4": closure(1) }),
            ),
            path if path == new => release(
                RELEASE,
                &json!({ "web-1": closure(1), "web-2": closure(2), "web-3": closure(3), "web-5": closure(5) }),
            ),
            path if path == format!("{new}/host-plans") => ScriptedReply::json(
                200,
                &json!({
                    "release": RELEASE,
                    // The agent of web-3 went there from another closure.
                    "plans": [known(2, 1, "web-2", "nginx.service"), known(3, 9, "web-3", "redis.service")],
                    "unknown": [],
                }),
            ),
            "/api/v1/hosts" => {
                let host = |name: &str, live: Option<String>| {
                    let mut host = host(name);
                    host["live"] = json!(live);
                    host
                };
                let hosts = [
                    host("web-2", Some(closure(1))),
                    host("web-3", Some(closure(3))),
                    host("web-4", Some(closure(1))),
                    host("web-5", None),
                ];
                ScriptedReply::json(200, &json!({ "items": hosts }))
            }
            _ => ScriptedReply::empty(500),
        }
    })
}

#[test]
fn two_releases_differ_in_the_hosts_of_one_and_in_closures() {
    let server = api();
    let ran = Slipway::at(&server).run(&["diff", OLD, RELEASE]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let rows: Vec<Vec<&str>> = ran
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let short = |n: u8| format!("{}…-nixos-system-web", &closure(n)["/nix/store/".len()..][..8]);
    let (one, two, three, five) = (short(1), short(2), short(3), short(5));
    assert_eq!(rows[0], [OLD, "->", RELEASE], "{}", ran.stdout);
    assert_eq!(
        rows[2..7],
        [
            vec!["web-5", "added", "-", &five],
            vec!["web-4", "removed", &one, "-"],
            vec!["web-2", "changed", &one, &two],
            vec!["web-3", "changed", &one, &three],
            vec!["1", "host", "the", "same", "in", "both"],
        ],
        "{}",
        ran.stdout
    );
    // A plan is of one way to the release, and another way has another plan.
    assert!(
        ran.stdout
            .contains("\nweb-2\n  units (1)\n    restart nginx.service\n"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("redis.service"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("what changes on 1 host is not known"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_release_is_compared_with_what_runs_on_its_hosts() {
    let diff = Slipway::at(&api()).run(&["diff", RELEASE, "--json"]).json();
    assert_eq!(
        (&diff["from"], &diff["to"]),
        (&Value::Null, &json!(RELEASE)),
        "{diff}"
    );
    // Of web-1 the API lists nothing, and web-5 runs nothing that is known.
    assert_eq!(diff["added"], json!({ "web-1": closure(1), "web-5": closure(5) }));
    // A host that the release does not name is none of its business.
    assert_eq!(diff["removed"], json!({}));
    assert_eq!(diff["unchanged"], json!(["web-3"]));
    let changed = diff["changed"].as_array().unwrap();
    assert_eq!(changed.len(), 1, "{diff}");
    assert_eq!(
        (&changed[0]["host"], &changed[0]["before"], &changed[0]["after"]),
        (&json!("web-2"), &json!(closure(1)), &json!(closure(2)))
    );
    let unit = &changed[0]["plan"]["sections"]["units"]["entries"][0]["name"];
    assert_eq!(unit, "nginx.service");
}
