//! Drift: a host that is not as Slipway left it, or behind its environment's release.
//!
//! [`find`] compares what an agent sees with what is expected of its host. It is only asked while no attempt is under way
//! on the host: what an attempt changes is no drift.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Digester};
use crate::named::named;
use crate::{StorePath, Timestamp};

/// The most overrides that an agent reports; one more stands for all others.
pub const MAX_OVERRIDES: usize = 20;
/// The most overrides in a report: [`MAX_OVERRIDES`], the one that stands for all others, and two of the boot loader.
pub const MAX_REPORTED: usize = MAX_OVERRIDES + 3;
/// The end of the words about what the boot loader boots at the next boot alone.
pub const ONCE: &str = ", once";
/// The most characters of a path in an override.
pub const MAX_OVERRIDE_CHARS: usize = 300;

/// What somebody changed on a host beside its system: a drop-in, a masked unit, a folder that is no longer the closure's. What
/// the boot loader boots is one too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Override {
    /// What is expected: the closure's file, or that nothing is there.
    pub expected: String,
    /// What is there: a path with a digest of its content, or with what it leads to.
    pub found: String,
    /// Whether it is what the boot loader boots: `expected` is then what the profile names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub boot: bool,
}

impl Override {
    /// Of units.
    #[must_use]
    pub const fn unit(expected: String, found: String) -> Self {
        Self {
            expected,
            found,
            boot: false,
        }
    }

    /// Of the boot loader. An entry for one boot ends with [`ONCE`].
    #[must_use]
    pub const fn boot(expected: String, found: String) -> Self {
        Self {
            expected,
            found,
            boot: true,
        }
    }

    /// What drifts by it.
    #[must_use]
    pub const fn kind(&self) -> DriftKind {
        if self.boot {
            DriftKind::Boot
        } else {
            DriftKind::Unit
        }
    }
}

named! {
    /// What drifts.
    DriftKind, "kind of drift", {
        /// The host runs another system than the one that Slipway left.
        Live = "live",
        /// The profile names another system than the one that Slipway left.
        Profile = "profile",
        /// The boot loader boots another system than the profile names.
        Boot = "boot",
        /// A unit was changed beside the system: a drop-in, a mask, or a folder of units in the closure's place.
        Unit = "unit",
        /// The host runs an earlier system than its environment's release has for it.
        Behind = "behind",
    }
}

impl DriftKind {
    /// What it is, for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Live => "another system runs than the one that Slipway left",
            Self::Profile => "the profile names another system than the one that Slipway left",
            Self::Boot => "the boot loader boots another system than the profile names",
            Self::Unit => "a unit was changed beside the system",
            Self::Behind => "the host does not run its environment's release",
        }
    }
}

/// One thing that drifts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Drift {
    /// What.
    pub kind: DriftKind,
    /// The path that is expected.
    pub expected: String,
    /// The path that was found.
    pub found: String,
    /// When the control plane first saw it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub since: Timestamp,
}

impl Drift {
    /// Of the boot loader: what it boots, and whether only at the next boot.
    #[must_use]
    pub fn booted(&self) -> (&str, bool) {
        match self.found.strip_suffix(ONCE) {
            Some(system) => (system, true),
            None => (&self.found, false),
        }
    }

    fn is(&self, other: &Self) -> bool {
        (self.kind, &self.expected, &self.found) == (other.kind, &other.expected, &other.found)
    }
}

/// What of `list` is not in `others`, whenever it was first seen.
pub fn beyond<'a>(list: &'a [Drift], others: &'a [Drift]) -> impl Iterator<Item = &'a Drift> {
    list.iter()
        .filter(|drift| !others.iter().any(|other| other.is(drift)))
}

/// Of all that drifts on a host, whenever it was first seen. Whoever accepts drift names it, and so accepts nothing that came
/// after the look.
#[must_use]
pub fn digest(list: &[Drift]) -> Digest {
    let mut digester = Digester::new("drift");
    for drift in list {
        digester
            .field("kind", drift.kind)
            .field("expected", &drift.expected)
            .field("found", &drift.found);
    }
    digester.finish()
}

/// The environment's release, as far as it counts for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// It has no closure for the host, or somebody accepted that the host is behind it.
    Nothing,
    /// A rollout is changing the host.
    Changing,
    /// The closure that it has for the host.
    Closure(StorePath),
}

/// What is known of a host that no attempt is under way on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftFacts {
    /// What runs.
    pub live: StorePath,
    /// What the profile names.
    pub boot_default: Option<StorePath>,
    /// What its agent found beside the system; none from agents that do not look.
    pub overrides: Vec<Override>,
    /// What Slipway left running, or somebody accepted.
    pub expected_live: StorePath,
    /// What the profile should name, where that is known.
    pub expected_boot_default: Option<StorePath>,
    /// Overrides that somebody accepted.
    pub accepted: BTreeSet<Override>,
    /// The environment's release.
    pub wanted: Wanted,
}

