//! The content of a wake-up: the hosts or rollouts that it concerns, and no instruction.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use slipway_domain::{HostId, RolloutId};

/// Hosts in one message, so that it stays well below [`MOST_BYTES`].
const MOST_HOSTS: usize = 10_000;
/// A longer message is not ours and is not read.
const MOST_BYTES: usize = 1024 * 1024;

/// What wake-ups are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// For workers: a rollout has news.
    Rollouts,
    /// For api replicas: hosts have a new instruction.
    Hosts,
}

impl Topic {
    /// Earlier programs send instructions on `hosts`, so names of hosts use a separate channel.
    pub(crate) fn channel(self, prefix: &str) -> String {
        match self {
            Self::Rollouts => format!("{prefix}:rollouts"),
            Self::Hosts => format!("{prefix}:host-news"),
        }
    }
}

/// A reason to look at the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WakeUp {
    /// These rollouts have news.
    Rollouts(HashSet<RolloutId>),
    /// These hosts have a new instruction.
    Hosts(HashSet<HostId>),
    /// Wake-ups may have been missed: query the database.
    Reconnected,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Rollout(RolloutId),
    Hosts(HashSet<HostId>),
}

/// Why a message was dropped.
#[derive(Debug, thiserror::Error)]
#[error("a message of {bytes} bytes is no wake-up")]
pub(crate) struct MalformedMessage {
    bytes: usize,
    #[source]
    source: Option<serde_json::Error>,
}

pub(crate) fn encode_rollout(rollout: RolloutId) -> Vec<u8> {
    encode(&Message::Rollout(rollout))
}

/// Splits ids into several small messages.
pub(crate) fn encode_hosts(hosts: &[HostId]) -> Vec<Vec<u8>> {
    hosts
        .chunks(MOST_HOSTS)
        .map(|chunk| encode(&Message::Hosts(chunk.iter().copied().collect())))
        .collect()
}

fn encode(message: &Message) -> Vec<u8> {
    serde_json::to_vec(message).expect("ids always have a JSON form")
}

pub(crate) fn decode(bytes: &[u8]) -> Result<WakeUp, MalformedMessage> {
    let malformed = |source| MalformedMessage {
        bytes: bytes.len(),
        source,
    };
    if bytes.len() > MOST_BYTES {
        return Err(malformed(None));
    }
    match serde_json::from_slice(bytes) {
        Ok(Message::Rollout(id)) => Ok(WakeUp::Rollouts(HashSet::from([id]))),
        Ok(Message::Hosts(hosts)) => Ok(WakeUp::Hosts(hosts)),
        Err(source) => Err(malformed(Some(source))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use slipway_fixtures::{Fixture, assert_kept, assert_unchanged, reader};

    use super::*;

    /// Replicas of two releases run side by side during an update.
    const FIXTURES: [Fixture; 2] = [
        Fixture {
            file: "880fbcd.json",
            text: include_str!("../fixtures/880fbcd.json"),
            sum: Some("50b68530cb8fc515653bfb9a4f1e772418bf110bd6a650078edbfc6e1745a907"),
        },
        Fixture {
            file: "next.json",
            text: include_str!("../fixtures/next.json"),
            sum: None,
        },
    ];

    /// The hosts of a message are a set, in any order.
    fn read_sorted(value: Value) -> Result<Value, serde_json::Error> {
        decode(value.to_string().as_bytes()).unwrap();
        let sent = value.clone();
        let mut written = reader::<Message>(value)?;
        if let Some(hosts) = written.get_mut("hosts").and_then(Value::as_array_mut) {
            hosts.sort_by_key(ToString::to_string);
        }
        assert_eq!(written, sent, "a replica of the other release reads exactly this");
        Ok(written)
    }

    #[test]
    fn messages_of_every_release_are_read_and_written_the_same() {
        assert_unchanged(&FIXTURES);
        assert_kept(&FIXTURES, &[("Message", read_sorted)]);
    }

    #[test]
    fn messages_round_trip() {
        let id = RolloutId::generate();
        assert_eq!(
            decode(&encode_rollout(id)).unwrap(),
            WakeUp::Rollouts(HashSet::from([id]))
        );
        let hosts = [HostId::generate(), HostId::generate()];
        let messages = encode_hosts(&hosts);
        assert_eq!(messages.len(), 1);
        assert_eq!(decode(&messages[0]).unwrap(), WakeUp::Hosts(HashSet::from(hosts)));
        assert!(encode_hosts(&[]).is_empty());
    }

    #[test]
    fn a_whole_fleet_goes_in_messages_below_a_mebibyte() {
        let fleet: Vec<_> = (0..25_000).map(|_| HostId::generate()).collect();
        let messages = encode_hosts(&fleet);
        assert_eq!(messages.len(), 3);
        let mut read = HashSet::new();
        for message in &messages {
            assert!(message.len() < MOST_BYTES);
            let WakeUp::Hosts(hosts) = decode(message).unwrap() else {
                panic!("not hosts")
            };
            read.extend(hosts);
        }
        assert_eq!(read, fleet.into_iter().collect());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let instruction = format!(
            r#"{{"hosts":[["{}",{{"state":"staging","closure":"/nix/store/x"}}]]}}"#,
            HostId::generate()
        );
        let endless = format!(r#"{{"hosts":[{}]}}"#, " ".repeat(MOST_BYTES));
        for bad in [
            "",
            "x",
            "{}",
            r#"{"rollout":"web-1"}"#,
            r#"{"hosts":[1]}"#,
            "\u{0}",
            &instruction,
            &endless,
        ] {
            let error = decode(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("is no wake-up"), "{bad}: {error}");
        }
    }
}
