//! On a host: what its stacks' descriptions lead to.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply, TestCertificate};

use super::{expect, well};
use crate::common::{Ran, Slipway};

/// A replica's socket that answers everybody with this.
pub(super) fn listen(path: &Path, answer: &'static str) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            // Read first, or the answer is lost to a reset.
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
}

/// A `systemctl` that says these words.
pub(super) fn systemctl(slipway: Slipway, script: &str) -> Slipway {
    let bin = slipway.home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let file = bin.join("systemctl");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var_os("PATH").unwrap().to_string_lossy()
    );
    slipway.env("PATH", &path)
}

pub(super) fn describe(slipway: &Slipway, name: &str, stack: &Value) {
    let folder = slipway.home.path().join("stacks");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.json")), stack.to_string()).unwrap();
}

pub(super) fn run(slipway: &Slipway, more: &[&str]) -> (Ran, Vec<Value>) {
    let ran = slipway.run(&[&["verify", "--json", "--stacks-dir", "stacks"], more].concat());
    let lines = ran.json()["checks"].as_array().unwrap().clone();
    (ran, lines)
}

#[test]
fn a_stack_is_looked_at_from_both_sides() {
    let server = ScriptedApi::start_tls(TestCertificate::Good, well);
    let inner = ScriptedApi::start(|request| match request.path.as_str() {
        "/metrics" => ScriptedReply::text(200, "text/plain", "# HELP a b\n"),
        _ => well(request),
    });
    let slipway = systemctl(Slipway::new(), "echo active; echo active");
    let home = slipway.home.path();
    fs::write(home.join("ca.pem"), server.ca_pem()).unwrap();
    listen(
        &home.join("api-1.sock"),
        // A team's own api may have nothing to say.
        "HTTP/1.1 204 No Content\r\n\r\n",
    );
    listen(
        &home.join("api-2.sock"),
        "HTTP/1.1 503 Service Unavailable\r\n\r\n",
    );
    let metrics = format!("{}/metrics", inner.url());
    let stack = json!({
        "version": 1, "name": "slipway", "controlPlane": true, "domain": "localhost", "url": server.url(),
        "caFile": home.join("ca.pem"),
        "api": {"sockets": [home.join("api-1.sock"), home.join("api-2.sock"), home.join("api-3.sock")],
                "metrics": [metrics]},
        "worker": {"metrics": ["http://127.0.0.1:1/metrics"]},
        "backup": {"statusUrl": format!("{}/status", inner.url())},
        "units": ["slipway-api-1.service", "slipway.target"],
    });
    describe(&slipway, "slipway", &stack);
    let (ran, lines) = run(&slipway, &[]);
    assert_eq!(ran.code, 30, "{ran:?}");
    expect(&lines, "certificate", "ok", "trusted");
    expect(&lines, "socket api-1", "ok", "live");
    expect(&lines, "socket api-2", "fail", "answered 503");
    expect(&lines, "socket api-3", "fail", "journalctl -u 'slipway-api-*'");
    expect(&lines, "metrics api", "ok", &metrics);
    expect(&lines, "metrics worker", "fail", "nothing listens there");
    expect(&lines, "units", "ok", "2 active");
    expect(&lines, "backup dump", "ok", "last 60m ago");
    // The control plane's own host knows its address without a login; for the token there must be one.
    expect(
        &lines,
        "hosts",
        "not_checked",
        &format!("not logged in to {}", server.url()),
    );

    let with_token = slipway.env("SLIPWAY_TOKEN", "slw_test");
    expect(
        &run(&with_token, &["--stack", "slipway"]).1,
        "host",
        "ok",
        "of release",
    );
}

#[test]
fn a_team_s_own_stack_has_no_hosts_and_may_have_no_proxy() {
    let slipway = systemctl(Slipway::new(), "echo active; echo failed; exit 3");
    let stack = json!({
        "version": 1, "name": "shop", "domain": null, "url": null, "api": {"sockets": [], "metrics": []},
        "worker": {"metrics": []}, "backup": null, "units": ["shop.target", "shop-worker-1.service"],
    });
    describe(&slipway, "shop", &stack);
    let (ran, lines) = run(&slipway, &[]);
    expect(&lines, "units", "fail", "shop-worker-1.service is failed");
    expect(
        &lines,
        "backup",
        "warn",
        "services.slipway.stacks.shop.backup.enable = true;",
    );
    assert!(
        lines
            .iter()
            .all(|line| line["check"] != "hosts" && line["check"] != "audit")
    );
    assert_eq!(ran.code, 30);
}

#[test]
fn systemd_that_cannot_be_asked_is_no_good_news() {
    let slipway = systemctl(Slipway::new(), "echo 'not booted with systemd' >&2; exit 1");
    let stack = json!({
        "version": 1, "name": "shop", "domain": null, "url": null, "api": {"sockets": [], "metrics": []},
        "worker": {"metrics": []}, "backup": null, "units": ["shop.target"],
    });
    describe(&slipway, "shop", &stack);
    let (ran, lines) = run(&slipway, &[]);
    expect(&lines, "units", "not_checked", "where systemd runs");
    assert_eq!(ran.code, 31);
}

#[test]
fn of_two_control_planes_the_one_that_was_not_asked_shows() {
    let (one, two) = (
        ScriptedApi::start_tls(TestCertificate::Good, well),
        ScriptedApi::start_tls(TestCertificate::Good, well),
    );
    let slipway = systemctl(Slipway::new(), "echo active");
    for (name, server) in [("one", &one), ("two", &two)] {
        let ca = slipway.home.path().join(format!("{name}.pem"));
        fs::write(&ca, server.ca_pem()).unwrap();
        let stack = json!({
            "version": 1, "name": name, "controlPlane": true, "domain": "localhost", "url": server.url(),
            "caFile": ca, "api": {"sockets": [], "metrics": []}, "worker": {"metrics": []}, "backup": null,
            "units": ["slipway.target"],
        });
        describe(&slipway, name, &stack);
    }
    let slipway = slipway.env("SLIPWAY_TOKEN", "slw_test");
    let (ran, lines) = run(&slipway, &[]);
    assert_eq!(ran.code, 31, "{ran:?}");
    expect(&lines, "host", "ok", "of release");
    let of_two: Vec<&Value> = lines.iter().filter(|line| line["of"] == "two").collect();
    for check in ["hosts", "audit"] {
        let line = of_two.iter().find(|line| line["check"] == check).expect("a line");
        assert_eq!(line["state"], "not_checked");
        let cure = line["cure"].as_str().unwrap();
        let login = format!("slipway login --url {}; slipway verify --stack two", two.url());
        assert_eq!(cure, login);
    }
    // A token of one control plane must not reach the other.
    let with_token = |server: &ScriptedApi| {
        let requests = server.requests();
        requests
            .iter()
            .any(|request| request.header("authorization").is_some())
    };
    assert!(with_token(&one) && !with_token(&two));
}
