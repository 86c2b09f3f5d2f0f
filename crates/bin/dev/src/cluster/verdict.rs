//! What the acknowledged writes prove: none lost, never two leaders, how long none was possible.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use super::writer::Ack;

/// The longest time without an acknowledged write that touches `from` to `to`. Writes are noted in their order.
pub(super) fn longest_gap(acks: &[Ack], from: Instant, to: Instant) -> Duration {
    let before = acks.partition_point(|ack| ack.acked < from);
    let since = before.checked_sub(1).map_or(from, |last| acks[last].acked);
    let touching = acks[before..]
        .iter()
        .take_while(|ack| ack.sent <= to)
        .map(|ack| ack.acked);
    let moments: Vec<Instant> = [since].into_iter().chain(touching).chain([to]).collect();
    let gaps = moments
        .windows(2)
        .map(|pair| pair[1].saturating_duration_since(pair[0]));
    gaps.max().unwrap_or_default()
}

/// The acknowledged numbers of a writer that `kept` does not have.
pub(super) fn lost(name: &str, acks: &[Ack], kept: &HashSet<(String, i64)>) -> Vec<i64> {
    let numbers = acks.iter().map(|ack| ack.number);
    numbers
        .filter(|number| !kept.contains(&(name.to_owned(), *number)))
        .collect()
}

/// What shows that two members were leaders at once, from writes that each member acknowledged itself.
///
/// A timeline has one leader. A leader whose successor has acknowledged a write must not acknowledge one that was sent
/// later.
pub(super) fn two_leaders(by_member: &[(&str, &[Ack])]) -> Vec<String> {
    let mut timelines: BTreeMap<&str, BTreeMap<&str, (Instant, Instant)>> = BTreeMap::new();
    for (member, acks) in by_member {
        for ack in *acks {
            let known = timelines.entry(&ack.said).or_default();
            let (first_ack, last_sent) = known.entry(member).or_insert((ack.acked, ack.sent));
            *first_ack = ack.acked.min(*first_ack);
            *last_sent = ack.sent.max(*last_sent);
        }
    }
    let mut proofs = Vec::new();
    for (timeline, members) in &timelines {
        if members.len() > 1 {
            let names: Vec<&str> = members.keys().copied().collect();
            proofs.push(format!(
                "timeline {timeline} was written by {}",
                names.join(" and ")
            ));
        }
    }
    let all: Vec<_> = timelines
        .iter()
        .flat_map(|(timeline, members)| {
            members
                .iter()
                .map(move |(member, times)| (timeline, member, times))
        })
        .collect();
    for (earlier, old, (_, last_sent)) in &all {
        for (later, new, (first_ack, _)) in &all {
            if earlier < later && last_sent > first_ack {
                proofs.push(format!(
                    "{old} acknowledged a write on timeline {earlier} that was sent {:?} after {new} acknowledged \
                     one on timeline {later}",
                    last_sent.duration_since(*first_ack)
                ));
            }
        }
    }
    proofs
}

/// The value that so many per cent of all are not above.
pub(super) fn percentile(values: &[Duration], per_cent: usize) -> Option<Duration> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * per_cent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acks(start: Instant, timeline: &str, times: &[(u64, u64)]) -> Vec<Ack> {
        let at = |millis: u64| start + Duration::from_millis(millis);
        let all = times.iter().zip(1..).map(|((sent, acked), number)| Ack {
            number,
            sent: at(*sent),
            acked: at(*acked),
            said: timeline.to_owned(),
        });
        all.collect()
    }

    #[test]
    fn one_leader_after_another_is_no_proof() {
        let start = Instant::now();
        let old = acks(start, "00000001", &[(0, 10), (20, 30)]);
        // Both have a write under way, and the old one's ends last: its answer was slow.
        let new = acks(start, "00000002", &[(15, 40)]);
        assert_eq!(two_leaders(&[("a", &old), ("b", &new)]), Vec::<String>::new());
        let again = acks(start, "00000003", &[(50, 60)]);
        let old: Vec<Ack> = old.into_iter().chain(again).collect();
        assert_eq!(two_leaders(&[("a", &old), ("b", &new)]), Vec::<String>::new());
    }

    #[test]
    fn a_write_on_the_old_leader_after_one_on_the_new_is_proof() {
        let start = Instant::now();
        let old = acks(start, "00000001", &[(0, 10), (41, 50)]);
        let new = acks(start, "00000002", &[(15, 40)]);
        let proofs = two_leaders(&[("a", &old), ("b", &new)]);
        assert_eq!(proofs.len(), 1, "{proofs:?}");
        assert!(proofs[0].contains("a acknowledged"), "{proofs:?}");
        let same = two_leaders(&[("a", &old), ("b", &old)]);
        assert_eq!(same, ["timeline 00000001 was written by a and b"]);
    }

    #[test]
    fn a_gap_counts_from_the_last_write_before_the_fault_to_the_first_after_it() {
        let start = Instant::now();
        let all = acks(
            start,
            "00000001",
            &[(0, 0), (90, 100), (850, 900), (990, 1000), (5000, 5000)],
        );
        let at = |millis| start + Duration::from_millis(millis);
        let gap = |from, to| longest_gap(&all, at(from), at(to)).as_millis();
        assert_eq!(gap(200, 300), 200, "none until the end");
        assert_eq!(gap(200, 1000), 800);
        assert_eq!(gap(905, 1000), 100);
        assert_eq!(
            longest_gap(&[], at(0), at(100)).as_millis(),
            100,
            "nothing at all"
        );
    }

    #[test]
    fn a_lost_number_is_named() {
        let written = acks(Instant::now(), "", &[(0, 1), (2, 3)]);
        let kept: HashSet<(String, i64)> = [("a".to_owned(), 1), ("b".to_owned(), 2)].into();
        assert_eq!(lost("a", &written, &kept), [2]);
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 50), Some(Duration::from_millis(50)));
        assert_eq!(percentile(&values, 99), Some(Duration::from_millis(99)));
        assert_eq!(percentile(&values[..1], 99), Some(Duration::from_millis(1)));
        assert_eq!(percentile(&[], 50), None);
    }
}
