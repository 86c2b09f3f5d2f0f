//! The check of what a strategy says of groups, and of clusters.

use std::collections::{BTreeMap, BTreeSet};

use super::{StrategyProblems, join, takes_part};
use crate::HostName;
use crate::labels::in_words;
use crate::plan::{Fleet, FleetHost};
use crate::strategy::{Canary, Group, Strategy};

/// Entries of an order.
pub const MAX_GROUPS: usize = 32;
/// More hosts than this are not shown as examples.
const SHOWN: usize = 12;

impl Strategy {
    /// What can be said of the groups without a fleet.
    pub(super) fn check_order(&self, found: &mut StrategyProblems) {
        if self.order.len() > MAX_GROUPS {
            let detail = format!("there are {} groups; use at most {MAX_GROUPS}", self.order.len());
            found.add("order", detail);
        }
        for (place, group) in self.order.iter().enumerate() {
            let field = format!("order[{place}]");
            if self.order[..place]
                .iter()
                .any(|before| before.hosts == group.hosts)
            {
                let detail = format!("the group {} is there twice; name it once", group.hosts);
                found.add(&field, detail);
            }
            for (name, share) in [("batch", group.batch), ("max_unavailable", group.max_unavailable)] {
                if let Some(share) = share {
                    found.check_share(format!("{field}.{name}"), share);
                }
            }
            if let Some(Canary::Hosts(names)) = &group.canary {
                found.check_unique(format!("{field}.canary"), names);
            }
        }
    }

    /// A group without a host in the environment is a typing error: its hosts would go last, among all others.
    pub(super) fn check_groups(&self, fleet: &Fleet, found: &mut StrategyProblems) {
        for (number, group) in (0..).zip(&self.order) {
            let field = format!("order[{number}]");
            let hosts = self.hosts_of(number, fleet);
            if hosts.is_empty() {
                found.add(field, self.why_empty(group, number, fleet));
                continue;
            }
            match &group.canary {
                Some(Canary::Number(n)) if *n as usize > hosts.len() => {
                    let most = hosts.len();
                    let detail = format!(
                        "{n} is more than the {most} hosts of the group {}; use 0 to {most}",
                        group.hosts
                    );
                    found.add(format!("{field}.canary"), detail);
                }
                Some(Canary::Hosts(names)) => {
                    let others: Vec<&HostName> = names.iter().filter(|name| !hosts.contains(name)).collect();
                    if !others.is_empty() {
                        let detail = format!(
                            "not hosts of the group {}: {}; its hosts are {}",
                            group.hosts,
                            join(&others),
                            join(&hosts)
                        );
                        found.add(format!("{field}.canary"), detail);
                    }
                    // Its other hosts would go without a canary.
                    let left_alone = |name: &&HostName| hosts.contains(name) && !takes_part(name, fleet);
                    let left_alone: Vec<&HostName> = names.iter().filter(left_alone).collect();
                    let example = hosts.iter().find(|name| takes_part(name, fleet));
                    if let Some(example) = example.filter(|_| !left_alone.is_empty()) {
                        let detail = format!(
                            "the release has no closure for {}; name hosts that it has one for, such as {example}",
                            join(&left_alone)
                        );
                        found.add(format!("{field}.canary"), detail);
                    }
                }
                _ => {}
            }
        }
    }

    /// The hosts of the group of this number.
    fn hosts_of<'a>(&self, number: u32, fleet: &'a Fleet) -> Vec<&'a HostName> {
        let hosts = fleet
            .iter()
            .filter(|(_, host)| self.group_of(&host.labels) == number);
        hosts.map(|(name, _)| name).collect()
    }

    fn why_empty(&self, group: &Group, number: u32, fleet: &Fleet) -> String {
        let selector = &group.hosts;
        if let Some((name, host)) = fleet.iter().find(|(_, host)| selector.matches(&host.labels)) {
            let taken = self.group_name(self.group_of(&host.labels));
            return format!(
                "every host with {selector} is in a group before it, such as {name} in {taken}; put it before that one"
            );
        }
        let labels: BTreeSet<String> = fleet.values().map(|host| in_words(&host.labels)).collect();
        let labels: Vec<&str> = labels
            .iter()
            .map(String::as_str)
            .filter(|text| !text.is_empty())
            .collect();
        let there = match labels.len() {
            0 => "no host has a label; give them some".to_owned(),
            n if n > SHOWN => format!("the hosts' labels are {}, and others", labels[..SHOWN].join("; ")),
            _ => format!("the hosts' labels are {}", labels.join("; ")),
        };
        let name = fleet.keys().next().map_or("HOST", HostName::as_str);
        format!(
            "no host of the environment has {selector}, the group of entry {}; {there} (slipway host label {name} {})",
            number + 1,
            selector.to_string().replace(',', " ")
        )
    }

    /// Rollouts never have two members of a cluster out. A strategy that asks for it is refused.
    pub(super) fn check_clusters(&self, fleet: &Fleet, found: &mut StrategyProblems) {
        let all: Vec<&HostName> = fleet.keys().collect();
        Members::of(&all, fleet).check_bound("max_unavailable", self.max_out(all.len()), found);
        check_canary(&self.canary, "canary", fleet, found);
        for (number, group) in (0..).zip(&self.order) {
            let hosts = self.hosts_of(number, fleet);
            if let Some(most) = self.max_out_of(number, hosts.len()) {
                let field = format!("order[{number}].max_unavailable");
                Members::of(&hosts, fleet).check_bound(&field, most, found);
            }
            if let Some(canary) = &group.canary {
                check_canary(canary, &format!("order[{number}].canary"), fleet, found);
            }
        }
    }
}

