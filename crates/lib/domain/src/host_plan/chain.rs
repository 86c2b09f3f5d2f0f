//! Digests of plans. The entries of a section form a chain from its last one to its first, so that the end can be cut off.

use super::{CutRest, HostPlan, PlanEntry, PlanSection};
use crate::digest::{Digest, Digester};
use crate::{HostName, RolloutId, StorePath};

impl HostPlan {
    /// Its digest, whether lists were cut or not.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut digester = Digester::new("host plan");
        for (name, section) in &self.sections {
            digester
                .field("section", name)
                .field("entries", section.count())
                .field("digest", section.digest_from(0));
        }
        digester.finish()
    }
}

impl PlanSection {
    /// The digest of all entries from this one on.
    pub(super) fn digest_from(&self, first: usize) -> Digest {
        let rest = self.cut.clone().unwrap_or_else(|| CutRest {
            entries: 0,
            digest: Digester::new("plan end").finish(),
        });
        let kept = self.entries.iter().skip(first).rev();
        kept.fold(rest, |rest, entry| before(entry, &rest)).digest
    }
}

/// An entry and what comes after it.
fn before(entry: &PlanEntry, rest: &CutRest) -> CutRest {
    let mut digester = Digester::new("plan entry");
    digester
        .field("name", &entry.name)
        .field("change", entry.change.as_str())
        .field_opt("before", entry.before.as_ref())
        .field_opt("after", entry.after.as_ref())
        .field_opt("why", entry.why.as_ref())
        .field("entries", rest.entries)
        .field("rest", rest.digest);
    CutRest {
        entries: rest.entries.saturating_add(1),
        digest: digester.finish(),
    }
}

/// The digest that an approval of a rollout names. It covers the closures of all hosts, and their plans as far as they are
/// known. In whatever order the hosts come.
#[must_use]
pub fn rollout_digest<'a>(
    rollout: RolloutId,
    hosts: impl IntoIterator<Item = (&'a HostName, &'a StorePath, Option<Digest>)>,
) -> Digest {
    let mut hosts: Vec<_> = hosts.into_iter().collect();
    hosts.sort_by_key(|(name, ..)| *name);
    let mut digester = Digester::new("rollout plan");
    digester.field("rollout", rollout);
    for (name, closure, plan) in hosts {
        digester
            .field("host", name)
            .field("closure", closure)
            .field_opt("plan", plan);
    }
    digester.finish()
}
