//! Documents that are attached to a release, and events by what they are about.

use std::fs;

use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply};

use crate::common::{AT, Slipway};

fn attachment(kind: &str, entries: u32) -> Value {
    let severities = match kind {
        "sbom" => json!([]),
        _ => {
            json!([{ "severity": "critical", "vulnerabilities": 2 }, { "severity": "high", "vulnerabilities": 0 }])
        }
    };
    json!({
        "severities": severities, "dismissed": entries / 3, "kind": kind, "version": 2, "format": "CycloneDX 1.6", "digest": format!("sha256:{}", "ab".repeat(32)),
        "bytes": 12, "entries": entries, "by": "ci", "at": AT,
    })
}

fn server() -> ScriptedApi {
    ScriptedApi::start(|request| {
        let body = match (request.method.as_str(), request.path.rsplit('/').next().unwrap()) {
            ("POST", _) => {
                let sent: Value = serde_json::from_str(&request.body).unwrap();
                attachment(sent["kind"].as_str().unwrap(), 3)
            }
            (_, "attachments") => json!({ "items": [attachment("sbom", 3)] }),
            (_, "document") => {
                let mut document = attachment("sbom", 3);
                document["document"] = json!("{ \"as\": \"it was\" }");
                document
            }
            (_, "components") => json!({
                "attachment": attachment("sbom", 900), "total": 900,
                "items": [{ "name": "open\u{1b}[31mssl", "version": "3.0" }],
            }),
            (_, "vulnerabilities") => json!({
                "attachment": attachment("vulnerabilities", 1), "total": 1,
                "items": [{ "id": "CVE-2026-1", "severity": "critical", "component": "openssl 3.0", "fixed_in": "3.1" }],
            }),
            _ => json!({ "items": [] }),
        };
        ScriptedReply::json(200, &body)
    })
}

