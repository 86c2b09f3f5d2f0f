use super::*;

fn attempt(n: u8, phase: JournalPhase) -> Attempt {
    let closure = format!("/nix/store/{n:032}-system-{n}").parse().unwrap();
    let now = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
    Attempt {
        phase,
        ..Attempt::new(AttemptId::random(), closure, now, "boot")
    }
}

#[test]
fn a_stuck_attempt_stays_unsettled_beside_the_next() {
    let mut journal = Journal::default();
    let stuck = attempt(1, JournalPhase::Stuck);
    journal.begin(stuck.clone());
    journal.begin(attempt(2, JournalPhase::Staging));
    journal.begin(attempt(3, JournalPhase::Staging));
    assert_eq!(journal.unsettled_id(), Some(stuck.id));
    assert_eq!(journal.entry(stuck.id), JournalEntry::Unsettled(&stuck));
    assert_eq!(journal.past.len(), 1);
}

#[test]
fn the_past_is_bounded_and_known() {
    let mut journal = Journal::default();
    let mut ids = Vec::new();
    for n in 0..50 {
        let next = attempt(n, JournalPhase::Reverted);
        ids.push(next.id);
        journal.begin(next);
    }
    assert_eq!(journal.past.len(), PAST_ATTEMPTS);
    assert_eq!(journal.entry(ids[0]), JournalEntry::Unknown);
    assert!(matches!(journal.entry(ids[40]), JournalEntry::Past(_)));
    assert_eq!(journal.report(Some(ids[40])).unwrap().attempt, ids[40]);
    assert_eq!(journal.report(None).unwrap().attempt, ids[49]);
}

#[test]
fn a_prior_that_somebody_else_named_is_not_vouched_for() {
    let prior: StorePath = format!("/nix/store/{:032}-prior", 9).parse().unwrap();
    let named = Attempt {
        prior: Some(prior.clone()),
        ..attempt(1, JournalPhase::Stuck)
    };
    let own = Attempt {
        own_prior: true,
        ..named.clone()
    };
    for (attempt, known) in [(named, false), (own, true)] {
        let mut journal = Journal::default();
        journal.begin(attempt.clone());
        assert_eq!(journal.vouches_for(&prior), known);
        // What was live then is not vouched for by that.
        assert!(!journal.vouches_for(&attempt.closure));
        journal.archive(attempt);
        journal.current = None;
        assert_eq!(journal.vouches_for(&prior), known);
    }
    let mut journal = Journal::default();
    let committed = attempt(2, JournalPhase::Committed);
    journal.archive(committed.clone());
    assert!(journal.vouches_for(&committed.closure));
}

#[test]
fn kept_releases_are_counted_by_closure() {
    let mut journal = Journal::default();
    for n in [1, 2, 1, 3, 3, 2] {
        journal.begin(attempt(n, JournalPhase::Committed));
    }
    let kept = journal.committed(2);
    assert!(
        kept[0].as_str().ends_with("-2") && kept[1].as_str().ends_with("-3"),
        "{kept:?}"
    );
    assert_eq!(kept.len(), 2);
}
