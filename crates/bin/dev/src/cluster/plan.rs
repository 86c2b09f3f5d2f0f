//! Which faults there are, and in which order a run has them.

use super::member::Part;
use super::network::Cut;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// SIGKILL to a program; it starts again as systemd does it.
    Kill(Part),
    /// SIGSTOP to all of a program's processes, and SIGCONT at the end.
    Freeze(Part),
    /// A member's network is cut.
    Cut(Cut),
    /// The disk of a member's database is full.
    FillDisk,
    /// A member's power is cut, and comes back.
    Reboot,
    /// A member's power is cut; while it starts again, that of the leader is.
    RebootTwo,
    /// The leader is asked to hand over.
    SwitchOver,
}

/// Where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The leader of Postgres; for Redis and its Sentinel the primary.
    Leader,
    /// The synchronous standby; for Redis a replica.
    Standby,
    /// The other one.
    Replica,
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) place: Place,
}

impl FaultKind {
    fn all() -> Vec<Self> {
        let mut all: Vec<Self> = Part::ALL.map(Self::Kill).into();
        all.extend(Part::ALL.map(Self::Freeze));
        all.extend([Cut::Off, Cut::Split, Cut::Etcd].map(Self::Cut));
        all.extend([Self::FillDisk, Self::Reboot, Self::RebootTwo, Self::SwitchOver]);
        all
    }

    /// As the table says it.
    pub(super) fn words(self) -> String {
        match self {
            Self::Kill(part) => format!("kill -9 {}", part.word()),
            Self::Freeze(part) => format!("freeze {}", part.word()),
            Self::Cut(Cut::Off) => "cut off from everybody".to_owned(),
            Self::Cut(Cut::Split) => "cut off from the other members".to_owned(),
            Self::Cut(Cut::Etcd) => "etcd cut off".to_owned(),
            Self::FillDisk => "disk full".to_owned(),
            Self::Reboot => "power cut".to_owned(),
            Self::RebootTwo => "two power cuts in turn".to_owned(),
            Self::SwitchOver => "switchover".to_owned(),
        }
    }

    /// Whether places are those of Redis.
    pub(super) const fn is_of_redis(self) -> bool {
        matches!(
            self,
            Self::Kill(Part::Redis | Part::Sentinel) | Self::Freeze(Part::Redis | Part::Sentinel)
        )
    }

    /// Whether programs on the member are gone or out of reach with it, so that its own clients count for nothing.
    pub(super) const fn takes_clients(self) -> bool {
        matches!(
            self,
            Self::Cut(Cut::Off | Cut::Split) | Self::Reboot | Self::RebootTwo
        )
    }
}

impl Place {
    const ALL: [Self; 3] = [Self::Leader, Self::Standby, Self::Replica];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Standby => "standby",
            Self::Replica => "replica",
        }
    }
}

/// Each kind at each place, in an order that the seed gives, as often as it takes to have `count`.
pub(super) fn faults(seed: u64, count: usize) -> Vec<Fault> {
    let mut random = Random(seed);
    let mut list = Vec::new();
    while list.len() < count {
        let mut round: Vec<Fault> = FaultKind::all()
            .into_iter()
            .flat_map(|kind| Place::ALL.map(|place| Fault { kind, place }))
            // Only the leader hands over.
            .filter(|fault| fault.kind != FaultKind::SwitchOver || fault.place == Place::Leader)
            .collect();
        for last in (1..round.len()).rev() {
            round.swap(last, random.below(last + 1));
        }
        list.extend(round);
    }
    list.truncate(count);
    list
}

/// A few of the hardest, for a test that must be short.
pub(super) fn short() -> Vec<Fault> {
    let leader = |kind| Fault {
        kind,
        place: Place::Leader,
    };
    vec![
        leader(FaultKind::Reboot),
        // Patroni before 3.0.3 had two leaders after it.
        leader(FaultKind::Cut(Cut::Split)),
        leader(FaultKind::Kill(Part::Redis)),
        leader(FaultKind::FillDisk),
    ]
}

/// `SplitMix64`: the same seed gives the same list on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from((mixed ^ (mixed >> 31)) % bound).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_faults_have_each_kind_at_each_place() {
        let list = faults(1, 110);
        assert_eq!(list.len(), 110);
        for kind in FaultKind::all() {
            let places = if kind == FaultKind::SwitchOver {
                &Place::ALL[..1]
            } else {
                &Place::ALL[..]
            };
            for place in places {
                let fault = Fault { kind, place: *place };
                assert!(list.contains(&fault), "{fault:?}");
            }
        }
    }

    #[test]
    fn the_seed_alone_decides_the_order() {
        assert_eq!(faults(7, 60), faults(7, 60));
        assert_ne!(faults(7, 60), faults(8, 60));
    }
}
