//! What a message says, in each form that destinations take.
//!
//! Names are checked where they enter, and what hosts wrote is not in a message. A person's reason may hold anything, so
//! each form escapes it.

mod email;
mod link;
mod text;

use serde_json::{Value, json};
use slipway_wire::message::Message;
use url::Url;

pub use email::{Email, email};
pub use link::link;
pub use text::line;

/// The body of a webhook of Standard Webhooks: the message with a line for people and a link.
#[must_use]
pub fn standard(message: &Message, public: Option<&Url>) -> String {
    let mut message = message.clone();
    message.data.text = line(&message);
    message.data.url = link(&message, public);
    // It has no map with other keys than text, so this cannot fail.
    serde_json::to_string(&message).unwrap_or_default()
}

/// The body of an incoming webhook of Slack, and of what is compatible with it.
#[must_use]
pub fn slack(message: &Message, public: Option<&Url>) -> Value {
    let text = escape_slack(&line(message));
    let text = match link(message, public) {
        Some(url) => format!("{text} <{url}|Open>"),
        None => text,
    };
    json!({ "text": text })
}

/// The content of a message in a room of Matrix. It mentions nobody, whatever it says.
#[must_use]
pub fn matrix(message: &Message, public: Option<&Url>) -> Value {
    let text = line(message);
    let (body, html) = match link(message, public) {
        Some(url) => (
            format!("{text} {url}"),
            format!(
                "{} <a href=\"{}\">Open</a>",
                escape_html(&text),
                escape_html(&url)
            ),
        ),
        None => (text.clone(), escape_html(&text)),
    };
    json!({
        "msgtype": "m.text",
        "body": body,
        "format": "org.matrix.custom.html",
        "formatted_body": html,
        "m.mentions": {},
    })
}

/// Slack reads `<…>` as links and mentions. Others read `@all` as a mention too.
fn escape_slack(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('@', "@\u{200b}")
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use slipway_domain::MessageKind;
    use slipway_wire::message::MessageData;

    use super::*;

    fn evil() -> Message {
        Message {
            kind: MessageKind::RolloutPaused,
            timestamp: "2026-11-30T04:05:06Z".parse().unwrap(),
            data: MessageData {
                environment: Some("prod".parse().unwrap()),
                by: Some("eve".to_owned()),
                reason: Some("<!channel> @all <script>alert(1)</script> & \"x\"\r\nBcc: a@b".to_owned()),
                ..MessageData::default()
            },
        }
    }

    #[test]
    fn nothing_that_a_person_wrote_is_markup_or_calls_anybody() {
        let slack = slack(&evil(), None)["text"].as_str().unwrap().to_owned();
        assert!(
            !slack.contains('<') && !slack.contains("@all") && !slack.contains('\n'),
            "{slack}"
        );
        let matrix = matrix(&evil(), None);
        let html = matrix["formatted_body"].as_str().unwrap();
        assert!(!html.contains('<') && !html.contains('"'), "{html}");
        assert_eq!(matrix["m.mentions"], json!({}));
    }

    #[test]
    fn each_form_has_the_link() {
        let public = Url::parse("https://slipway.example.org").unwrap();
        let url = "https://slipway.example.org/environments/prod";
        let slack = slack(&evil(), Some(&public));
        assert!(
            slack["text"]
                .as_str()
                .unwrap()
                .ends_with(&format!(" <{url}|Open>")),
            "{slack}"
        );
        let matrix = matrix(&evil(), Some(&public));
        assert!(matrix["body"].as_str().unwrap().ends_with(url), "{matrix}");
        assert!(
            matrix["formatted_body"]
                .as_str()
                .unwrap()
                .contains(&format!("href=\"{url}\""))
        );
        let standard: Value = serde_json::from_str(&standard(&evil(), Some(&public))).unwrap();
        assert_eq!(
            (&standard["type"], &standard["data"]["url"]),
            (&json!("rollout.paused"), &json!(url))
        );
    }
}
