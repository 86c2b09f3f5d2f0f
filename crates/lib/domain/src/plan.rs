//! Which host goes in which wave.

use std::collections::BTreeSet;

use crate::HostName;
use crate::strategy::{Canary, Strategy};

/// The waves of a rollout over these hosts: number 0 is the canary (empty when there is none), then batches by name.
///
/// If the strategy gives a number of canaries, online hosts come first: an offline one can prove nothing.
///
/// Every host is in exactly one wave. Names that are no hosts of the fleet are ignored:
/// [`Strategy::check`] has refused them before.
#[must_use]
pub fn waves(
    strategy: &Strategy,
    fleet: &BTreeSet<HostName>,
    online: &BTreeSet<HostName>,
) -> Vec<Vec<HostName>> {
    let canary: Vec<HostName> = match &strategy.canary {
        Canary::Number(n) => {
            let (first, last): (Vec<_>, Vec<_>) = fleet.iter().partition(|name| online.contains(*name));
            first.into_iter().chain(last).take(*n as usize).cloned().collect()
        }
        Canary::Hosts(names) => fleet
            .iter()
            .filter(|name| names.contains(name))
            .cloned()
            .collect(),
    };
    let rest: Vec<HostName> = fleet
        .iter()
        .filter(|name| !canary.contains(name))
        .cloned()
        .collect();
    let mut waves = vec![canary];
    waves.extend(
        rest.chunks(strategy.batch.of(fleet.len()))
            .map(<[HostName]>::to_vec),
    );
    waves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::Share;

    fn fleet() -> BTreeSet<HostName> {
        ["a", "b", "c", "d", "e", "f"].map(|n| n.parse().unwrap()).into()
    }

    fn shape(strategy: &Strategy) -> String {
        let offline = "a".parse().unwrap();
        let online = fleet().into_iter().filter(|name| *name != offline).collect();
        let waves = waves(strategy, &fleet(), &online);
        let text: Vec<String> = waves
            .iter()
            .map(|wave| wave.iter().map(HostName::as_str).collect::<String>())
            .collect();
        text.join("|")
    }

    #[test]
    fn a_canary_and_batches() {
        let by = |canary, batch| {
            shape(&Strategy {
                canary,
                batch,
                ..Strategy::default()
            })
        };
        assert_eq!(by(Canary::Number(1), Share::Number(2)), "b|ac|de|f");
        assert_eq!(by(Canary::Number(0), Share::Number(4)), "|abcd|ef");
        assert_eq!(
            by(Canary::Hosts(vec!["d".parse().unwrap()]), Share::Percent(50)),
            "d|abc|ef"
        );
        assert_eq!(by(Canary::Number(6), Share::Number(1)), "bcdefa");
        assert_eq!(
            by(Canary::Hosts(vec!["a".parse().unwrap()]), Share::Number(5)),
            "a|bcdef",
            "a name is a name"
        );
    }
}
