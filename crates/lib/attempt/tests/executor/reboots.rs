//! Attempts that boot their closure once.

use std::time::Duration;

use slipway_domain::agent::{ActivationPlan, Verdict};
use slipway_domain::strategy::Reboot;
use slipway_domain::{AttemptId, AttemptPhase};
use tokio::time::sleep;

use super::rig::{ExecutorRig, closure, plan};

fn rebooting(reboot: Reboot) -> ActivationPlan {
    ActivationPlan {
        reboot,
        reboot_seconds: 100,
        ..plan()
    }
}

/// A machine that must reboot for `b`.
fn rig() -> ExecutorRig {
    let rig = ExecutorRig::new();
    rig.behave("b", |it| it.reboot_needs = vec!["kernel".to_owned()]);
    rig
}

/// The same, whose checks of `b` come to this verdict.
fn ends_with(rig: &ExecutorRig, verdict: Verdict) {
    rig.behave("b", |it| {
        it.reboot_needs = vec!["kernel".to_owned()];
        it.last_verdict = verdict;
    });
}

/// Stages and activates.
async fn begin(rig: &mut ExecutorRig, name: &str, reboot: Reboot) -> AttemptId {
    let attempt = rig.stage(name);
    rig.reach(attempt, AttemptPhase::Staged).await;
    rig.activate_by(attempt, name, rebooting(reboot));
    attempt
}

/// Stages and activates, until the machine is to go down.
async fn go_down(rig: &mut ExecutorRig, name: &str, reboot: Reboot) -> AttemptId {
    let attempt = begin(rig, name, reboot).await;
    goes_down(rig).await;
    attempt
}

/// The same, through the boot and its checks.
async fn boot(rig: &mut ExecutorRig, name: &str, reboot: Reboot) -> AttemptId {
    let attempt = go_down(rig, name, reboot).await;
    rig.reboot().await;
    rig.reach(attempt, AttemptPhase::Verified).await;
    attempt
}

async fn commit(rig: &mut ExecutorRig, attempt: AttemptId) {
    rig.commit(attempt);
    rig.reach(attempt, AttemptPhase::Committed).await;
}

