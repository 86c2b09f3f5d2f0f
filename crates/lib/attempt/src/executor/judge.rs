//! Turns rounds of checks into a verdict.
//!
//! - `passes` passing rounds in a row make a closure healthy; then it bakes.
//! - Once `timeout_seconds` are over, the first failing round ends it. A round that could not be carried out never does.
//! - While it bakes, and afterwards until the commit, `passes` failing rounds without a passing one between end it: one
//!   lost probe is not an outage.
//! - Baking succeeds with `passes` passing rounds in a row at its end. If they do not come within another
//!   `timeout_seconds`, the first failing round ends it.
//! - The dead-man's deadline ends everything else.

use slipway_domain::AttemptId;
use slipway_domain::agent::{ActivationPlan, Verdict};
use slipway_host::checks::CheckRound;
use slipway_host::clock::BootMs;
use slipway_host::text::{MESSAGE_CHARS, one_line};

/// Rounds in a row, of one attempt. Not written down: after a restart they are counted again.
#[derive(Debug, Default)]
pub(super) struct Streak {
    attempt: Option<AttemptId>,
    passes: u32,
    fails: u32,
}

/// The least time between two words of failing checks: each one is a report to the control plane.
const PACE_SECONDS: u32 = 5;

/// What the checks of an attempt say while they fail. Not written down: the next round says it again.
#[derive(Debug, Default)]
pub(super) struct FailingChecks(Option<(AttemptId, String, BootMs)>);

impl FailingChecks {
    /// Hears a round that ended nothing. A round that passed leaves the last word for its time: checks may pass and fail by turns.
    pub(super) fn hear(&mut self, attempt: AttemptId, round: &CheckRound, now: BootMs) {
        if let Some((of, _, since)) = &self.0
            && *of == attempt
            && now < since.after_seconds(PACE_SECONDS)
        {
            return;
        }
        self.0 = (round.verdict != Verdict::Pass).then(|| {
            let words = one_line(
                &format!("the checks do not pass yet: {}", round.detail),
                MESSAGE_CHARS,
            );
            (attempt, words, now)
        });
    }

    /// Nothing is said any more.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    pub(super) fn words(&self, of: AttemptId) -> Option<&str> {
        let (attempt, words, _) = self.0.as_ref()?;
        (*attempt == of).then_some(words)
    }
}

/// What a round leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// More rounds.
    GoOn,
    /// More rounds, which should have told by now.
    Inconclusive,
    /// Healthy; now it bakes.
    Bake,
    /// Healthy for long enough.
    Verified,
    /// Not healthy.
    Fail,
}

/// How far the checks of an attempt are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) verify_from: BootMs,
    pub(super) bake_from: Option<BootMs>,
    pub(super) verified: bool,
}

impl Streak {
    pub(super) fn judge(
        &mut self,
        attempt: AttemptId,
        round: &CheckRound,
        plan: &ActivationPlan,
        progress: Progress,
        now: BootMs,
    ) -> Judgement {
        if self.attempt != Some(attempt) {
            *self = Self {
                attempt: Some(attempt),
                ..Self::default()
            };
        }
        match round.verdict {
            Verdict::Pass => (self.passes, self.fails) = (self.passes + 1, 0),
            Verdict::Fail => (self.passes, self.fails) = (0, self.fails + 1),
            Verdict::Unknown => self.passes = 0,
        }
        let verify = &plan.verify;
        let needed = verify.passes.max(1);
        let passed = self.passes >= needed;
        let failed = self.fails >= needed;
        let overdue = |from: BootMs| from.after_seconds(verify.timeout_seconds) <= now;
        let late = |from| match round.verdict {
            Verdict::Fail if overdue(from) => Judgement::Fail,
            Verdict::Unknown if overdue(from) => Judgement::Inconclusive,
            _ => Judgement::GoOn,
        };
        match progress {
            Progress { verified: true, .. } if failed => Judgement::Fail,
            Progress { verified: true, .. } => Judgement::GoOn,
            Progress {
                bake_from: Some(from),
                ..
            } => {
                let baked = from.after_seconds(plan.bake_seconds);
                match () {
                    () if failed => Judgement::Fail,
                    () if passed && baked <= now => Judgement::Verified,
                    () => late(baked),
                }
            }
            Progress { bake_from: None, .. } if passed && plan.bake_seconds == 0 => Judgement::Verified,
            Progress { bake_from: None, .. } if passed => Judgement::Bake,
            Progress { verify_from, .. } => late(verify_from),
        }
    }
}

