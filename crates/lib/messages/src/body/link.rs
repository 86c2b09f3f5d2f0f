//! The page of what a message is about.

use slipway_wire::message::Message;
use url::Url;

/// The page, if the control plane knows its own address: of the rollout, the only host, or the environment.
#[must_use]
pub fn link(message: &Message, public: Option<&Url>) -> Option<String> {
    let data = &message.data;
    let page = match (&data.rollout, data.hosts.as_slice(), &data.environment) {
        (Some(rollout), ..) => format!("/rollouts/{rollout}"),
        (None, [host], _) => format!("/hosts/{}", host.name),
        (None, _, Some(environment)) => format!("/environments/{environment}"),
        _ => String::new(),
    };
    public.map(|public| format!("{}{page}", public.as_str().trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use slipway_domain::{MessageKind, RolloutId};
    use slipway_wire::message::{MessageData, MessageHost};

    use super::*;

    #[test]
    fn each_message_leads_to_the_page_of_what_it_is_about() {
        let public = Url::parse("https://example.org/slipway/").unwrap();
        let leads = |data: MessageData| {
            let message = Message {
                kind: MessageKind::HostDrifted,
                timestamp: chrono::DateTime::UNIX_EPOCH,
                data,
            };
            assert_eq!(link(&message, None), None);
            link(&message, Some(&public)).unwrap()
        };
        let host = |name: &str| MessageHost {
            name: name.parse().unwrap(),
            detail: None,
        };
        let in_prod = |hosts: Vec<MessageHost>| MessageData {
            environment: Some("prod".parse().unwrap()),
            hosts,
            ..MessageData::default()
        };
        let rollout = RolloutId::generate();
        let of_rollout = MessageData {
            rollout: Some(rollout),
            ..in_prod(vec![host("web-1")])
        };
        assert_eq!(
            leads(of_rollout),
            format!("https://example.org/slipway/rollouts/{rollout}")
        );
        assert_eq!(
            leads(in_prod(vec![host("web-1")])),
            "https://example.org/slipway/hosts/web-1"
        );
        let both = in_prod(vec![host("web-1"), host("web-2")]);
        assert_eq!(leads(both), "https://example.org/slipway/environments/prod");
        assert_eq!(leads(MessageData::default()), "https://example.org/slipway");
    }
}
