//! What a strategy says of its groups.

use super::{Canary, Group, Share, Strategy};
use crate::labels::Labels;

impl Strategy {
    /// The number of the group of a host with these labels: the first that names it, or one after all of them.
    #[must_use]
    pub fn group_of(&self, labels: &Labels) -> u32 {
        let named = self.order.iter().position(|group| group.hosts.matches(labels));
        u32::try_from(named.unwrap_or(self.order.len())).unwrap_or(u32::MAX)
    }

    /// The group of this number, if an entry of the order names it.
    #[must_use]
    pub fn group(&self, number: u32) -> Option<&Group> {
        self.order.get(number as usize)
    }

    /// What the group of this number is called.
    #[must_use]
    pub fn group_name(&self, number: u32) -> String {
        match self.group(number) {
            Some(group) => group.hosts.to_string(),
            None if self.order.is_empty() => "all hosts".to_owned(),
            None => "all others".to_owned(),
        }
    }

    /// The hosts of the group that go first.
    #[must_use]
    pub fn canary_of(&self, group: u32) -> &Canary {
        let own = self.group(group).and_then(|group| group.canary.as_ref());
        own.unwrap_or(&self.canary)
    }

    /// Hosts a wave in a group of `hosts`.
    #[must_use]
    pub fn batch_of(&self, group: u32, hosts: usize) -> usize {
        let own = self.group(group).and_then(|group| group.batch);
        own.unwrap_or(self.batch).of(hosts)
    }

    /// How many of a group of `hosts` may be out at once, if the group says so itself.
    #[must_use]
    pub fn max_out_of(&self, group: u32, hosts: usize) -> Option<usize> {
        let own: Option<Share> = self.group(group).and_then(|group| group.max_unavailable);
        own.map(|share| share.of(hosts))
    }
}
