//! What a switch would change: told once the closure is there, and looked at again before the activation.

use slipway_domain::digest::Digest;
use slipway_domain::{AttemptPhase, Instruction};

use super::rig::{ExecutorRig, closure, plan};

impl ExecutorRig {
    /// Tells the agent to activate what was approved.
    fn activate_approved(&self, attempt: slipway_domain::AttemptId, name: &str, approved: Digest) {
        self.instructions.send_replace(Instruction::Activate {
            attempt,
            closure: closure(name),
            plan: plan(),
            approved_plan: Some(approved),
        });
    }

    /// Stages, and gives the attempt with the digest that it reports.
    async fn planned(&mut self, name: &str) -> (slipway_domain::AttemptId, Digest) {
        let attempt = self.stage(name);
        let view = self.reach(attempt, AttemptPhase::Staged).await;
        let report = view.report.unwrap().plan.expect("a plan");
        assert_eq!(view.plan.expect("its entries").digest(), report.digest);
        assert_eq!(report.from, closure("a"));
        (attempt, report.digest)
    }
}

#[tokio::test(start_paused = true)]
async fn an_approved_plan_that_still_holds_is_carried_out() {
    let mut rig = ExecutorRig::new();
    let (attempt, digest) = rig.planned("b").await;
    rig.activate_approved(attempt, "b", digest);
    let view = rig.reach(attempt, AttemptPhase::Verified).await;
    assert_eq!(view.report.unwrap().plan.unwrap().digest, digest);
    assert_eq!(rig.now(), ExecutorRig::on("b", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_changed_since_the_approval_is_not_touched() {
    let mut rig = ExecutorRig::new();
    let (attempt, approved) = rig.planned("b").await;
    rig.host.state().mounts.insert("/mnt".to_owned());
    rig.activate_approved(attempt, "b", approved);
    let message = rig.message(attempt, AttemptPhase::StageFailed).await;
    let digests: Vec<&str> = message
        .split(|c: char| c != ':' && !c.is_ascii_alphanumeric())
        .map(|word| word.trim_end_matches(':'))
        .filter(|word| word.parse::<Digest>().is_ok())
        .collect();
    assert_eq!(digests.len(), 2, "{message}");
    assert!(
        message.contains(&approved.to_string()) && digests[0] != digests[1],
        "{message}"
    );
    assert!(message.contains("nothing was touched"), "{message}");
    assert_eq!(rig.now(), ExecutorRig::on("a", "a"));
    let state = rig.host.state();
    assert!(
        state.done.is_empty() && state.armed.is_empty(),
        "{:?}",
        state.done
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_starts_again_still_has_the_plan() {
    let mut rig = ExecutorRig::new();
    let (attempt, digest) = rig.planned("b").await;
    rig.kill().await;
    rig.start();
    let view = rig.reach(attempt, AttemptPhase::Staged).await;
    assert_eq!(view.report.unwrap().plan.unwrap().digest, digest);
    assert_eq!(view.plan.expect("its entries").digest(), digest);
}

#[tokio::test(start_paused = true)]
async fn a_host_without_a_live_system_reports_no_plan_and_says_why() {
    let mut rig = ExecutorRig::new();
    rig.host.state().live = None;
    let attempt = rig.stage("b");
    let view = rig.reach(attempt, AttemptPhase::Staged).await;
    let report = view.report.unwrap();
    assert_eq!(report.plan, None);
    assert!(
        report
            .message
            .unwrap()
            .contains("what the switch would change is not known")
    );
}
