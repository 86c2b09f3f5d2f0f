//! What people approve: the plans that hosts report.

use super::*;
use crate::PlanReport;
use crate::digest::{Digest, Digester};

fn digest(of: u32) -> Digest {
    let mut digester = Digester::new("test");
    digester.field("n", of);
    digester.finish()
}

fn plan(of: u32) -> PlanReport {
    PlanReport {
        digest: digest(of),
        from: path("old"),
        bytes_before: 1,
        bytes_after: 2,
        bytes_new: 1,
    }
}

/// The host has fetched, and says what would change.
fn planned(step: &mut StepSnapshot, of: u32) {
    report(step, AttemptPhase::Staged, None);
    step.observed.report.as_mut().unwrap().plan = Some(plan(of));
}

fn approve(snapshot: &mut Snapshot, plan: Option<Digest>) {
    command(snapshot, CommandKind::Approve, 2);
    snapshot.commands.last_mut().unwrap().plan = plan;
}

/// Rounds until nothing changes.
fn settle(snapshot: &mut Snapshot) -> Vec<String> {
    let mut said = Vec::new();
    loop {
        let changes = decide(snapshot, now(), &mut AttemptId::random);
        if changes.is_empty() {
            return said;
        }
        said.extend(round(snapshot));
        for change in changes {
            snapshot.apply(&change, now()).unwrap();
        }
    }
}

#[test]
fn hosts_fetch_and_plan_before_the_approval_and_nothing_is_activated() {
    let mut s = snapshot(
        RolloutState::PendingApproval,
        &[StepState::Waiting, StepState::Waiting],
    );
    s.steps[1].observed.connected_at = None;
    assert_eq!(settle(&mut s), ["web-0:staging"]);
    planned(&mut s.steps[0], 1);
    assert_eq!(settle(&mut s), ["web-0:plan", "web-0:staged"]);
    assert_eq!(s.steps[0].plan, Some(plan(1)));
    let known = s.plan_digest();
    approve(&mut s, Some(known));
    assert_eq!(round(&s), ["rollout:staging"]);
    settle(&mut s);
    assert_eq!(s.rollout.approved_plan, Some(known));
}

#[test]
fn an_approval_of_another_plan_is_refused_and_names_both() {
    let mut s = snapshot(RolloutState::PendingApproval, &[StepState::Staged]);
    planned(&mut s.steps[0], 1);
    settle(&mut s);
    let (seen, now) = (digest(9), s.plan_digest());
    approve(&mut s, Some(seen));
    let refused = &round(&s)[0];
    assert!(refused.contains(&seen.to_string()), "{refused}");
    assert!(refused.contains(&now.to_string()), "{refused}");
    assert!(refused.contains("look at it again"), "{refused}");
    settle(&mut s);
    assert_eq!(s.rollout.state, RolloutState::PendingApproval);
}

#[test]
fn an_approval_waits_for_hosts_that_still_fetch() {
    let mut s = snapshot(
        RolloutState::PendingApproval,
        &[StepState::Staged, StepState::Staging],
    );
    let now = s.plan_digest();
    approve(&mut s, Some(now));
    assert!(round(&s)[0].contains("web-1 still fetches"), "{:?}", round(&s));
    // One that cannot be reached keeps nobody waiting.
    s.steps[1].observed.connected_at = None;
    assert_eq!(round(&s), ["rollout:staging"]);
}

#[test]
fn a_host_goes_on_only_with_the_plan_that_was_approved() {
    for (approved, reported, goes_on) in [
        (Some(1), Some(1), true),
        (None, None, true),
        (Some(1), Some(2), false),
        (Some(1), None, false),
        (None, Some(1), false),
    ] {
        let mut s = snapshot(RolloutState::Staging, &[StepState::Staging]);
        s.steps[0].plan = approved.map(plan);
        s.rollout.approved_plan = Some(s.plan_digest());
        report(&mut s.steps[0], AttemptPhase::Staged, None);
        s.steps[0].observed.report.as_mut().unwrap().plan = reported.map(plan);
        let said = round(&s);
        if goes_on {
            assert_eq!(said, ["web-0:staged"]);
            continue;
        }
        assert_eq!(said, ["web-0:reverted"]);
        let why = cause(&s);
        for plan in [approved, reported].into_iter().flatten().map(digest) {
            assert!(why.contains(&plan.to_string()), "{why}");
        }
        assert!(why.contains("nothing was touched"), "{why}");
    }
}

#[test]
fn without_an_approved_plan_the_newest_counts() {
    let mut s = snapshot(RolloutState::Staging, &[StepState::Staging, StepState::Staging]);
    s.steps[0].plan = Some(plan(1));
    planned(&mut s.steps[0], 2);
    assert_eq!(settle(&mut s), ["web-0:plan", "web-0:staged"]);
    assert_eq!(s.steps[0].plan, Some(plan(2)));
}

/// Otherwise one host could keep a whole environment from being approved, and fill its audit log.
#[test]
fn a_host_that_says_another_plan_each_time_is_not_heard_again() {
    let mut s = snapshot(RolloutState::PendingApproval, &[StepState::Staging]);
    planned(&mut s.steps[0], 1);
    // All of it in the round that finds it staged, so that there is no time for another plan.
    assert_eq!(round(&s), ["web-0:plan", "web-0:staged"]);
    settle(&mut s);
    let seen = s.plan_digest();
    for of in 2..100 {
        planned(&mut s.steps[0], of);
        assert_eq!(settle(&mut s), [""; 0]);
    }
    approve(&mut s, Some(seen));
    assert_eq!(round(&s), ["rollout:staging"]);
    // Nor is one that is not done yet.
    let mut s = snapshot(RolloutState::PendingApproval, &[StepState::Staging]);
    planned(&mut s.steps[0], 1);
    s.steps[0].observed.report.as_mut().unwrap().phase = AttemptPhase::Staging;
    assert_eq!(round(&s), [""; 0]);
}

#[test]
fn an_approval_by_an_earlier_command_line_names_no_plan() {
    let mut s = snapshot(RolloutState::PendingApproval, &[StepState::Staging]);
    approve(&mut s, None);
    assert_eq!(settle(&mut s), ["rollout:staging"]);
    assert_eq!(s.rollout.approved_plan, None);
    planned(&mut s.steps[0], 1);
    let said = settle(&mut s);
    assert_eq!(said[..2], ["web-0:plan", "web-0:staged"]);
}
