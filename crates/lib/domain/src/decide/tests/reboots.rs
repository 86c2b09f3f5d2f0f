//! What becomes of hosts that must reboot, by the strategy and by what their agents say.

use super::*;
use crate::agent::RebootReport;
use crate::strategy::Reboot;

/// What a round says of a host that has fetched, and why.
fn staged(reboot: Reboot, allowed: bool, reported: impl Into<Option<RebootReport>>) -> Result<(), String> {
    let mut s = snapshot(RolloutState::Staging, &[StepState::Staging]);
    s.rollout.strategy.reboot = reboot;
    s.rollout.strategy.allow_pending_reboot = allowed;
    report(&mut s.steps[0], AttemptPhase::Staged, None);
    s.steps[0].observed.report.as_mut().unwrap().reboot = reported.into();
    match round(&s)[..] {
        [ref said] if said == "web-0:staged" => Ok(()),
        [ref said] if said == "web-0:reverted" => Err(cause(&s)),
        ref said => panic!("{said:?}"),
    }
}

fn reboots(needed: &[&str], obstacle: Option<&str>) -> RebootReport {
    RebootReport {
        needed: needed.iter().map(|&part| part.to_owned()).collect(),
        obstacle: obstacle.map(str::to_owned),
    }
}

#[test]
fn a_kernel_becomes_the_boot_default_unbooted_only_if_the_strategy_says_so() {
    let needed = reboots(&["initrd", "kernel"], None);
    let why = staged(Reboot::Never, false, needed.clone()).unwrap_err();
    for part in [
        "initrd, kernel",
        "when_needed",
        "allow_pending_reboot",
        "nothing was touched",
    ] {
        assert!(why.contains(part), "{why}");
    }
    assert_eq!(staged(Reboot::Never, true, needed.clone()), Ok(()));
    assert_eq!(staged(Reboot::WhenNeeded, false, needed.clone()), Ok(()));
    assert_eq!(staged(Reboot::Always, false, needed), Ok(()));
    assert_eq!(
        staged(Reboot::Never, false, reboots(&[], Some("no loader"))),
        Ok(())
    );
}

#[test]
fn an_agent_that_knows_no_reboots_is_not_told_to_make_one() {
    assert_eq!(staged(Reboot::Never, false, None), Ok(()));
    for reboot in [Reboot::WhenNeeded, Reboot::Always] {
        let why = staged(reboot, false, None).unwrap_err();
        assert!(why.contains("a newer agent with reboot: never first"), "{why}");
    }
}

#[test]
fn a_host_that_cannot_boot_once_is_left_alone_if_it_would_have_to() {
    let obstacle = Some("its boot loader is not known");
    let why = staged(Reboot::WhenNeeded, false, reboots(&["kernel"], obstacle)).unwrap_err();
    assert!(why.contains("its boot loader is not known"), "{why}");
    staged(Reboot::Always, false, reboots(&[], obstacle)).unwrap_err();
    assert_eq!(staged(Reboot::WhenNeeded, false, reboots(&[], obstacle)), Ok(()));
}
