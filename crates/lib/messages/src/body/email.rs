//! A message as an e-mail.

use std::fmt::Write as _;

use slipway_domain::DeliveryId;
use slipway_text::time;
use slipway_wire::message::Message;
use url::Url;

use super::{line, link};

/// Characters of a subject.
const SUBJECT_CHARS: usize = 150;

/// The parts of an e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// Its id, the same each time that it is sent.
    pub id: String,
    /// The id that all e-mails of the rollout refer to, so that programs show them together.
    pub thread: Option<String>,
}

/// A message as an e-mail from an address at `domain`.
#[must_use]
pub fn email(id: DeliveryId, message: &Message, public: Option<&Url>, domain: &str) -> Email {
    let line = line(message);
    let mut text = format!("{line}\n");
    let data = &message.data;
    for host in &data.hosts {
        let detail = host
            .detail
            .as_deref()
            .map(|detail| format!(": {detail}"))
            .unwrap_or_default();
        let _ = write!(text, "\n- {}{detail}", host.name);
    }
    if !data.hosts.is_empty() {
        text.push('\n');
    }
    if let Some(url) = link(message, public) {
        let _ = writeln!(text, "\n{url}");
    }
    let _ = writeln!(
        text,
        "\n-- \n{} at {}, from Slipway",
        message.kind,
        time::instant(message.timestamp)
    );
    Email {
        subject: format!(
            "[slipway] {}",
            line.chars().take(SUBJECT_CHARS).collect::<String>()
        ),
        text,
        id: format!("<{id}@{domain}>"),
        thread: data
            .rollout
            .map(|rollout| format!("<rollout-{rollout}@{domain}>")),
    }
}

#[cfg(test)]
mod tests {
    use slipway_domain::{MessageKind, RolloutId};
    use slipway_wire::message::{MessageData, MessageHost};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_email_has_the_line_the_hosts_and_the_link() {
        let rollout = RolloutId::generate();
        let message = Message {
            kind: MessageKind::RolloutFailed,
            timestamp: "2026-11-30T04:05:06Z".parse().unwrap(),
            data: MessageData {
                environment: Some("prod".parse().unwrap()),
                rollout: Some(rollout),
                hosts: vec![MessageHost {
                    name: "web-1".parse().unwrap(),
                    detail: Some("stuck".to_owned()),
                }],
                host_count: 1,
                ..MessageData::default()
            },
        };
        let public = Url::parse("https://example.org").unwrap();
        let id = DeliveryId::from_uuid(Uuid::nil());
        let email = email(id, &message, Some(&public), "example.org");
        assert_eq!(email.subject, "[slipway] prod: a rollout failed: web-1 (stuck)");
        assert_eq!(email.id, "<00000000-0000-0000-0000-000000000000@example.org>");
        assert_eq!(email.thread, Some(format!("<rollout-{rollout}@example.org>")));
        for part in [
            "\n- web-1: stuck\n",
            &format!("\nhttps://example.org/rollouts/{rollout}\n"),
        ] {
            assert!(email.text.contains(part), "{}", email.text);
        }
    }
}
