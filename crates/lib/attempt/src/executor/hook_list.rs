//! How far a list of hooks is, by what their jobs left behind. Nothing else is remembered, so a start after a kill or a
//! power cut goes on where the files end.

use slipway_domain::agent::HookPoint;
use slipway_host::hooks::{Hook, HookFailure};
use slipway_host::job::JobState;

/// What there is to do about a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HookDuty {
    /// Start this hook under this number.
    Start {
        /// Its place in the list.
        index: usize,
        /// The number of its job.
        serial: u32,
    },
    /// It runs.
    Wait {
        /// Its place in the list.
        index: usize,
        /// The number of its job.
        serial: u32,
        /// How it stands.
        state: JobState,
    },
    /// There is nothing left to run.
    Over(HooksEnd),
}

/// What came of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HooksEnd {
    /// The hook that ended the list, and how.
    pub(super) failed: Option<String>,
    /// Hooks that failed and were told to go on.
    pub(super) noted: Vec<String>,
}

impl HooksEnd {
    /// All that went wrong, in words.
    pub(super) fn trouble(self) -> Option<String> {
        let all: Vec<String> = self.noted.into_iter().chain(self.failed).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// Replays the jobs of a list. A hook that was cut short is run again under the next number, `most_runs` times in all.
pub(super) fn next_hook(
    point: HookPoint,
    hooks: &[Hook],
    most_runs: u32,
    job: impl Fn(u32) -> JobState,
) -> HookDuty {
    let mut end = HooksEnd::default();
    let mut serial = 1;
    for (index, hook) in hooks.iter().enumerate() {
        let mut runs = 1;
        let problem = loop {
            match job(serial) {
                JobState::Absent => return HookDuty::Start { index, serial },
                state @ (JobState::Running | JobState::Orphaned(_)) => {
                    return HookDuty::Wait { index, serial, state };
                }
                JobState::Ended(exit) if exit.is_success() => break None,
                JobState::Ended(exit) => break Some(exit.to_string()),
                JobState::Lost if runs < most_runs => runs += 1,
                JobState::Lost => break Some("was cut short".to_owned()),
            }
            serial += 1;
        };
        serial += 1;
        let Some(problem) = problem else { continue };
        let problem = format!("the hook `{}` ({}) {problem}", hook.name, point.as_str());
        match hook.on_failure {
            HookFailure::Continue => end.noted.push(problem),
            HookFailure::Fail => {
                end.failed = Some(problem);
                break;
            }
        }
    }
    HookDuty::Over(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use slipway_host::job::{JobEnd, JobExit};

    use super::*;

    fn hook(name: &str, on_failure: HookFailure) -> Hook {
        Hook {
            name: name.to_owned(),
            command: vec!["/x".to_owned()],
            timeout_seconds: 1,
            on_failure,
        }
    }

    fn ended(code: i32) -> JobState {
        JobState::Ended(JobExit {
            end: JobEnd::Exited(code),
            tail: String::new(),
        })
    }

    fn next(hooks: &[Hook], jobs: &[JobState]) -> HookDuty {
        next_hook(HookPoint::BeforeActivate, hooks, 2, |serial| {
            let job = jobs.get(serial as usize - 1);
            job.cloned().unwrap_or(JobState::Absent)
        })
    }

    #[test]
    fn hooks_run_one_after_another_until_one_ends_the_list() {
        let hooks = [
            hook("a", HookFailure::Continue),
            hook("b", HookFailure::Fail),
            hook("c", HookFailure::Fail),
        ];
        let start = |index, serial| HookDuty::Start { index, serial };
        assert_eq!(next(&hooks, &[]), start(0, 1));
        assert_eq!(next(&hooks, &[ended(0)]), start(1, 2));
        assert_eq!(next(&hooks, &[ended(3)]), start(1, 2));
        assert_eq!(next(&hooks, &[ended(0), ended(0)]), start(2, 3));
        let HookDuty::Over(end) = next(&hooks, &[ended(3), ended(4)]) else {
            panic!("not over");
        };
        assert_eq!(
            end.failed.as_deref(),
            Some("the hook `b` (before_activate) exited with status 4")
        );
        assert_eq!(
            end.trouble().as_deref(),
            Some(
                "the hook `a` (before_activate) exited with status 3; the hook `b` (before_activate) exited with status 4"
            )
        );
    }

    #[test]
    fn a_hook_that_was_cut_short_is_run_again_and_not_for_ever() {
        let hooks = [hook("a", HookFailure::Fail), hook("b", HookFailure::Fail)];
        let again = HookDuty::Start { index: 0, serial: 2 };
        assert_eq!(next(&hooks, &[JobState::Lost]), again);
        let after = HookDuty::Start { index: 1, serial: 3 };
        assert_eq!(next(&hooks, &[JobState::Lost, ended(0)]), after);
        let HookDuty::Over(end) = next(&hooks, &[JobState::Lost, JobState::Lost]) else {
            panic!("not over");
        };
        assert_eq!(
            end.failed.as_deref(),
            Some("the hook `a` (before_activate) was cut short")
        );
    }

    fn on_failure() -> impl Strategy<Value = HookFailure> {
        prop_oneof![Just(HookFailure::Fail), Just(HookFailure::Continue)]
    }

    fn outcome() -> impl Strategy<Value = JobState> {
        prop_oneof![4 => Just(ended(0)), 1 => Just(ended(1)), 1 => Just(JobState::Lost)]
    }

    proptest! {
        /// Whatever becomes of each job, each number is started once, in the list's order, and every list ends. One with
        /// a failed hook that must not fail goes no further.
        #[test]
        fn every_list_ends_and_runs_in_order(
            rules in prop::collection::vec(on_failure(), 0..5),
            outcomes in prop::collection::vec(outcome(), 10),
        ) {
            let hooks: Vec<Hook> = rules.iter().map(|rule| hook("h", *rule)).collect();
            let mut jobs: Vec<JobState> = Vec::new();
            let mut begun: Vec<usize> = Vec::new();
            let end = loop {
                match next(&hooks, &jobs) {
                    HookDuty::Start { index, serial } => {
                        prop_assert_eq!(serial as usize, jobs.len() + 1);
                        prop_assert!(begun.last().is_none_or(|last| index == *last || index == last + 1));
                        begun.push(index);
                        jobs.push(outcomes[jobs.len()].clone());
                    }
                    HookDuty::Wait { .. } => return Err(TestCaseError::fail("nothing runs")),
                    HookDuty::Over(end) => break end,
                }
            };
            for index in 0..hooks.len() {
                prop_assert!(begun.iter().filter(|seen| **seen == index).count() <= 2);
            }
            let stopped_early = begun.last().map_or(0, |last| last + 1) < hooks.len();
            prop_assert!(!stopped_early || end.failed.is_some());
            if let Some(last) = begun.last()
                && end.failed.is_some()
            {
                prop_assert_eq!(hooks[*last].on_failure, HookFailure::Fail);
            }
        }
    }
}
