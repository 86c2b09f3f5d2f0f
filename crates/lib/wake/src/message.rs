//! What a wake-up says.

use serde::{Deserialize, Serialize};
use slipway_domain::agent::Assignment;
use slipway_domain::{HostId, RolloutId};

/// A message is closed when it is longer than this, so that it stays well below 1 MiB.
const CHUNK_BYTES: usize = 512 * 1024;

/// What wake-ups are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// For workers: a rollout has news.
    Rollouts,
    /// For api replicas: hosts are asked for something else now.
    Hosts,
}

impl Topic {
    pub(crate) fn channel(self, prefix: &str) -> String {
        match self {
            Self::Rollouts => format!("{prefix}:rollouts"),
            Self::Hosts => format!("{prefix}:hosts"),
        }
    }
}

/// A reason to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WakeUp {
    /// This rollout has news.
    Rollout(RolloutId),
    /// These hosts are asked for this now.
    Hosts(Vec<(HostId, Assignment)>),
    /// Wake-ups may have been missed: look for yourself.
    Reconnected,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Rollout(RolloutId),
    Hosts(Vec<(HostId, Assignment)>),
}

/// Why a message was dropped.
#[derive(Debug, thiserror::Error)]
#[error("a message of {bytes} bytes cannot be read")]
pub(crate) struct MalformedMessage {
    bytes: usize,
    #[source]
    source: serde_json::Error,
}

pub(crate) fn encode_rollout(rollout: RolloutId) -> Vec<u8> {
    format!(r#"{{"rollout":"{rollout}"}}"#).into_bytes()
}

/// As many messages as it takes to keep each of them small.
pub(crate) fn encode_hosts(hosts: &[(HostId, Assignment)]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut open: Vec<u8> = Vec::new();
    for host in hosts {
        let entry = serde_json::to_vec(host).expect("names, ids and numbers always have a JSON form");
        open.extend_from_slice(if open.is_empty() { br#"{"hosts":["# } else { b"," });
        open.extend_from_slice(&entry);
        if open.len() > CHUNK_BYTES {
            messages.push(close(&mut open));
        }
    }
    if !open.is_empty() {
        messages.push(close(&mut open));
    }
    messages
}

fn close(open: &mut Vec<u8>) -> Vec<u8> {
    open.extend_from_slice(b"]}");
    std::mem::take(open)
}

pub(crate) fn decode(bytes: &[u8]) -> Result<WakeUp, MalformedMessage> {
    match serde_json::from_slice(bytes) {
        Ok(Message::Rollout(id)) => Ok(WakeUp::Rollout(id)),
        Ok(Message::Hosts(hosts)) => Ok(WakeUp::Hosts(hosts)),
        Err(source) => Err(MalformedMessage {
            bytes: bytes.len(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use slipway_domain::{AttemptId, StepState, Strategy};

    use super::*;

    fn assignment() -> Assignment {
        Assignment {
            state: StepState::Staging,
            attempt: Some(AttemptId::random()),
            closure: "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-a".parse().unwrap(),
            prior: None,
            strategy: Strategy::default(),
        }
    }

    #[test]
    fn messages_round_trip() {
        let id = RolloutId::generate();
        assert_eq!(decode(&encode_rollout(id)).unwrap(), WakeUp::Rollout(id));
        let hosts = vec![
            (HostId::generate(), assignment()),
            (HostId::generate(), assignment()),
        ];
        let messages = encode_hosts(&hosts);
        assert_eq!(messages.len(), 1);
        assert_eq!(decode(&messages[0]).unwrap(), WakeUp::Hosts(hosts));
        assert!(encode_hosts(&[]).is_empty());
    }

    #[test]
    fn a_whole_fleet_goes_in_messages_below_a_mebibyte() {
        let fleet: Vec<_> = (0..5000).map(|_| (HostId::generate(), assignment())).collect();
        let messages = encode_hosts(&fleet);
        assert!(messages.len() > 1);
        assert!(messages.iter().all(|message| message.len() < 1024 * 1024));
        let mut read = Vec::new();
        for message in &messages {
            let WakeUp::Hosts(hosts) = decode(message).unwrap() else {
                panic!("not hosts")
            };
            read.extend(hosts);
        }
        assert_eq!(read, fleet);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bad in [
            "",
            "x",
            "{}",
            r#"{"rollout":"web-1"}"#,
            r#"{"hosts":[1]}"#,
            "\u{0}",
        ] {
            let error = decode(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("cannot be read"), "{bad}: {error}");
        }
    }
}
