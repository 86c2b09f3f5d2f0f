//! Stacks whose programs are neither an api nor a worker: the second version of their description.

use std::fs;
use std::net::TcpListener;

use serde_json::json;
use slipway_client::testing::{ScriptedApi, ScriptedReply, TestCertificate};

use super::expect;
use super::inside::{describe, listen, run, systemctl};
use crate::common::Slipway;

#[test]
fn services_are_asked_as_they_listen_and_jobs_by_their_records() {
    let web = ScriptedApi::start(|seen| match seen.path.as_str() {
        "/healthz" => ScriptedReply::empty(204),
        "/metrics" => ScriptedReply::text(200, "text/plain", "# HELP a b\n"),
        _ => ScriptedReply::empty(404),
    });
    let address = web
        .url()
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let connectable = TcpListener::bind("127.0.0.1:0").unwrap();
    // Of a site of other programs nothing else is known.
    let site = ScriptedApi::start_tls(TestCertificate::Good, |_| ScriptedReply::empty(404));
    let slipway = systemctl(Slipway::new(), "echo active");
    let home = slipway.home.path();
    fs::write(home.join("ca.pem"), site.ca_pem()).unwrap();
    let (own, gone) = (home.join("own"), home.join("gone"));
    listen(&own, "HTTP/1.0 200 OK\r\n\r\n");
    fs::write(
        home.join("jobs.prom"),
        ["report", "feed"]
            .map(|job| {
                let failed = u8::from(job == "feed");
                format!(
                    "slipway_job_late{{stack=\"shop\",job=\"{job}\"}} 0\n\
                     slipway_job_failed{{stack=\"shop\",job=\"{job}\"}} {failed}\n\
                     slipway_job_last_success_timestamp_seconds{{stack=\"shop\",job=\"{job}\"}} 1795945020\n"
                )
            })
            .concat(),
    )
    .unwrap();
    let unix = |path: &std::path::Path| format!("unix:{}", path.display());
    let service = |name: &str, addresses: &[String], path: Option<&str>, metrics: &[String]| json!({"name": name, "addresses": addresses, "path": path, "metrics": metrics});
    let stack = json!({
        "version": 2, "name": "shop", "domain": null, "url": null, "api": {"sockets": [], "metrics": []},
        "worker": {"metrics": []}, "backup": null, "units": ["shop.target"],
        "services": [
            service("web", &[address.clone(), unix(&gone)], Some("/healthz"), &[format!("{}/metrics", web.url().trim_end_matches('/'))]),
            service("wrong", &[address], Some("/elsewhere"), &[]),
            service("plain", &[connectable.local_addr().unwrap().to_string()], None, &[]),
            service("own", &[unix(&own)], Some("/"), &[]),
            service("sweep", &[], None, &[]),
        ],
        "domains": [site.url()], "caFile": home.join("ca.pem"),
        "jobs": {"names": ["report", "feed", "lost"], "metricsFile": home.join("jobs.prom")},
    });
    describe(&slipway, "shop", &stack);
    let (ran, lines) = run(&slipway, &[]);
    assert_eq!(ran.code, 30, "{ran:?}");
    expect(&lines, "certificate", "ok", "trusted");
    assert!(
        lines
            .iter()
            .all(|line| line["check"] != "live" && line["check"] != "endpoints")
    );
    expect(&lines, "service web-1", "ok", "answered 204");
    expect(&lines, "service web-2", "fail", "journalctl -u shop-web-2");
    expect(&lines, "service wrong-1", "fail", "/elsewhere answered 404");
    expect(&lines, "service plain-1", "ok", "takes connections");
    expect(&lines, "service own-1", "ok", "answered 200");
    expect(&lines, "metrics web", "ok", "/metrics");
    expect(&lines, "job report", "ok", "its last run succeeded");
    expect(&lines, "job feed", "fail", "journalctl -u shop-feed");
    expect(&lines, "job lost", "not_checked", "systemctl status shop-jobs");
}