/// What drifts. What was there `before` keeps its time.
#[must_use]
pub fn find(facts: &DriftFacts, before: &[Drift], now: Timestamp) -> Vec<Drift> {
    let mut found = Vec::new();
    let mut note = |kind, expected: &str, seen: &str| {
        let drift = Drift {
            kind,
            expected: expected.to_owned(),
            found: seen.to_owned(),
            since: now,
        };
        let known = before.iter().find(|known| known.is(&drift));
        found.push(known.cloned().unwrap_or(drift));
    };
    let live = facts.live.as_str();
    if facts.live != facts.expected_live {
        note(DriftKind::Live, facts.expected_live.as_str(), live);
    }
    if let (Some(expected), Some(seen)) = (&facts.expected_boot_default, &facts.boot_default)
        && expected != seen
    {
        note(DriftKind::Profile, expected.as_str(), seen.as_str());
    }
    for seen in facts
        .overrides
        .iter()
        .filter(|seen| !facts.accepted.contains(seen))
    {
        note(seen.kind(), &seen.expected, &seen.found);
    }
    match &facts.wanted {
        // A host that was on the release and was changed by hand is not behind: its live system drifts.
        Wanted::Closure(wanted) if facts.live != *wanted && facts.expected_live != *wanted => {
            note(DriftKind::Behind, wanted.as_str(), live);
        }
        Wanted::Changing => {
            let behind = before.iter().find(|known| known.kind == DriftKind::Behind);
            if let Some(known) = behind.filter(|known| known.expected != live) {
                note(DriftKind::Behind, &known.expected, live);
            }
        }
        Wanted::Nothing | Wanted::Closure(_) => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(number: u8) -> StorePath {
        format!("/nix/store/{}-system-{number}", "0".repeat(32))
            .parse()
            .unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    fn overrides() -> impl Strategy<Value = Vec<Override>> {
        let one = (0_u8..3, any::<bool>()).prop_map(|(n, boot)| Override {
            expected: "nothing".to_owned(),
            found: format!("/run/systemd/system.control/a.service.d/{n}.conf"),
            boot,
        });
        prop::collection::btree_set(one, 0..3).prop_map(|set| set.into_iter().collect())
    }

    fn facts() -> impl Strategy<Value = DriftFacts> {
        let wanted = prop_oneof![
            Just(Wanted::Nothing),
            Just(Wanted::Changing),
            (0_u8..3).prop_map(|n| Wanted::Closure(path(n))),
        ];
        let paths = (
            0_u8..3,
            prop::option::of(0_u8..3),
            0_u8..3,
            prop::option::of(0_u8..3),
        );
        (paths, overrides(), overrides(), wanted).prop_map(
            |((live, boot, expected, expected_boot), overrides, accepted, wanted)| DriftFacts {
                live: path(live),
                boot_default: boot.map(path),
                overrides,
                expected_live: path(expected),
                expected_boot_default: expected_boot.map(path),
                accepted: accepted.into_iter().collect(),
                wanted,
            },
        )
    }

    /// The host as somebody accepts it.
    fn accepted(facts: &DriftFacts) -> DriftFacts {
        DriftFacts {
            expected_live: facts.live.clone(),
            expected_boot_default: facts.boot_default.clone(),
            accepted: facts.overrides.iter().cloned().collect(),
            wanted: Wanted::Nothing,
            ..facts.clone()
        }
    }

    proptest! {
        #[test]
        fn two_paths_that_differ_are_told_and_no_others(facts in facts()) {
            let found = find(&facts, &[], at(1));
            for drift in &found {
                prop_assert_ne!(&drift.expected, &drift.found);
                prop_assert_eq!(drift.since, at(1));
            }
            let has = |kind| found.iter().any(|drift| drift.kind == kind);
            prop_assert_eq!(has(DriftKind::Live), facts.live != facts.expected_live);
            let as_left = facts.live == facts.expected_live;
            if let Wanted::Closure(wanted) = &facts.wanted
                && facts.live != *wanted
            {
                prop_assert!(has(DriftKind::Live) || has(DriftKind::Behind), "a host off its release is silent");
                prop_assert_eq!(has(DriftKind::Behind), as_left || facts.expected_live != *wanted);
            }
        }

        #[test]
        fn it_stays_with_its_time_until_the_host_is_as_expected(facts in facts()) {
            let first = find(&facts, &[], at(1));
            prop_assert_eq!(&find(&facts, &first, at(2)), &first);
            prop_assert_eq!(beyond(&first, &first).count(), 0);
        }

        #[test]
        fn what_is_accepted_is_no_drift_until_something_changes(facts in facts(), later in facts()) {
            let accepted = accepted(&facts);
            prop_assert_eq!(find(&accepted, &find(&facts, &[], at(1)), at(2)), []);
            let changed = DriftFacts { live: later.live.clone(), ..accepted };
            prop_assert_eq!(find(&changed, &[], at(3)).is_empty(), later.live == facts.live);
        }

        #[test]
        fn a_host_that_is_behind_is_so_while_a_rollout_changes_it(facts in facts()) {
            let before = find(&facts, &[], at(1));
            let changing = DriftFacts { wanted: Wanted::Changing, ..facts };
            prop_assert_eq!(find(&changing, &before, at(2)), before);
        }

        #[test]
        fn a_digest_says_what_drifts_and_not_since_when(one in facts(), other in facts()) {
            let (a, b) = (find(&one, &[], at(1)), find(&other, &[], at(1)));
            prop_assert_eq!(digest(&a) == digest(&b), a == b);
            prop_assert_eq!(digest(&find(&one, &[], at(9))), digest(&a));
        }
    }
}
