//! What happened in a rollout, from its events: polling would miss short states.

use std::collections::BTreeMap;
use std::path::PathBuf;

use slipway_domain::{HostName, StepState};
use slipway_wire::audit::Event;
use slipway_wire::rollout::Rollout;

use super::watcher::Verified;

/// A rollout from its beginning to its end.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// The most hosts that were out at once.
    pub(super) most_out: usize,
    /// Hosts in the order in which they went out.
    pub(super) order: Vec<HostName>,
    /// Whether no other host went out before every canary had committed.
    pub(super) canary_alone: bool,
    /// What the control plane noted as verified.
    pub(super) verified: Vec<Verified>,
}

impl Story {
    /// Plays the events of a rollout in their order. Those of one instant were written at once, so they count at once.
    pub(super) fn of(rollout: &Rollout, events: &[Event]) -> Self {
        let mut story = Self {
            canary_alone: true,
            ..Self::default()
        };
        let mut states = BTreeMap::new();
        for at_once in events.chunk_by(|a, b| a.at == b.at) {
            for event in at_once {
                let to = event.event.to.as_deref().and_then(|to| to.parse().ok());
                let (Some(host), Some(to), true) = (&event.host_name, to, event.event.step.is_some()) else {
                    continue;
                };
                states.insert(host.clone(), to);
                if to == StepState::Verified {
                    story.verified.extend(verified(rollout, host, event));
                }
            }
            story.look(rollout, &states);
        }
        story
    }

    fn look(&mut self, rollout: &Rollout, states: &BTreeMap<HostName, StepState>) {
        let out: Vec<&HostName> = states
            .iter()
            .filter(|(_, state)| state.is_out())
            .map(|(host, _)| host)
            .collect();
        self.most_out = self.most_out.max(out.len());
        let canaries = |host: &HostName| {
            rollout
                .steps
                .iter()
                .any(|step| step.wave == 0 && step.host == *host)
        };
        let open = rollout
            .steps
            .iter()
            .any(|step| step.wave == 0 && states.get(&step.host) != Some(&StepState::Committed));
        self.canary_alone &= !open || out.iter().all(|host| canaries(host));
        for host in out {
            if !self.order.contains(host) {
                self.order.push(host.clone());
            }
        }
    }
}

fn verified(rollout: &Rollout, host: &HostName, event: &Event) -> Option<Verified> {
    let step = rollout.steps.iter().find(|step| step.host == *host)?;
    Some(Verified {
        host: host.clone(),
        closure: PathBuf::from(step.closure.as_str()),
        at: event.at,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HASH: &str = "0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d";
    const ID: &str = "0190a3d4-0000-7000-8000-000000000001";

    fn rollout(waves: &[(&str, u32)]) -> Rollout {
        let steps: Vec<_> = waves
            .iter()
            .map(|(host, wave)| {
                json!({"host": host, "wave": wave, "state": "committed", "since": "2026-03-01T12:00:00Z",
                       "attempt": null, "failures": 0, "closure": format!("/nix/store/{HASH}-{host}"),
                       "prior": null, "reason": null})
            })
            .collect();
        serde_json::from_value(json!({
            "id": ID, "environment": "prod", "release": ID, "state": "succeeded", "since": "2026-03-01T12:00:00Z",
            "reason": null, "author": "admin", "created_at": "2026-03-01T12:00:00Z", "finished_at": null,
            "strategy": {}, "approver": null, "pending_commands": [], "steps": steps,
        }))
        .unwrap()
    }

    fn events(changes: &[(u32, &str, &str)]) -> Vec<Event> {
        let event = |(number, (second, host, to)): (usize, &(u32, &str, &str))| {
            serde_json::from_value(json!({
                "number": number + 1, "at": format!("2026-03-01T12:00:{second:02}Z"), "hash": "", "host_name": host,
                "actor": {"kind": "rules"}, "kind": "step.state", "environment": null, "rollout": ID, "step": ID,
                "host": ID, "from": null, "to": to, "cause": "",
            }))
            .unwrap()
        };
        changes.iter().enumerate().map(event).collect()
    }

    #[test]
    fn a_host_that_was_out_for_a_moment_is_counted() {
        let rollout = rollout(&[("a", 0), ("b", 1), ("c", 1)]);
        let story = Story::of(
            &rollout,
            &events(&[
                (1, "b", "staged"),
                (2, "a", "activating"),
                (3, "a", "verified"),
                (4, "a", "committed"),
                (4, "b", "activating"),
                (5, "c", "activating"),
                (6, "b", "committed"),
            ]),
        );
        assert_eq!(story.most_out, 2);
        assert_eq!(
            story.order.iter().map(HostName::as_str).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert!(story.canary_alone, "what is written at once is no overlap");
        assert_eq!(story.verified.len(), 1);
    }

    #[test]
    fn a_host_that_goes_beside_the_canary_is_seen() {
        let rollout = rollout(&[("a", 0), ("b", 1)]);
        let story = Story::of(
            &rollout,
            &events(&[(1, "a", "activating"), (2, "b", "activating")]),
        );
        assert!(!story.canary_alone);
    }
}