#[cfg(test)]
mod tests {
    use slipway_domain::strategy::{Reboot, Verify};

    use super::*;

    fn plan() -> ActivationPlan {
        ActivationPlan {
            activate_seconds: 10,
            deadman_seconds: 1000,
            verify: Verify {
                passes: 2,
                interval_seconds: 1,
                timeout_seconds: 10,
            },
            bake_seconds: 5,
            revert_seconds: None,
            reboot: Reboot::Never,
            reboot_seconds: 0,
        }
    }

    /// One letter a second: p, f or u. What is judged, beginning at `from` seconds.
    fn judge(rounds: &str, from: u64, bake_from: Option<u64>, verified: bool) -> Vec<Judgement> {
        let mut streak = Streak::default();
        let attempt = AttemptId::random();
        let progress = Progress {
            verify_from: BootMs(0),
            bake_from: bake_from.map(|seconds| BootMs(seconds * 1000)),
            verified,
        };
        let judge = |(index, letter)| {
            let round = CheckRound {
                verdict: match letter {
                    'p' => Verdict::Pass,
                    'f' => Verdict::Fail,
                    _ => Verdict::Unknown,
                },
                detail: String::new(),
            };
            let now = BootMs((from + index as u64) * 1000);
            streak.judge(attempt, &round, &plan(), progress, now)
        };
        rounds.chars().enumerate().map(judge).collect()
    }

    #[test]
    fn failing_checks_are_heard_at_most_every_five_seconds() {
        let mut failing = FailingChecks::default();
        let (attempt, other) = (AttemptId::random(), AttemptId::random());
        let mut told = Vec::new();
        for second in 0..20_u64 {
            let verdict = if second == 12 {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
            let detail = format!("answered {second}");
            failing.hear(attempt, &CheckRound { verdict, detail }, BootMs(second * 1000));
            let words = failing.words(attempt).unwrap_or_default().to_owned();
            if told.last() != Some(&words) {
                told.push(words);
            }
        }
        let words = |second: u32| format!("the checks do not pass yet: answered {second}");
        assert_eq!(told, [words(0), words(5), words(10), words(15)]);
        assert_eq!(failing.words(other), None);
        let passed = CheckRound {
            verdict: Verdict::Pass,
            detail: String::new(),
        };
        failing.hear(attempt, &passed, BootMs(20_000));
        assert_eq!(failing.words(attempt), None);
    }

    #[test]
    fn passes_in_a_row_are_needed() {
        use Judgement::{Bake, GoOn};
        assert_eq!(
            judge("fpfpupp", 0, None, false),
            [GoOn, GoOn, GoOn, GoOn, GoOn, GoOn, Bake]
        );
    }

    #[test]
    fn only_a_failure_ends_it_at_the_timeout() {
        use Judgement::{Bake, Fail, GoOn, Inconclusive};
        assert_eq!(judge("fff", 8, None, false), [GoOn, GoOn, Fail]);
        assert_eq!(judge("uuu", 8, None, false), [GoOn, GoOn, Inconclusive]);
        assert_eq!(judge("uppf", 10, None, false), [Inconclusive, GoOn, Bake, Fail]);
    }

    #[test]
    fn one_lost_probe_while_baking_is_no_outage() {
        use Judgement::{Fail, GoOn, Verified};
        assert_eq!(judge("pfpppp", 0, Some(0), false)[5], Verified);
        assert_eq!(judge("pff", 0, Some(0), false), [GoOn, GoOn, Fail]);
        assert_eq!(judge("fuf", 0, Some(0), false), [GoOn, GoOn, Fail]);
    }

    #[test]
    fn baking_ends_with_passes_in_a_row() {
        use Judgement::{Fail, GoOn, Inconclusive, Verified};
        assert_eq!(judge("fpp", 6, Some(0), false), [GoOn, GoOn, Verified]);
        // Flapping never passes, and is not let go on for ever.
        assert_eq!(judge("fpfp", 12, Some(0), false), [GoOn, GoOn, GoOn, GoOn]);
        assert_eq!(judge("fpfp", 14, Some(0), false), [GoOn, GoOn, Fail, GoOn]);
        assert_eq!(judge("u", 15, Some(0), false), [Inconclusive]);
    }

    #[test]
    fn a_verified_closure_is_still_looked_at() {
        use Judgement::{Fail, GoOn};
        assert_eq!(judge("pfpff", 100, Some(0), true), [GoOn, GoOn, GoOn, GoOn, Fail]);
        assert_eq!(judge("uuuu", 100, Some(0), true), [GoOn, GoOn, GoOn, GoOn]);
    }
}
