//! Who may go out next to those that are out. The environment and the group have their bounds, and of a cluster only one
//! member may be out.

use std::collections::BTreeMap;

use super::Round;
use crate::plan::cluster_of;
use crate::snapshot::StepSnapshot;

/// The places that are left in this round.
pub(super) struct Places<'a> {
    /// In the environment.
    free: usize,
    /// In each group that has a bound of its own.
    groups: BTreeMap<u32, usize>,
    /// The member of each cluster that is out.
    clusters: BTreeMap<&'a str, &'a str>,
}

/// What keeps a host from going out.
pub(super) enum Obstacle<'a> {
    /// As many hosts of the environment are out as may be.
    Environment,
    /// As many hosts of its group are out as may be.
    Group,
    /// This member of its cluster is out.
    Member(&'a str),
}

/// A host that is out.
struct OutHost<'a> {
    name: &'a str,
    group: u32,
    cluster: Option<&'a str>,
}

impl<'a> Round<'a> {
    /// The places that those who are out now leave.
    pub(super) fn places(&self) -> Places<'a> {
        let strategy = &self.snapshot.rollout.strategy;
        let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
        for step in &self.snapshot.steps {
            *sizes.entry(step.group).or_default() += 1;
        }
        let bound = |(group, hosts)| Some((group, strategy.max_out_of(group, hosts)?));
        let mut places = Places {
            free: strategy.max_out(self.snapshot.fleet_size),
            groups: sizes.into_iter().filter_map(bound).collect(),
            clusters: BTreeMap::new(),
        };
        for host in self.out_now() {
            places.occupy(&host);
        }
        places
    }

    /// Hosts of the environment that are out now because of rollouts.
    fn out_now(&self) -> impl Iterator<Item = OutHost<'a>> {
        let snapshot = self.snapshot;
        let here = snapshot
            .steps
            .iter()
            .filter(|step| step.is_out())
            .map(OutHost::of);
        let elsewhere = snapshot.out_elsewhere.iter().map(|host| OutHost {
            name: host.name.as_str(),
            group: snapshot.rollout.strategy.group_of(&host.labels),
            cluster: cluster_of(&host.labels),
        });
        here.chain(elsewhere)
    }

    /// The names of those that are out, of one group or of all.
    pub(super) fn names_of_out(&self, group: Option<u32>) -> String {
        let out = self.out_now();
        let names: Vec<&str> = out
            .filter(|host| group.is_none_or(|group| host.group == group))
            .map(|host| host.name)
            .collect();
        names.join(", ")
    }
}

impl<'a> Places<'a> {
    /// What keeps the host from going out, if anything does.
    pub(super) fn obstacle(&self, step: &StepSnapshot) -> Option<Obstacle<'a>> {
        let member = step
            .cluster
            .as_deref()
            .and_then(|cluster| self.clusters.get(cluster));
        if let Some(member) = member {
            Some(Obstacle::Member(member))
        } else if self.groups.get(&step.group) == Some(&0) {
            Some(Obstacle::Group)
        } else {
            (self.free == 0).then_some(Obstacle::Environment)
        }
    }

    /// Takes a place for the host, if there is one.
    pub(super) fn take(&mut self, step: &'a StepSnapshot) -> bool {
        let free = self.obstacle(step).is_none();
        if free {
            self.occupy(&OutHost::of(step));
        }
        free
    }

    fn occupy(&mut self, host: &OutHost<'a>) {
        self.free = self.free.saturating_sub(1);
        if let Some(left) = self.groups.get_mut(&host.group) {
            *left = left.saturating_sub(1);
        }
        if let Some(cluster) = host.cluster {
            self.clusters.insert(cluster, host.name);
        }
    }
}

impl<'a> OutHost<'a> {
    fn of(step: &'a StepSnapshot) -> Self {
        Self {
            name: step.name.as_str(),
            group: step.group,
            cluster: step.cluster.as_deref(),
        }
    }
}