async fn goes_down(rig: &ExecutorRig) {
    for _ in 0..10_000 {
        if rig.host.state().goes_down {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not go down: {:?}", rig.store.peek());
}

fn reboots(rig: &ExecutorRig) -> usize {
    rig.count("reboot")
}

#[tokio::test(start_paused = true)]
async fn a_kernel_is_booted_once_and_becomes_the_default_only_at_the_commit() {
    let mut rig = rig();
    let attempt = go_down(&mut rig, "b", Reboot::WhenNeeded).await;
    assert_eq!(
        rig.now(),
        ExecutorRig::on("a", "a"),
        "nothing was switched before the boot"
    );
    assert_eq!(rig.host.state().boot_once, Some(closure("b")));
    rig.reboot().await;
    rig.reach(attempt, AttemptPhase::Verified).await;
    assert_eq!(
        rig.now(),
        ExecutorRig::on("b", "a"),
        "the boot default waits for the commit"
    );
    assert!(
        rig.host.state().armed.contains_key(&attempt),
        "the dead-man is armed in this boot"
    );
    commit(&mut rig, attempt).await;
    assert_eq!(rig.now(), ExecutorRig::on("b", "b"));
    assert_eq!(
        (reboots(&rig), rig.count("test"), rig.count("boot-clear")),
        (1, 0, 1)
    );
    assert!(rig.host.state().armed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_reboot_is_switched_as_it_runs_unless_the_strategy_says_always() {
    let mut rig = rig();
    let attempt = begin(&mut rig, "c", Reboot::WhenNeeded).await;
    rig.reach(attempt, AttemptPhase::Verified).await;
    assert_eq!((reboots(&rig), rig.count("test")), (0, 1));
    commit(&mut rig, attempt).await;
    boot(&mut rig, "d", Reboot::Always).await;
    assert_eq!(rig.now(), ExecutorRig::on("d", "c"));
}

/// It has a boot id of its own, and the boot time of a machine that has been up for longer than any dead-man.
#[tokio::test(start_paused = true)]
async fn a_container_reboots_though_its_machine_stays_up() {
    let mut rig = rig();
    let attempt = go_down(&mut rig, "a", Reboot::Always).await;
    rig.kill().await;
    rig.host.reboot();
    rig.clock = rig.clock.container_rebooted();
    rig.start();
    rig.reach(attempt, AttemptPhase::Verified).await;
    commit(&mut rig, attempt).await;
    assert_eq!((rig.now(), reboots(&rig)), (ExecutorRig::on("a", "a"), 1));
}

/// A control plane's own closure says so: its stack may migrate for long, and that passes within the boot.
#[tokio::test(start_paused = true)]
async fn what_is_booted_needs_no_time_for_a_switch_before_the_deadman() {
    let mut rig = rig();
    rig.behave("b", |it| {
        it.reboot_needs = vec!["kernel".to_owned()];
        it.switch_limit_seconds = Some(5000);
    });
    let attempt = boot(&mut rig, "b", Reboot::WhenNeeded).await;
    commit(&mut rig, attempt).await;
    assert_eq!((rig.now(), rig.count("test")), (ExecutorRig::on("b", "b"), 0));
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_does_not_come_up_leaves_the_host_on_its_prior() {
    let mut rig = rig();
    rig.behave("b", |it| {
        it.reboot_needs = vec!["kernel".to_owned()];
        it.hangs_at_boot = true;
    });
    let attempt = go_down(&mut rig, "b", Reboot::WhenNeeded).await;
    rig.reboot().await;
    let why = rig.message(attempt, AttemptPhase::Reverted).await;
    assert!(why.contains("booted once, and the host came up with"), "{why}");
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    // The prior runs already: nothing is switched or booted again.
    assert_eq!((reboots(&rig), rig.count("test")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_fails_its_checks_after_the_boot_goes_back_by_one_boot() {
    let mut rig = rig();
    ends_with(&rig, Verdict::Fail);
    let attempt = go_down(&mut rig, "b", Reboot::WhenNeeded).await;
    rig.reboot().await;
    goes_down(&rig).await;
    assert_eq!(rig.now(), ExecutorRig::on("b", "a"));
    rig.reboot().await;
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    assert_eq!(
        (reboots(&rig), rig.count("test")),
        (2, 0),
        "one boot forward and one back"
    );
    assert!(rig.host.state().boot_once.is_none() && rig.host.state().armed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_reboots_for_ever_is_not_told_to_by_us() {
    // Each boot ends in another: the second one is on the prior, and there the attempt is over.
    let mut rig = rig();
    let attempt = go_down(&mut rig, "b", Reboot::WhenNeeded).await;
    for _ in 0..5 {
        rig.reboot().await;
        sleep(Duration::from_millis(300)).await;
    }
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(reboots(&rig), 1);
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_stays_up_or_comes_up_as_the_same_boot_is_asked_a_few_times() {
    let mut rig = rig();
    let attempt = go_down(&mut rig, "b", Reboot::WhenNeeded).await;
    // A container that has its kernel's boot id: only the agent comes again.
    for _ in 0..5 {
        rig.kill().await;
        rig.start();
        sleep(Duration::from_secs(1)).await;
    }
    let why = rig.message(attempt, AttemptPhase::Reverted).await;
    assert!(why.contains("asked 3 times to reboot"), "{why}");
    assert_eq!((reboots(&rig), rig.now()), (3, ExecutorRig::on("a", "a")));
    assert!(
        rig.host.state().boot_once.is_none(),
        "the boot loader has forgotten it"
    );

    let mut rig = self::rig();
    let attempt = go_down(&mut rig, "b", Reboot::WhenNeeded).await;
    let why = rig.message(attempt, AttemptPhase::Reverted).await;
    assert!(why.contains("did not go down in time"), "{why}");
    assert!(rig.host.state().boot_once.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_runs_and_boots_already_is_booted_without_a_boot_entry() {
    let mut rig = rig();
    rig.host.state().boot_obstacle = Some("its boot loader is not known".to_owned());
    let attempt = boot(&mut rig, "a", Reboot::Always).await;
    commit(&mut rig, attempt).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    assert_eq!(
        (rig.count("boot-once"), rig.count("boot-clear"), reboots(&rig)),
        (0, 0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_cannot_boot_it_once_says_so_while_it_stages_and_is_not_touched() {
    let mut rig = rig();
    rig.host.state().boot_obstacle = Some("its boot loader is not known".to_owned());
    let attempt = rig.stage("b");
    let staged = rig.reach(attempt, AttemptPhase::Staged).await;
    let reported = staged.report.unwrap().reboot.unwrap();
    assert_eq!(reported.needed, ["kernel"]);
    assert_eq!(reported.obstacle.as_deref(), Some("its boot loader is not known"));
    rig.activate_by(attempt, "b", rebooting(Reboot::WhenNeeded));
    let why = rig.message(attempt, AttemptPhase::StageFailed).await;
    assert!(
        why.contains("cannot boot the release once: its boot loader"),
        "{why}"
    );
    assert_eq!(rig.host.state().done, [""; 0]);
}

/// Whoever holds the control plane begins one attempt after another, and each reboots the host.
#[tokio::test(start_paused = true)]
async fn a_control_plane_has_a_host_reboot_so_many_times_a_day_and_no_more() {
    let mut rig = rig();
    rig.kill().await;
    rig.most_reboots = 3;
    rig.start();
    let bring = async |rig: &mut ExecutorRig, name: &str| {
        let attempt = boot(rig, name, Reboot::Always).await;
        commit(rig, attempt).await;
    };
    bring(&mut rig, "c").await;
    // One there and one back count as two.
    ends_with(&rig, Verdict::Fail);
    let attempt = go_down(&mut rig, "b", Reboot::WhenNeeded).await;
    rig.reboot().await;
    goes_down(&rig).await;
    rig.reboot().await;
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!((reboots(&rig), rig.now()), (3, ExecutorRig::on("c", "c")));
    let (before, tests) = (rig.count("boot-once"), rig.count("test"));
    for _ in 0..3 {
        let attempt = begin(&mut rig, "d", Reboot::Always).await;
        let why = rig.message(attempt, AttemptPhase::StageFailed).await;
        assert!(
            why.contains("reboot 3 times within 24 h, and AGENT_MAX_REBOOTS_PER_DAY allows 3"),
            "{why}"
        );
    }
    assert_eq!(
        (rig.count("boot-once"), rig.count("test"), reboots(&rig)),
        (before, tests, 3)
    );
    // What takes no reboot goes on.
    let attempt = begin(&mut rig, "d", Reboot::WhenNeeded).await;
    rig.reach(attempt, AttemptPhase::Verified).await;
    commit(&mut rig, attempt).await;
    sleep(Duration::from_hours(24)).await;
    bring(&mut rig, "e").await;
    assert_eq!(reboots(&rig), 4);
    assert_eq!(
        rig.store.peek().unwrap().reboots.len(),
        1,
        "the journal forgets what no longer counts"
    );
}

#[tokio::test(start_paused = true)]
async fn taking_a_committed_kernel_back_boots_the_prior() {
    let mut rig = rig();
    let attempt = boot(&mut rig, "b", Reboot::WhenNeeded).await;
    commit(&mut rig, attempt).await;
    // Another attempt came between, so that this one is among the past ones.
    let next = rig.stage("c");
    rig.reach(next, AttemptPhase::Staged).await;
    rig.revert(attempt, None);
    goes_down(&rig).await;
    assert_eq!(
        rig.now(),
        ExecutorRig::on("b", "a"),
        "the boot default goes back first"
    );
    rig.reboot().await;
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    assert_eq!((reboots(&rig), rig.count("test")), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_deadman_works_over_the_reboot() {
    let mut rig = rig();
    ends_with(&rig, Verdict::Unknown);
    let attempt = go_down(&mut rig, "b", Reboot::WhenNeeded).await;
    rig.reboot().await;
    rig.reach(attempt, AttemptPhase::Verifying).await;
    rig.kill().await;
    let left = {
        let state = rig.host.state();
        state.deadlines[&attempt].saturating_duration_since(tokio::time::Instant::now())
    };
    assert!(
        left <= Duration::from_mins(5) && left > Duration::from_secs(150),
        "{left:?}"
    );
    // Its process asks for the reboot, and is gone with the boot.
    let (executor, _) = rig.executor();
    let deadman = tokio::spawn(executor.revert_attempt(attempt, Some(closure("a")), "deadline"));
    goes_down(&rig).await;
    deadman.abort();
    rig.reboot().await;
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_revert_before_the_machine_goes_down_takes_the_boot_entry_back() {
    let mut rig = rig();
    let attempt = go_down(&mut rig, "b", Reboot::WhenNeeded).await;
    rig.revert(attempt, None);
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert!(rig.host.state().boot_once.is_none());
    rig.reboot().await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));

    // The machine was faster: it comes up with the closure, and goes back.
    let mut rig = self::rig();
    let attempt = go_down(&mut rig, "b", Reboot::WhenNeeded).await;
    rig.kill().await;
    rig.host.reboot();
    rig.clock = rig.clock.rebooted();
    rig.revert(attempt, None);
    rig.start();
    goes_down(&rig).await;
    rig.reboot().await;
    rig.reach(attempt, AttemptPhase::Reverted).await;
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
}

/// A second attempt over a stuck one, told to go back before its one boot; the way back fails again.
async fn stick_before_its_boot(rig: &mut ExecutorRig, boot_exit: i32) -> AttemptId {
    rig.stick().await;
    let attempt = go_down(rig, "c", Reboot::Always).await;
    assert_eq!(rig.host.state().boot_once, Some(closure("c")));
    rig.behave("a", |it| (it.test_exit, it.boot_exit) = (1, boot_exit));
    rig.revert(attempt, None);
    rig.reach(attempt, AttemptPhase::Stuck).await;
    attempt
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_fails_leaves_no_boot_of_the_closure() {
    let mut rig = ExecutorRig::new();
    stick_before_its_boot(&mut rig, 0).await;
    let state = rig.host.state();
    assert!(state.boot_once.is_none() && state.boot_deadmen.is_empty());
}

/// Found by the simulator: a later boot brought the closure of an attempt that another had replaced long ago.
#[tokio::test(start_paused = true)]
async fn an_attempt_over_a_stuck_one_leaves_nothing_of_its_one_boot() {
    let mut rig = ExecutorRig::new();
    stick_before_its_boot(&mut rig, 1).await;
    assert_eq!(rig.host.state().boot_once, Some(closure("c")));
    // While the boot loader does not forget, nothing else is begun.
    let next = rig.begin("d").await;
    let why = rig.message(next, AttemptPhase::StageFailed).await;
    assert!(
        why.contains("the next boot would still bring") && why.contains("taking the boot entry back"),
        "{why}"
    );
    rig.behave("a", |it| it.test_exit = 1);
    let next = rig.release("d", true).await;
    let is_forgotten = {
        let state = rig.host.state();
        state.boot_once.is_none() && state.boot_deadmen.is_empty()
    };
    assert!(is_forgotten);
    rig.reboot().await;
    rig.reach(next, AttemptPhase::Committed).await;
    assert_eq!(rig.now(), ExecutorRig::on("d", "d"));
}

#[tokio::test(start_paused = true)]
async fn a_boot_loader_that_does_not_forget_leads_to_no_second_boot() {
    let mut rig = rig();
    ends_with(&rig, Verdict::Fail);
    let attempt = go_down(&mut rig, "b", Reboot::WhenNeeded).await;
    rig.reboot().await;
    goes_down(&rig).await;
    rig.host.state().boot_once = Some(closure("b"));
    rig.reboot().await;
    rig.reach(attempt, AttemptPhase::Reverted).await;
    // It was switched back as it ran.
    assert_eq!((reboots(&rig), rig.count("test")), (2, 1));
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    assert!(rig.host.state().boot_once.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_moment_of_the_commit_leaves_nothing_of_the_one_boot() {
    for ms in (0..4000).step_by(250) {
        let mut rig = rig();
        let attempt = boot(&mut rig, "b", Reboot::WhenNeeded).await;
        rig.commit(attempt);
        sleep(Duration::from_millis(ms)).await;
        rig.kill().await;
        rig.start();
        commit(&mut rig, attempt).await;
        let state = rig.host.state();
        assert!(state.boot_deadmen.is_empty(), "killed after {ms} ms");
        assert_eq!(state.boot_default, Some(closure("b")), "killed after {ms} ms");
    }
}