/// Canaries that are named go first together.
fn check_canary(canary: &Canary, field: &str, fleet: &Fleet, found: &mut StrategyProblems) {
    let Canary::Hosts(names) = canary else {
        return;
    };
    let names: Vec<&HostName> = names.iter().collect::<BTreeSet<_>>().into_iter().collect();
    let members = Members::of(&names, fleet);
    if !members.clusters.is_empty() {
        let detail = format!("{}; name one of them", members.in_words());
        found.add(field, detail);
    }
}

/// Of some hosts those that may not be out together.
struct Members<'a> {
    /// Clusters with two or more of the hosts.
    clusters: BTreeMap<&'a str, Vec<&'a HostName>>,
    /// How many of the hosts can be out at once.
    most: usize,
}

impl<'a> Members<'a> {
    fn of(hosts: &[&'a HostName], fleet: &'a Fleet) -> Self {
        let mut clusters: BTreeMap<&str, Vec<&HostName>> = BTreeMap::new();
        for name in hosts {
            if let Some(cluster) = fleet.get(*name).and_then(FleetHost::cluster) {
                clusters.entry(cluster).or_default().push(name);
            }
        }
        clusters.retain(|_, members| members.len() > 1);
        let kept_apart: usize = clusters.values().map(|members| members.len() - 1).sum();
        Self {
            clusters,
            most: hosts.len() - kept_apart,
        }
    }

    fn check_bound(&self, field: &str, bound: usize, found: &mut StrategyProblems) {
        // More than there are hosts is no more than all of them: what counts is that all may be out.
        if bound > self.most && !self.clusters.is_empty() {
            let detail = format!(
                "{bound} would take two members of a cluster at once: {}; use at most {}",
                self.in_words(),
                self.most
            );
            found.add(field, detail);
        }
    }

    fn in_words(&self) -> String {
        let clusters = self.clusters.iter();
        let clusters: Vec<String> = clusters
            .map(|(cluster, members)| {
                format!(
                    "{} are members of the cluster `{cluster}`, of which only one may be out",
                    join(members)
                )
            })
            .collect();
        clusters.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::strict::Written;

    fn host(labels: &str) -> FleetHost {
        let pairs = labels
            .split_whitespace()
            .filter_map(|label| label.split_once('='));
        FleetHost {
            labels: pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            online: true,
            takes_part: true,
        }
    }

    fn fleet() -> Fleet {
        let hosts = [
            ("app-1", "role=app zone=a"),
            ("app-2", "role=app zone=b"),
            ("app-3", "role=app zone=b"),
            ("db-1", "role=db slipway.cluster=main"),
            ("db-2", "role=db slipway.cluster=main"),
            ("db-3", "role=db slipway.cluster=main"),
        ];
        hosts
            .iter()
            .map(|(name, labels)| (name.parse().unwrap(), host(labels)))
            .collect()
    }

    fn check(json: &str) -> Result<(), StrategyProblems> {
        let Written(strategy) = serde_json::from_str(json).unwrap();
        strategy.check(&fleet())
    }

    #[test]
    fn groups_that_fit_the_fleet_are_good() {
        for json in [
            r#"{"order":["role=db","role=app"]}"#,
            r#"{"order":[{"hosts":"role=db","max_unavailable":1},{"hosts":"role=app","max_unavailable":"100%"}]}"#,
            r#"{"order":["zone=b","role=app"],"canary":["db-1"]}"#,
            r#"{"order":[{"hosts":"role=app","canary":["app-2","app-3"],"batch":2}],"max_unavailable":4}"#,
        ] {
            assert_eq!(check(json), Ok(()), "{json}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_group_is_told_with_its_field_and_cure() {
        for (json, field, said) in [
            (
                r#"{"order":["role=web"]}"#,
                "order[0]",
                "no host of the environment has role=web",
            ),
            (
                r#"{"order":["role=web"]}"#,
                "order[0]",
                "the hosts' labels are role=app zone=a; ",
            ),
            (
                r#"{"order":["role=app","zone=b"]}"#,
                "order[1]",
                "such as app-2 in role=app; put it before",
            ),
            (r#"{"order":["role=db","role=db"]}"#, "order[1]", "there twice"),
            (
                r#"{"order":[{"hosts":"role=db","batch":0}]}"#,
                "order[0].batch",
                "use 1 or more",
            ),
            (
                r#"{"order":[{"hosts":"role=db","max_unavailable":"101%"}]}"#,
                "order[0].max_unavailable",
                "use 1% to 100%",
            ),
            (
                r#"{"order":[{"hosts":"role=db","canary":4}]}"#,
                "order[0].canary",
                "use 0 to 3",
            ),
            (
                r#"{"order":[{"hosts":"role=db","canary":["app-1"]}]}"#,
                "order[0].canary",
                "not hosts of the group role=db: app-1; its hosts are db-1, db-2, db-3",
            ),
        ] {
            let found = check(json).unwrap_err().to_string();
            assert!(
                found.contains(&format!("{field}: ")) && found.contains(said),
                "{json}: {found}"
            );
        }
        let many: Vec<String> = (0..33).map(|n| format!(r#""zone=b,rack={n}""#)).collect();
        let many = check(&format!(r#"{{"order":[{}]}}"#, many.join(","))).unwrap_err();
        assert!(many.to_string().contains("use at most 32"), "{many}");
    }

    #[test]
    fn a_canary_that_the_release_leaves_alone_is_refused_unless_its_group_is_left_alone() {
        let Written(strategy) =
            serde_json::from_str(r#"{"order":[{"hosts":"role=app","canary":["app-1"]}]}"#).unwrap();
        let mut fleet = fleet();
        let leave = |fleet: &mut Fleet, name: &str| {
            let name: HostName = name.parse().unwrap();
            fleet.get_mut(&name).unwrap().takes_part = false;
        };
        leave(&mut fleet, "app-1");
        let found = strategy.check(&fleet).unwrap_err().to_string();
        let said = "order[0].canary: the release has no closure for app-1; name hosts that it has one for, such as app-2";
        assert!(found.contains(said), "{found}");
        leave(&mut fleet, "app-2");
        leave(&mut fleet, "app-3");
        assert_eq!(strategy.check(&fleet), Ok(()));
    }

    #[test]
    fn a_strategy_that_would_take_two_members_of_a_cluster_is_refused_with_their_names() {
        for (json, field, cure) in [
            (
                r#"{"order":[{"hosts":"role=db","max_unavailable":2}]}"#,
                "order[0].max_unavailable",
                "use at most 1",
            ),
            (
                r#"{"max_unavailable":"100%"}"#,
                "max_unavailable",
                "use at most 4",
            ),
            (
                r#"{"canary":["db-2","app-1","db-1"]}"#,
                "canary",
                "name one of them",
            ),
            (
                r#"{"order":[{"hosts":"role=db","canary":["db-1","db-2"]}]}"#,
                "order[0].canary",
                "name one of them",
            ),
        ] {
            let found = check(json).unwrap_err();
            let problem = found.0.iter().find(|problem| problem.field == field).unwrap();
            assert!(
                problem.detail.contains("db-1, db-2")
                    && problem.detail.contains("the cluster `main`")
                    && problem.detail.ends_with(cure),
                "{json}: {found}"
            );
        }
    }

    #[test]
    fn what_is_no_group_is_refused_with_the_cure() {
        for (json, said) in [
            (r#"{"order":["db"]}"#, "`db` is no label: write NAME=VALUE"),
            (r#"{"order":[3]}"#, "labels such as \"role=db\""),
            (r#"{"order":"role=db"}"#, "expected a sequence"),
            (r#"{"order":[{"max_unavailable":1}]}"#, "missing field `hosts`"),
            (
                r#"{"order":[{"hosts":"role=db","max_out":1}]}"#,
                "unknown field `max_out`",
            ),
            (
                r#"{"order":[{"hosts":"role=db","batch":"half"}]}"#,
                "a percentage such as",
            ),
        ] {
            let error = serde_json::from_str::<Written>(json).unwrap_err().to_string();
            assert!(error.contains(said), "{json}: {error}");
        }
        let newer = r#"{"order":[{"hosts":"role=db","of_a_later_release":1}]}"#;
        assert!(serde_json::from_str::<Strategy>(newer).is_ok());
    }

    #[test]
    fn a_group_is_written_as_it_was_read() {
        let text = r#"["role=db",{"hosts":"role=app,zone=a","canary":0,"batch":2,"max_unavailable":"50%"}]"#;
        let groups: Vec<Group> = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&groups).unwrap(), text);
        let plain = serde_json::to_value(Strategy::default()).unwrap();
        assert_eq!(
            plain.get("order"),
            None,
            "a strategy without groups is what it was"
        );
    }
}
