//! What the page of `slipway-backup exporter` leads to.

use std::time::SystemTime;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply, TestCertificate};

use super::{backups, expect, verify, well};

/// Each: what the page answers, and a check with its state and words.
fn run_cases<const N: usize>(cases: [(ScriptedReply, &str, &str, &str); N]) {
    for (reply, check, state, text) in cases {
        let server = ScriptedApi::start_tls(TestCertificate::Good, move |request| {
            if request.path == "/status" {
                reply.clone()
            } else {
                well(request)
            }
        });
        expect(&verify(&server, &[]).1, check, state, text);
    }
}

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
    let cases: [(ScriptedReply, &str, &str, &str); 7] = [
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
    ];
    run_cases(cases);
}

#[test]
fn a_page_that_is_not_of_now_or_not_well_proves_nothing() {
    let of = |away: TimeDelta| {
        let mut page = backups();
        page["stacks"][0]["checked_at"] = json!(DateTime::<Utc>::from(SystemTime::now()) + away);
        ScriptedReply::json(200, &page)
    };
    let mut newest = backups();
    newest["stacks"][0]["ok"] = json!(false);
    run_cases([
        (
            ScriptedReply::json(200, &json!({"ok": true, "stacks": []})),
            "backup",
            "not_checked",
            "says nothing of it",
        ),
        (
            ScriptedReply::json(500, &backups()),
            "backup",
            "fail",
            "answered 500",
        ),
        (ScriptedReply::empty(404), "backup", "fail", "answered 404"),
        (
            ScriptedReply::text(200, "text/html", "<p>hi"),
            "backup",
            "not_checked",
            "answered no status",
        ),
        (of(TimeDelta::hours(-30)), "backup", "fail", "is 30h old"),
        (
            of(TimeDelta::hours(2)),
            "backup",
            "fail",
            "which has not come yet",
        ),
        (
            ScriptedReply::json(200, &newest),
            "backup",
            "fail",
            "the exporter calls them not well",
        ),
        (
            ScriptedReply::cut(),
            "backup",
            "not_checked",
            "systemctl status slipway-backup-exporter",
        ),
    ]);
}
