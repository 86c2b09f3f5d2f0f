//! Which host goes in which wave.

use std::collections::{BTreeMap, BTreeSet};

use crate::HostName;
use crate::labels::{CLUSTER_LABEL, Labels};
use crate::strategy::{Canary, Strategy};

/// The hosts of an environment.
pub type Fleet = BTreeMap<HostName, FleetHost>;

/// A host of the environment, as far as a plan looks at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetHost {
    /// Its labels.
    pub labels: Labels,
    /// Whether it was heard of lately.
    pub online: bool,
    /// Whether the release has a closure for it.
    pub takes_part: bool,
}

impl FleetHost {
    /// The cluster that it is a member of.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        cluster_of(&self.labels)
    }
}

/// The cluster that a host with these labels is a member of.
#[must_use]
pub fn cluster_of(labels: &Labels) -> Option<&str> {
    labels.get(CLUSTER_LABEL).map(String::as_str)
}

/// Hosts that begin together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// The number of their group: [`Strategy::group_of`].
    pub group: u32,
    /// Whether they are the canary of their group.
    pub canary: bool,
    /// The hosts, by name.
    pub hosts: Vec<HostName>,
}

/// The waves of a rollout over the hosts that take part, group by group: the canary of each group, then batches by name.
/// A wave's place is its number. Number 0 is the canary of the first group, and is empty when that has none.
///
/// If the strategy gives a number of canaries, online hosts come first: an offline one can prove nothing. No wave has two
/// members of a cluster, except canaries that are named: [`Strategy::check`] refuses those.
///
/// Every host that takes part is in exactly one wave. Names of canaries that are no hosts of the group are ignored.
#[must_use]
pub fn waves(strategy: &Strategy, fleet: &Fleet) -> Vec<Wave> {
    let mut groups: BTreeMap<u32, Vec<Candidate<'_>>> = BTreeMap::new();
    for (name, host) in fleet.iter().filter(|(_, host)| host.takes_part) {
        let group = groups.entry(strategy.group_of(&host.labels)).or_default();
        group.push(Candidate { name, host });
    }
    let mut waves = Vec::new();
    for (group, hosts) in groups {
        let canary = choose_canary(strategy.canary_of(group), &hosts);
        let batch = strategy.batch_of(group, hosts.len());
        let mut rest = hosts;
        rest.retain(|host| !canary.contains(host.name));
        if waves.is_empty() || !canary.is_empty() {
            waves.push(Wave {
                group,
                canary: true,
                hosts: canary.into_iter().cloned().collect(),
            });
        }
        while !rest.is_empty() {
            waves.push(Wave {
                group,
                canary: false,
                hosts: take_apart(&mut rest, batch).into_iter().cloned().collect(),
            });
        }
    }
    waves
}

#[derive(Clone, Copy)]
struct Candidate<'a> {
    name: &'a HostName,
    host: &'a FleetHost,
}

fn choose_canary<'a>(canary: &Canary, hosts: &[Candidate<'a>]) -> BTreeSet<&'a HostName> {
    match canary {
        Canary::Number(n) => {
            let (mut online, offline): (Vec<_>, Vec<_>) = hosts.iter().partition(|host| host.host.online);
            online.extend(offline);
            take_apart(&mut online, *n as usize).into_iter().collect()
        }
        Canary::Hosts(names) => {
            let canary = hosts.iter().filter(|host| names.contains(host.name));
            canary.map(|host| host.name).collect()
        }
    }
}