#[test]
fn documents_are_attached_as_they_are() {
    let server = server();
    let slipway = Slipway::at(&server);
    let (sbom, report) = (
        slipway.home.path().join("sbom.json"),
        slipway.home.path().join("report.json"),
    );
    fs::write(&sbom, "{ \"a\": 1 }\n").unwrap();
    fs::write(&report, "{}").unwrap();
    let (sbom, report) = (sbom.to_str().unwrap(), report.to_str().unwrap());
    let ran = slipway.run(&[
        "release",
        "attach",
        "12",
        "--sbom",
        sbom,
        "--vulnerabilities",
        report,
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout
            .contains("attached bill of materials 2 to the release 12: CycloneDX 1.6, 3 components")
            && ran.stdout.contains("report of vulnerabilities 2")
            && ran.stdout.contains("3 vulnerabilities (2 critical, 1 dismissed)"),
        "{ran:?}"
    );
    let sent: Vec<Value> = server
        .requests()
        .iter()
        .map(|request| serde_json::from_str(&request.body).unwrap())
        .collect();
    assert_eq!(sent[0], json!({ "kind": "sbom", "document": "{ \"a\": 1 }\n" }));

    fs::write(sbom, " ".repeat(8 * 1024 * 1024 + 1)).unwrap();
    let long = slipway.run(&["release", "attach", "12", "--sbom", sbom]);
    assert_eq!(long.code, 2, "{long:?}");
    assert!(long.stderr.contains("is over 8 MiB"), "{long:?}");
    let nothing = slipway.run(&["release", "attach", "12"]);
    assert_eq!(nothing.code, 2, "{nothing:?}");
    let both = slipway.run(&["release", "attach", "12", "--sbom", "-", "--vulnerabilities", "-"]);
    assert!(
        both.code == 2 && both.stderr.contains("name a file for one of them"),
        "{both:?}"
    );
}

#[test]
fn what_is_attached_is_listed_and_given_back_as_it_was() {
    let server = server();
    let slipway = Slipway::at(&server);
    let list = slipway.run(&["release", "attached", "12"]);
    assert!(
        list.code == 0 && list.stdout.contains("sbom") && list.stdout.contains("sha256:abab"),
        "{list:?}"
    );
    let components = slipway.run(&["release", "attached", "12", "--sbom", "--text", "ssl 3"]);
    assert!(
        components.stdout.contains("and 899 more") && !components.stdout.contains('\u{1b}'),
        "{components:?}"
    );
    let asked = server.requests().last().unwrap().query.clone();
    assert!(
        asked.contains("text=ssl+3") || asked.contains("text=ssl%203"),
        "{asked}"
    );
    let known = slipway.run(&["release", "attached", "12", "--vulnerabilities"]);
    for part in ["critical", "CVE-2026-1", "openssl 3.0", "3.1"] {
        assert!(known.stdout.contains(part), "no {part}: {known:?}");
    }
    let raw = slipway.run(&["release", "attached", "12", "--sbom", "--raw"]);
    assert_eq!(raw.stdout, "{ \"as\": \"it was\" }", "{raw:?}");
    let first = slipway.run(&["release", "attached", "12", "--sbom", "--raw", "--version", "1"]);
    assert_eq!(first.code, 0, "{first:?}");
    let asked = server.requests().last().unwrap().query.clone();
    assert!(asked.contains("version=1"), "{asked}");
    for without in [
        &["--raw"][..],
        &["--text", "ssl"],
        &["--sbom", "--vulnerabilities"],
    ] {
        let refused = slipway.run(&[&["release", "attached", "12"], without].concat());
        assert_eq!(refused.code, 2, "{refused:?}");
    }
}

/// A document with commands for a terminal, as a scanner may repeat them of a package.
#[test]
fn a_document_steers_no_terminal_and_reaches_a_pipe_as_it_is() {
    const EVIL: &str =
        "{\r\n\t\"name\": \"\u{9b}2Jgone\u{202e}txt.\u{1b}]0;title\u{7}\u{1b}[31mred\u{7f}ä\"\n}\n";

    let server = ScriptedApi::start(|_| {
        let mut document = attachment("sbom", 1);
        document["document"] = json!(EVIL);
        ScriptedReply::json(200, &document)
    });
    let slipway = Slipway::at(&server);
    let raw = ["release", "attached", "12", "--sbom", "--raw"];
    assert_eq!(slipway.run(&raw).stdout, EVIL);
    let file = slipway.home.path().join("saved.json");
    let mut command = slipway.command(&raw);
    command.stdout(fs::File::create(&file).unwrap());
    assert!(command.status().unwrap().success());
    assert_eq!(fs::read_to_string(file).unwrap(), EVIL);

    let (mut child, screen) = slipway.start_on_a_terminal(&raw);
    assert!(child.wait().unwrap().success());
    let screen = screen.join().unwrap();
    // The terminal itself makes a carriage return of each line end.
    let shown = screen.replace('\r', "");
    assert_eq!(
        shown,
        "{\n\t\"name\": \"\\u009b2Jgone\\u202etxt.\\u001b]0;title\\u0007\\u001b[31mred\\u007fä\"\n}\n"
    );
}

#[test]
fn a_document_that_is_refused_is_named_with_its_file() {
    let server = ScriptedApi::start(|_| {
        ScriptedReply::json(
            422,
            &json!({
                "type": "urn:slipway:problem:invalid", "title": "Invalid", "status": 422,
                "detail": "it is no bill of materials",
                "errors": [{ "field": "document", "detail": "it is no bill of materials" }],
            }),
        )
    });
    let slipway = Slipway::at(&server);
    let sbom = slipway.home.path().join("sbom.json");
    fs::write(&sbom, "{}").unwrap();
    let refused = slipway.run(&["release", "attach", "12", "--sbom", sbom.to_str().unwrap()]);
    let named = format!("the bill of materials {}: it is no bill", sbom.display());
    assert!(
        refused.code != 0 && refused.stderr.contains(&named),
        "{refused:?}"
    );
}

#[test]
fn events_are_asked_for_by_what_they_are_about() {
    let server = server();
    let slipway = Slipway::at(&server);
    let ran = slipway.run(&[
        "audit",
        "events",
        "--rollout",
        "34",
        "--host",
        "web-1",
        "--kind",
        "step",
        "--actor",
        "ada",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let asked = server.requests().last().unwrap().query.clone();
    for part in ["rollout=34", "host=web-1", "kind=step", "actor=ada"] {
        assert!(asked.contains(part), "{asked}");
    }
}
