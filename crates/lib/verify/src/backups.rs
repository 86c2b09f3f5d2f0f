//! The age of backups and drills, from the page of `slipway-backup exporter`.

use chrono::{DateTime, TimeDelta, Utc};
use slipway_client::RawResponse;
use slipway_text::time::{instant, short_duration};
use slipway_wire::backup::{BackupKindStatus, BackupPage, BackupStatus};

use crate::{CheckResult, CheckState, PendingCheck, StatusPage};

/// What to do about a page without a status.
const EXPORTER: &str = "look at the exporter: systemctl status slipway-backup-exporter";
/// The exporter finds the status out when it is asked, so an older one comes from elsewhere, or the clocks differ.
const LONGEST_STATUS_AGE: TimeDelta = TimeDelta::minutes(10);
/// A thousand years: more than any number that makes sense.
const LONGEST_AGE_SECONDS: f64 = 1000.0 * 365.0 * 24.0 * 3600.0;

/// What there should be of every stack, with the option that switches it on.
const KINDS: [(&str, &str); 4] = [
    ("dump", "backup.enable"),
    ("offsite", "backup.offsite.enable"),
    ("verify", "backup.verify.enable"),
    ("drill", "backup.drill.enable"),
];
/// What there should be once a host: the archive is the server's, and one stack's backups have it.
const BASE: (&str, &str) = ("wal-base", "services.slipway.backup.archive.enable");

/// The status page is not known.
#[must_use]
pub fn unknown(of: &str) -> CheckResult {
    PendingCheck::new("backup", of).not_checked(
        "this machine does not know the status page of its backups",
        "run slipway verify on the host that makes them, or name the page: --backup-url http://…:9103/status",
    )
}

/// The stack says that it has none.
#[must_use]
pub fn none(of: &str) -> CheckResult {
    PendingCheck::new("backup", of).warn(
        "the stack has no backup",
        format!("services.slipway.stacks.{of}.backup.enable = true;"),
    )
}

/// A result for every kind: of this stack, or of all that the page knows.
pub(crate) async fn check(
    check: PendingCheck,
    stack: Option<&str>,
    page: &StatusPage,
    now: DateTime<Utc>,
) -> Vec<CheckResult> {
    let url = &page.url;
    let answer = match page.fetch().await {
        Ok(RawResponse { status: 200, body }) => body,
        Ok(answer) => return vec![check.fail(format!("{url} answered {}", answer.status), EXPORTER)],
        Err(error) => return vec![check.not_checked(error.summary(), EXPORTER)],
    };
    let page = match serde_json::from_slice::<BackupPage>(&answer) {
        Ok(page) => page,
        Err(error) => return vec![check.not_checked(format!("{url} answered no status: {error}"), EXPORTER)],
    };
    let results = of_page(&page, stack, now);
    if results.is_empty() {
        return vec![check.not_checked(format!("{url} says nothing of it"), EXPORTER)];
    }
    results
}

fn of_page(page: &BackupPage, stack: Option<&str>, now: DateTime<Utc>) -> Vec<CheckResult> {
    let is_wanted = |status: &&BackupStatus| stack.is_none_or(|stack| stack == status.stack);
    let has_base = |status: &BackupStatus| status.kinds.iter().any(|kind| kind.kind == BASE.0);
    let archived = page.stacks.iter().any(has_base);
    let wanted = page.stacks.iter().filter(is_wanted);
    wanted
        .flat_map(|status| match not_of_now(status, now) {
            Some(result) => vec![result],
            None => of_stack(status, archived && !has_base(status)),
        })
        .collect()
}

/// A failure where the status is not of this moment: then it proves nothing.
fn not_of_now(status: &BackupStatus, now: DateTime<Utc>) -> Option<CheckResult> {
    let age = now - status.checked_at;
    if age.abs() <= LONGEST_STATUS_AGE {
        return None;
    }
    let at = instant(status.checked_at);
    let seen = if age > TimeDelta::zero() {
        format!("the status is {} old (of {at})", short_duration(age))
    } else {
        format!("the status is of {at}, which has not come yet")
    };
    let cure = format!("{EXPORTER}, and at the clocks of both machines: timedatectl");
    Some(PendingCheck::new("backup", &status.stack).fail(seen, cure))
}

/// Another stack's backups have the archive, or these should.
fn of_stack(status: &BackupStatus, archived_elsewhere: bool) -> Vec<CheckResult> {
    let mut results = Vec::new();
    let wanted = KINDS.map(|(name, option)| {
        let option = format!("services.slipway.stacks.{}.{option}", status.stack);
        (name, option)
    });
    let base = (BASE.0, BASE.1.to_owned());
    for (name, option) in wanted.into_iter().chain((!archived_elsewhere).then_some(base)) {
        let check = PendingCheck::new(format!("backup {name}"), &status.stack);
        results.push(match status.kinds.iter().find(|kind| kind.kind == name) {
            Some(kind) => of_kind(check, kind),
            None => check.warn("there is none", format!("{option} = true;")),
        });
    }
    // A newer exporter may know more kinds.
    let is_known = |name: &str| name == BASE.0 || KINDS.iter().any(|(known, _)| *known == name);
    for kind in status.kinds.iter().filter(|kind| !is_known(&kind.kind)) {
        let check = PendingCheck::new(format!("backup {}", kind.kind), &status.stack);
        results.push(of_kind(check, kind));
    }
    results.extend(status.archive.as_ref().map(|archive| {
        let check = PendingCheck::new("backup archive", &status.stack);
        if archive.ok {
            let lag = archive
                .progress
                .as_ref()
                .map_or(0.0, |progress| progress.lag_seconds);
            check.ok(format!("the oldest change waits for {}", age(lag)))
        } else {
            let cure = archive.cure.as_deref().unwrap_or("slipway-backup status");
            let error = archive.error.as_deref();
            check.fail(error.unwrap_or("changes are not archived"), cure)
        }
    }));
    // A newer exporter may know more that is wrong.
    if !status.ok && results.iter().all(|result| result.state != CheckState::Fail) {
        let check = PendingCheck::new("backup", &status.stack);
        results.push(check.fail("the exporter calls them not well", "slipway-backup status"));
    }
    results
}

fn of_kind(check: PendingCheck, kind: &BackupKindStatus) -> CheckResult {
    let last = match (kind.last_success, kind.age_seconds) {
        (Some(at), Some(seconds)) => format!("last {} ago ({})", age(seconds), instant(at)),
        (Some(at), None) => format!("last at {}", instant(at)),
        (None, _) => "never succeeded".to_owned(),
    };
    let error = kind.error.as_ref().map(|error| format!("; then: {error}"));
    let seen = format!("{last}{}", error.unwrap_or_default());
    let cure = kind.cure.as_deref().unwrap_or("slipway-backup status");
    // A newer exporter may know more that is wrong.
    let failed = kind.failed || !(kind.ok || kind.late);
    match (failed, kind.late) {
        (_, true) => check.fail(
            format!("{seen}; late after {}", age(kind.late_after_seconds)),
            cure,
        ),
        (true, false) => check.fail(seen, cure),
        (false, false) if kind.last_success.is_none() => check.warn(
            format!("{seen}, and need not have yet"),
            "wait for its first run, or begin it: slipway-backup now",
        ),
        (false, false) => check.ok(seen),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "whole seconds are enough for people"
)]
fn age(seconds: f64) -> String {
    // Another program wrote the number: no age of a backup is outside of this.
    short_duration(TimeDelta::seconds(seconds.clamp(0.0, LONGEST_AGE_SECONDS) as i64))
}