/// Takes at most so many hosts from the beginning, and of each cluster at most one.
fn take_apart<'a>(hosts: &mut Vec<Candidate<'a>>, most: usize) -> Vec<&'a HostName> {
    let mut taken = Vec::new();
    let mut clusters = BTreeSet::new();
    hosts.retain(|candidate| {
        let fits = taken.len() < most && candidate.host.cluster().is_none_or(|of| clusters.insert(of));
        if fits {
            taken.push(candidate.name);
        }
        !fits
    });
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::Share;

    /// Hosts by name with their labels; `a` is offline.
    fn fleet(hosts: &[(&str, &str)]) -> Fleet {
        let host = |(name, labels): &(&str, &str)| {
            let pairs = labels
                .split_whitespace()
                .filter_map(|label| label.split_once('='));
            let host = FleetHost {
                labels: pairs
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                online: *name != "a",
                takes_part: true,
            };
            (name.parse().unwrap(), host)
        };
        hosts.iter().map(host).collect()
    }

    fn shape(strategy: &Strategy, fleet: &Fleet) -> String {
        let wave = |wave: Wave| {
            let hosts: Vec<&str> = wave.hosts.iter().map(HostName::as_str).collect();
            let canary = if wave.canary { "!" } else { "" };
            format!("{}{canary}{}", wave.group, hosts.concat())
        };
        let waves: Vec<String> = waves(strategy, fleet).into_iter().map(wave).collect();
        waves.join("|")
    }

    #[test]
    fn a_canary_and_batches() {
        let plain = fleet(&["a", "b", "c", "d", "e", "f"].map(|name| (name, "")));
        let by = |canary, batch| {
            let strategy = Strategy {
                canary,
                batch,
                ..Strategy::default()
            };
            shape(&strategy, &plain)
        };
        assert_eq!(by(Canary::Number(1), Share::Number(2)), "0!b|0ac|0de|0f");
        assert_eq!(by(Canary::Number(0), Share::Number(4)), "0!|0abcd|0ef");
        assert_eq!(
            by(Canary::Hosts(vec!["d".parse().unwrap()]), Share::Percent(50)),
            "0!d|0abc|0ef"
        );
        assert_eq!(by(Canary::Number(6), Share::Number(1)), "0!abcdef");
        assert_eq!(
            by(Canary::Hosts(vec!["a".parse().unwrap()]), Share::Number(5)),
            "0!a|0bcdef",
            "a name is a name"
        );
    }

    #[test]
    fn groups_go_in_their_order_each_with_its_canary() {
        let roles = fleet(&[
            ("a", "role=app"),
            ("b", "role=app zone=b"),
            ("c", "role=app"),
            ("d", "role=db"),
            ("e", "role=db"),
            ("f", ""),
        ]);
        let by = |json: &str| shape(&serde_json::from_str(json).unwrap(), &roles);
        assert_eq!(
            by(r#"{"order":["role=db","role=app"],"batch":2}"#),
            "0!d|0e|1!b|1ac|2!f",
            "what no entry names comes last"
        );
        assert_eq!(
            by(r#"{"order":["zone=b","role=app",{"hosts":"role=db","canary":0,"batch":2}]}"#),
            "0!b|1!c|1a|2de|3!f",
            "a host of two groups is of the first; a group has what it says itself"
        );
        assert_eq!(
            by(r#"{"order":["role=db","role=app"],"canary":["c"],"batch":3}"#),
            "0!|0de|1!c|1ab|2f",
            "a canary of a later group goes first in its group"
        );
    }

    #[test]
    fn no_wave_has_two_members_of_a_cluster() {
        let members = fleet(&[
            ("a", "slipway.cluster=main"),
            ("b", "slipway.cluster=main"),
            ("c", ""),
            ("d", "slipway.cluster=main"),
            ("e", "slipway.cluster=other"),
            ("f", ""),
        ]);
        let by = |json: &str| shape(&serde_json::from_str(json).unwrap(), &members);
        assert_eq!(by(r#"{"canary":0,"batch":6}"#), "0!|0acef|0b|0d");
        assert_eq!(by(r#"{"canary":3,"batch":1}"#), "0!bce|0a|0d|0f");
    }

    #[test]
    fn only_hosts_that_take_part_have_a_wave() {
        let mut roles = fleet(&[("b", "role=db"), ("c", "role=app")]);
        let b: HostName = "b".parse().unwrap();
        roles.get_mut(&b).unwrap().takes_part = false;
        let strategy = serde_json::from_str(r#"{"order":["role=db","role=app"]}"#).unwrap();
        assert_eq!(shape(&strategy, &roles), "1!c");
    }
}
