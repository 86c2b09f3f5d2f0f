use super::*;
use crate::RolloutId;

fn entry(name: &str, change: PlannedChange) -> PlanEntry {
    PlanEntry {
        why: Some("ExecStart".to_owned()),
        ..PlanEntry::new(name, change)
    }
}

fn plan(units: usize) -> HostPlan {
    let mut plan = HostPlan::default();
    let units = (0..units).map(|n| entry(&format!("unit-{n:05}.service"), PlannedChange::Restart));
    plan.put(section::UNITS, units);
    plan.put(section::USERS, [PlanEntry::new("shop", PlannedChange::Added)]);
    plan
}

#[test]
fn a_plan_of_ten_thousand_units_is_cut_and_keeps_its_digest() {
    let whole = plan(10_000);
    let cut = whole.clone().cut();
    let units = &cut.sections[section::UNITS];
    assert_eq!(units.count(), 10_000);
    assert!(units.entries.len() <= MAX_ENTRIES);
    assert_eq!(cut.digest(), whole.digest());
    assert_eq!(cut.clone().cut(), cut);
    // The last one counts, though nobody is sent it.
    let other = plan(10_001);
    assert_ne!(other.digest(), whole.digest());
    assert_ne!(other.cut().digest(), cut.digest());
}

#[test]
fn long_texts_are_bounded_and_the_whole_fits() {
    let mut plan = HostPlan::default();
    let long = "ä".repeat(10_000);
    for section in section::ALL {
        let entries = (0..MAX_ENTRIES).map(|n| entry(&format!("{n:03}{long}"), PlannedChange::Changed));
        plan.put(section, entries);
    }
    plan.bound_texts();
    let digest = plan.digest();
    let cut = plan.cut();
    assert!(serde_json::to_vec(&cut).unwrap().len() <= MAX_PLAN_BYTES);
    assert_eq!(cut.digest(), digest);
    assert!(
        cut.sections
            .values()
            .all(|section| section.count() == MAX_ENTRIES as u64)
    );
}

#[test]
fn whatever_is_shown_of_a_plan_is_in_its_digest() {
    let whole = plan(1000);
    let cut = whole.cut();
    let digest = cut.digest();
    let mut changed: Vec<HostPlan> = Vec::new();
    let mut change = |edit: &dyn Fn(&mut PlanSection)| {
        let mut other = cut.clone();
        edit(other.sections.get_mut(section::UNITS).unwrap());
        changed.push(other);
    };
    change(&|units| units.entries[0].name.push('x'));
    change(&|units| units.entries[7].change = PlannedChange::Reload);
    change(&|units| units.entries[7].why = None);
    change(&|units| units.entries[7].before = Some("1".to_owned()));
    change(&|units| units.entries[7].after = Some("1".to_owned()));
    change(&|units| units.cut.as_mut().unwrap().entries += 1);
    change(&|units| units.cut = None);
    change(&|units| {
        units.entries.pop();
    });
    change(&|units| units.entries.swap(0, 1));
    for (n, other) in changed.iter().enumerate() {
        assert_ne!(other.digest(), digest, "{n}");
    }
}

#[test]
fn the_order_of_finding_does_not_matter() {
    let mut one = HostPlan::default();
    let mut other = HostPlan::default();
    let entries = ["b", "a", "c"].map(|name| PlanEntry::new(name, PlannedChange::Added));
    one.put(section::USERS, entries.clone());
    other.put(section::USERS, entries.into_iter().rev());
    other.put(section::GROUPS, []);
    assert_eq!(one, other);
    assert_eq!(one.digest(), other.digest());
    assert_ne!(one.digest(), HostPlan::default().digest());
}

#[test]
fn what_a_newer_agent_plans_is_read() {
    let text =
        r#"{"sections":{"clocks":{"entries":[{"name":"a","change":"wound","of":1}],"hint":2}},"more":3}"#;
    let plan: HostPlan = serde_json::from_str(text).unwrap();
    assert_eq!(plan.sections["clocks"].entries[0].change, PlannedChange::Other);
}

#[test]
fn a_rollouts_digest_names_every_host_and_its_plan() {
    let closure = |n: u8| format!("/nix/store/{n:032}-system").parse().unwrap();
    let (one, two) = ("web-1".parse().unwrap(), "web-2".parse().unwrap());
    let (first, second) = (closure(1), closure(2));
    let rollout = RolloutId::from_uuid(uuid::Uuid::from_u128(1));
    let known: Option<Digest> = Some(plan(1).digest());
    let digest = rollout_digest(rollout, [(&one, &first, known), (&two, &second, None)]);
    assert_eq!(
        rollout_digest(rollout, [(&two, &second, None), (&one, &first, known)]),
        digest
    );
    let other = RolloutId::from_uuid(uuid::Uuid::from_u128(2));
    for changed in [
        rollout_digest(other, [(&one, &first, known), (&two, &second, None)]),
        rollout_digest(rollout, [(&one, &first, None), (&two, &second, known)]),
        rollout_digest(rollout, [(&one, &second, known), (&two, &first, None)]),
        rollout_digest(rollout, [(&one, &first, known)]),
    ] {
        assert_ne!(changed, digest);
    }
}
