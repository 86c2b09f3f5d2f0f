//! What the audit log is told of a host that drifts: one event, however much there is.

use std::collections::BTreeMap;

use slipway_domain::drift::{self, Drift};
use slipway_domain::event::{Actor, NewEvent};

use super::facts::Known;
use crate::audit::kind;

impl Known {
    /// Whether the row does not say what is so, or the log does not and may be told.
    pub(super) fn is_news(&self) -> bool {
        let now = self.drift();
        self.first_seen().is_some() || self.before.as_ref() != Some(&now) || self.event(&now).is_some()
    }

    /// The first sight of it, which is what is expected from now on.
    pub(super) fn first_seen_event(&self) -> NewEvent {
        let cause = "what runs when the host is first seen is expected of it";
        NewEvent {
            environment: Some(self.environment),
            host: Some(self.id),
            to: Some(self.facts.live.to_string()),
            ..NewEvent::new(Actor::Host(self.name.clone()), kind::HOST_FIRST_SEEN, cause)
        }
    }

    /// What begins and what ends beside what the log knows, unless the host rests. A host whose baseline is taken now has
    /// nothing that ends.
    pub(super) fn event(&self, now: &[Drift]) -> Option<NewEvent> {
        if !self.rest.is_over(self.now) {
            return None;
        }
        let begun: Vec<&Drift> = drift::beyond(now, &self.told).collect();
        let ended: Vec<&Drift> = drift::beyond(&self.told, now).collect();
        match (begun.first(), ended.first()) {
            (Some(first), _) => {
                let more = match ended.len() {
                    0 => String::new(),
                    _ => format!("; no longer: {}", counted(&ended)),
                };
                let cause = match begun.len() {
                    1 => first.kind.words().to_owned(),
                    all => format!("{all} things drift: {}", counted(&begun)),
                };
                let actor = Actor::Host(self.name.clone());
                let event = self.about(actor, kind::HOST_DRIFTED, first, format!("{cause}{more}"));
                Some(event.deciding(&drift::digest(now)))
            }
            (None, Some(first)) => Some(self.ended(Actor::Rules, &ended, self.why_ended(first), now)),
            (None, None) => None,
        }
    }

    /// The event of what no longer drifts, given what still does.
    pub(super) fn ended(&self, actor: Actor, ended: &[&Drift], why: &str, now: &[Drift]) -> NewEvent {
        let cause = match ended {
            [_] => why.to_owned(),
            all => format!("{} things no longer drift ({}): {why}", all.len(), counted(all)),
        };
        let event = self.about(actor, kind::HOST_DRIFT_ENDED, ended[0], cause);
        event.deciding(&drift::digest(now))
    }

    fn why_ended(&self, drift: &Drift) -> &'static str {
        if drift.found == self.facts.live.as_str() && self.facts.live == self.facts.expected_live {
            "a rollout brought the host to what runs"
        } else if self.committed {
            "a rollout put the host right, or it is as expected again"
        } else {
            "the host is as expected again"
        }
    }

    fn about(&self, actor: Actor, kind: &str, drift: &Drift, cause: String) -> NewEvent {
        NewEvent {
            environment: Some(self.environment),
            host: Some(self.id),
            from: Some(drift.expected.clone()),
            to: Some(drift.found.clone()),
            ..NewEvent::new(actor, kind, cause)
        }
    }
}

/// How many there are of each kind.
fn counted(list: &[&Drift]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for drift in list {
        *kinds.entry(drift.kind.as_str()).or_default() += 1;
    }
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    kinds.join(", ")
}
