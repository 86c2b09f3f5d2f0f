//! The age of backups and drills, as `slipway-backup exporter` tells it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::{Check, Line, endpoints};
use crate::Failure;
use crate::context::Context;
use crate::text::short_duration;

/// What there should be, with what it is for people and the option that switches it on.
const KINDS: [(&str, &str); 5] = [
    ("dump", "backup.dump.enable"),
    ("base", "backup.pitr.enable"),
    ("wal", "backup.pitr.enable"),
    ("offsite", "backup.offsite"),
    ("drill", "backup.drill.enable"),
];

/// The page. What it says besides is none of this command's business.
#[derive(Debug, Deserialize)]
struct Page {
    version: u32,
    kinds: BTreeMap<String, Kind>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    last_success: Option<DateTime<Utc>>,
    age_seconds: Option<i64>,
    late: bool,
    late_after_seconds: i64,
    last_error: Option<String>,
}

/// Nothing is known of backups from here.
#[must_use]
pub fn unknown(of: &str) -> Line {
    Check::new("backup", of).not_checked(
        "nothing here knows where its backups are told of",
        "run slipway verify on the host that makes them, or name the page: --backup-url http://…:9103/status",
    )
}

/// The stack says that it has none.
#[must_use]
pub fn none(of: &str) -> Line {
    Check::new("backup", of).warn(
        "the stack has no backup",
        format!("services.slipway.stacks.{of}.backup.enable = true;"),
    )
}

/// A line for every kind.
pub async fn check(context: Context, of: String, url: String, limit: Duration) -> Vec<Line> {
    let asked = async {
        let (address, path) = endpoints::split(&url)?;
        let client = endpoints::client(context.site(&address, None)?, limit)?;
        let answer = client.fetch(&path).await?;
        let page: Page = serde_json::from_slice(&answer.body).map_err(|error| {
            Failure::internal(format!(
                "{url} answered {}, and no status: {error}",
                answer.status
            ))
        })?;
        if page.version == 1 {
            Ok(page)
        } else {
            Err(Failure::internal(format!(
                "{url} has version {}, and this slipway knows 1",
                page.version
            )))
        }
    };
    let page = match asked.await {
        Ok(page) => page,
        Err(failure) => {
            return vec![Check::new("backup", of).not_checked(
                failure.detail(),
                "look at the exporter: systemctl status slipway-backup-exporter",
            )];
        }
    };
    KINDS
        .iter()
        .map(|(kind, option)| {
            let check = Check::new(format!("backup {kind}"), &of);
            match page.kinds.get(*kind) {
                Some(found) => line(check, kind, found),
                None => check.warn(
                    "there is none",
                    format!("switch it on: {option} of services.slipway.stacks.NAME"),
                ),
            }
        })
        .collect()
}

fn line(check: Check, name: &str, kind: &Kind) -> Line {
    let age = |seconds| short_duration(TimeDelta::seconds(seconds));
    let last = match (kind.last_success, kind.age_seconds) {
        (Some(at), Some(seconds)) => format!("last {} ago ({})", age(seconds), crate::text::instant(at)),
        (Some(at), None) => format!("last at {}", crate::text::instant(at)),
        (None, _) => "never succeeded".to_owned(),
    };
    let error = kind.last_error.as_ref().map(|error| format!("; then: {error}"));
    let seen = format!("{last}{}", error.clone().unwrap_or_default());
    let cure = format!("slipway-backup status; journalctl -u 'slipway-backup-{name}*'");
    if kind.late {
        check.fail(
            format!("{seen}; late after {}", age(kind.late_after_seconds)),
            cure,
        )
    } else if error.is_some() || kind.last_success.is_none() {
        check.warn(seen, cure)
    } else {
        check.ok(seen)
    }
}
