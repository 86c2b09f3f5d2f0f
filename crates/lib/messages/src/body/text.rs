//! A message in one line.

use std::fmt::Write as _;

use slipway_text::{clean, time};
use slipway_wire::message::{Message, MessageData};

/// Hosts that the line names.
const NAMED: usize = 5;
/// Characters of a reason.
const REASON_CHARS: usize = 300;
/// Characters of a commit.
const REV_CHARS: usize = 12;

/// The message in one line, for people.
#[must_use]
pub fn line(message: &Message) -> String {
    let data = &message.data;
    let mut line = String::new();
    if let Some(environment) = &data.environment {
        let _ = write!(line, "{environment}: ");
    }
    line.push_str(&what(message));
    if data.reminder > 0 {
        line.push_str(" still");
    }
    if let Some(since) = data.since {
        let _ = write!(line, " since {}", time::instant(since));
    }
    if let Some(by) = &data.by {
        let _ = write!(line, ", by {}", one_line(by, REASON_CHARS));
    }
    if data.rollout.is_some() && data.rollout_number.is_none() {
        line.push_str(&release(data));
    }
    if let Some(reason) = &data.reason {
        let _ = write!(line, ": {}", one_line(reason, REASON_CHARS));
    }
    if !data.hosts.is_empty() {
        let _ = write!(line, ": {}", hosts(data));
    }
    line
}

/// What happened, with the numbers that people say.
fn what(message: &Message) -> String {
    let words = message.kind.words();
    let data = &message.data;
    let Some(number) = data.rollout_number else {
        return words.to_owned();
    };
    let of = data.release_label.as_ref();
    let of = of.map(|release| format!(" of {}", one_line(&release.to_string(), REASON_CHARS)));
    let of = of.unwrap_or_default();
    match words.strip_prefix("a rollout ") {
        Some(rest) => format!("rollout #{number}{of} {rest}"),
        None => format!("{words}, in rollout #{number}{of}"),
    }
}

/// The release, by its commit if it has one. A message that was queued before numbers has nothing else.
fn release(data: &MessageData) -> String {
    match (&data.rev, &data.release) {
        (Some(rev), _) => format!(" (commit {})", one_line(rev, REV_CHARS)),
        (None, Some(release)) => format!(" (release {release})"),
        (None, None) => String::new(),
    }
}

fn hosts(data: &MessageData) -> String {
    let named: Vec<String> = data
        .hosts
        .iter()
        .take(NAMED)
        .map(|host| match &host.detail {
            Some(detail) => format!("{} ({})", host.name, one_line(detail, REASON_CHARS)),
            None => host.name.to_string(),
        })
        .collect();
    let more = (data.host_count as usize).saturating_sub(named.len());
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    format!("{}{more}", named.join(", "))
}

/// A text without line breaks and hidden characters, cut off after so many.
fn one_line(text: &str, most: usize) -> String {
    let text = clean(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut cut: String = text.chars().take(most).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use slipway_domain::{MessageKind, ReleaseId, RolloutId};
    use slipway_wire::message::MessageHost;
    use slipway_wire::release::ReleaseLabel;

    use super::*;

    fn says(kind: MessageKind, data: MessageData) -> String {
        line(&Message {
            kind,
            timestamp: chrono::DateTime::UNIX_EPOCH,
            data,
        })
    }

    fn in_prod() -> MessageData {
        MessageData {
            environment: Some("prod".parse().unwrap()),
            ..MessageData::default()
        }
    }

    #[test]
    fn a_line_says_what_where_who_and_why() {
        let data = MessageData {
            rollout: Some(RolloutId::generate()),
            rev: Some("880fbcd2a1b2c3d4e5f6".to_owned()),
            by: Some("ada".to_owned()),
            reason: Some("the\nshop  is slow\u{1b}[31m".to_owned()),
            ..in_prod()
        };
        assert_eq!(
            says(MessageKind::RolloutPaused, data.clone()),
            "prod: a rollout is paused, by ada (commit 880fbcd2a1b2…): the shop is slow\u{fffd}[31m"
        );
        let data = MessageData {
            rollout_number: Some(34),
            release_label: Some(ReleaseLabel {
                id: ReleaseId::generate(),
                number: Some(12),
                name: Some("v1.4.0".parse().unwrap()),
                rev: Some("880fbcd2a1b2c3d4".to_owned()),
            }),
            ..data
        };
        assert_eq!(
            says(MessageKind::RolloutPaused, data.clone()),
            "prod: rollout #34 of #12 v1.4.0 (880fbcd2a1) is paused, by ada: the shop is slow\u{fffd}[31m"
        );
        assert!(says(MessageKind::HostStuck, data).starts_with(
            "prod: a host is stuck, and a person must look, in rollout #34 of #12 v1.4.0 (880fbcd2a1)"
        ));
        let data = MessageData {
            reminder: 2,
            since: Some("2026-11-30T04:05:06Z".parse().unwrap()),
            ..in_prod()
        };
        let line = says(MessageKind::ApprovalWanted, data);
        assert!(
            line.starts_with("prod: a rollout waits for approval still since 2026-11-30 04:05"),
            "{line}"
        );
    }

    #[test]
    fn many_hosts_are_counted() {
        let host = |i: usize| MessageHost {
            name: format!("web-{i}").parse().unwrap(),
            detail: (i == 0).then(|| "a unit was changed beside the system".to_owned()),
        };
        let data = MessageData {
            hosts: (0..6).map(host).collect(),
            host_count: 1_000,
            ..in_prod()
        };
        assert_eq!(
            says(MessageKind::HostDrifted, data),
            "prod: not as Slipway left it: web-0 (a unit was changed beside the system), web-1, web-2, web-3, web-4 and 995 more"
        );
    }
}
