//! What the page of `slipway-backup exporter` leads to.

use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply, TestCertificate};

use super::{backups, expect, verify, well};

#[test]
fn late_failed_and_missing_backups_are_told() {
    let with = |place: usize, change: Value| {
        let mut page = backups();
        let kind = page["stacks"][0]["kinds"][place].as_object_mut().unwrap();
        kind.extend(change.as_object().unwrap().clone());
        ScriptedReply::json(200, &page)
    };
    let mut missing = backups();
    missing["stacks"][0]["kinds"].as_array_mut().unwrap().pop();
    let mut stopped = backups();
    stopped["stacks"][0]["archive"] = json!({"ok": false, "error": "no space left", "cure": "make room"});
    let mut newer = backups();
    let kinds = newer["stacks"][0]["kinds"].as_array_mut().unwrap();
    let mut mirror = kinds[0].clone();
    mirror["kind"] = json!("mirror");
    mirror["failed"] = json!(true);
    mirror["error"] = json!("disk full");
    kinds.push(mirror);
    let mut unwell = backups();
    unwell["stacks"][0]["kinds"][0]["ok"] = json!(false);
    unwell["stacks"][0]["kinds"][0]["error"] = json!("it is half as large as the one before");
    let cases: [(ScriptedReply, &str, &str, &str); 11] = [
        (
            ScriptedReply::json(200, &unwell),
            "backup dump",
            "fail",
            "then: it is half as large",
        ),
        (
            ScriptedReply::json(200, &newer),
            "backup mirror",
            "fail",
            "then: disk full",
        ),
        (
            with(0, json!({"late": true, "cure": "run it"})),
            "backup dump",
            "fail",
            "late after 30h; run it",
        ),
        (
            with(
                1,
                json!({"failed": true, "error": "disk full", "cure": "make room"}),
            ),
            "backup wal-base",
            "fail",
            "then: disk full; make room",
        ),
        (
            with(2, json!({"last_success": null, "age_seconds": null})),
            "backup offsite",
            "warn",
            "never succeeded, and need not have yet",
        ),
        (
            ScriptedReply::json(200, &missing),
            "backup drill",
            "warn",
            "slipway.backup.drill.enable = true;",
        ),
        (
            ScriptedReply::json(200, &stopped),
            "backup archive",
            "fail",
            "no space left; make room",
        ),
        (
            ScriptedReply::json(200, &json!({"ok": true, "stacks": []})),
            "backup",
            "not_checked",
            "says nothing of it",
        ),
        (
            ScriptedReply::text(500, "text/plain", "x"),
            "backup",
            "not_checked",
            "answered 500",
        ),
        (ScriptedReply::empty(503), "backup", "not_checked", "answered 503"),
        (
            ScriptedReply::cut(),
            "backup",
            "not_checked",
            "systemctl status slipway-backup-exporter",
        ),
    ];
    for (reply, check, state, text) in cases {
        let server = ScriptedApi::start_tls(TestCertificate::Good, move |seen| {
            if seen.path == "/status" {
                reply.clone()
            } else {
                well(seen)
            }
        });
        expect(&verify(&server, &[]).1, check, state, text);
    }
}
