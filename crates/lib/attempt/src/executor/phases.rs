//! The path of an attempt: every phase, what is done in it, and where it leads.
//!
//! | phase | what is done | leads to | file |
//! |---|---|---|---|
//! | staging | the closure is fetched and let through the door | staged, or stage failed | [`staging`](super::staging) |
//! | staged | nothing, until the word to activate | activating | [`instruction`](super::instruction) |
//! | activating | the prior is recorded, the dead-man armed, the release's hooks run | the switch, or stage failed | [`activating`](super::activating), [`hooks`](super::hooks) |
//! | activating | the switch script runs | verifying, or reverting | [`activating`](super::activating) |
//! | verifying | the closure's checks run, until they passed often and long enough | verified, or reverting | [`verifying`](super::verifying) |
//! | verified | the checks run on, until the word to commit | committing, or reverting | [`verifying`](super::verifying) |
//! | committing | the profile and the boot default move, the dead-man is disarmed | committed, or reverting | [`committing`](super::committing) |
//! | reverting | the prior's switch script runs, the profile and the boot default go back | reverted, or stuck | [`reverting`](super::reverting) |
//! | stuck | as reverting, again and again with growing pauses | reverted | [`reverting`](super::reverting) |
//! | stage failed, committed, reverted | the hooks of the closure that the host has settled on; the attempt is over | reverting or reverted, when told to take it back | [`instruction`](super::instruction) |
//!
//! Two things happen to a phase from outside. An instruction may begin an attempt, ask for the next phase, or ask for the
//! prior: [`instruction`](super::instruction). The dead-man, which is another process, takes the lock when its time has
//! come and does what `reverting` does: [`deadman`](super::deadman). A new attempt while another is stuck leaves that one in the
//! journal as *unsettled* until its own activation takes over the way back.

use crate::journal::{Attempt, Journal, JournalPhase};

use super::JournalSlot;

/// What there is to do, whoever wrote the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// Nothing, until the next instruction.
    Rest,
    /// Fetch.
    Stage,
    /// See how the switch script does.
    WatchActivation,
    /// Run the checks.
    Verify,
    /// Finish the commit that was begun.
    Commit,
    /// Put the prior back.
    Revert(JournalSlot),
    /// Run the hooks of the closure that the host has settled on.
    RunHooksAfter,
}

impl Duty {
    pub(super) fn of(journal: &Journal) -> Self {
        use JournalPhase as Phase;
        let Some(current) = &journal.current else {
            return Self::Rest;
        };
        match current.phase {
            Phase::Staging => Self::Stage,
            Phase::Activating => Self::WatchActivation,
            Phase::Verifying | Phase::Verified => Self::Verify,
            Phase::Committing => Self::Commit,
            Phase::Reverting | Phase::Stuck => Self::Revert(JournalSlot::Current),
            Phase::Staged | Phase::StageFailed | Phase::Committed | Phase::Reverted => {
                if journal.unsettled.is_some() {
                    Self::Revert(JournalSlot::Unsettled)
                } else if current.hooks_after().is_some() {
                    Self::RunHooksAfter
                } else {
                    Self::Rest
                }
            }
        }
    }
}

/// The one place that changes an attempt's phase.
pub(super) fn enter(attempt: &mut Attempt, next: JournalPhase) {
    debug_assert!(
        leads_to(attempt.phase).contains(&next),
        "an attempt that is {:?} must not become {next:?}",
        attempt.phase
    );
    attempt.phase = next;
}

const fn leads_to(phase: JournalPhase) -> &'static [JournalPhase] {
    use JournalPhase as Phase;
    match phase {
        // One that is not known here begins as staging, and may be taken back at once.
        Phase::Staging => &[
            Phase::Staged,
            Phase::StageFailed,
            Phase::Reverting,
            Phase::Reverted,
        ],
        Phase::Staged => &[Phase::Activating, Phase::StageFailed, Phase::Reverted],
        Phase::StageFailed => &[Phase::Reverted],
        // It fails as staged does where nothing was touched yet: without a dead-man no script is started.
        Phase::Activating => &[Phase::Verifying, Phase::StageFailed, Phase::Reverting],
        Phase::Verifying => &[Phase::Verified, Phase::Reverting],
        Phase::Verified => &[Phase::Committing, Phase::Reverting],
        Phase::Committing => &[Phase::Committed, Phase::Reverting],
        Phase::Committed => &[Phase::Reverting],
        Phase::Reverting | Phase::Stuck => &[Phase::Reverted, Phase::Stuck],
        Phase::Reverted => &[],
    }
}

#[cfg(test)]
mod tests {
    use slipway_domain::{AttemptId, Timestamp};

    use super::*;

    const ALL: [JournalPhase; 11] = [
        JournalPhase::Staging,
        JournalPhase::Staged,
        JournalPhase::StageFailed,
        JournalPhase::Activating,
        JournalPhase::Verifying,
        JournalPhase::Verified,
        JournalPhase::Committing,
        JournalPhase::Committed,
        JournalPhase::Reverting,
        JournalPhase::Reverted,
        JournalPhase::Stuck,
    ];

    fn journal(current: JournalPhase, unsettled: bool) -> Journal {
        let attempt = |phase| {
            let closure = "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-nixos"
                .parse()
                .unwrap();
            let mut attempt = Attempt::new(AttemptId::random(), closure, Timestamp::default(), "boot");
            attempt.phase = phase;
            attempt
        };
        Journal {
            current: Some(attempt(current)),
            unsettled: unsettled.then(|| attempt(JournalPhase::Stuck)),
            ..Journal::default()
        }
    }

    #[test]
    fn whatever_is_unsettled_has_a_duty_and_leads_to_rest() {
        for phase in ALL {
            let rests = Duty::of(&journal(phase, false)) == Duty::Rest;
            if phase.is_unsettled() || phase == JournalPhase::Staging {
                assert!(!rests, "{phase:?} is left lying");
            }
            assert_ne!(
                Duty::of(&journal(phase, true)),
                Duty::Rest,
                "a stuck attempt is forgotten in {phase:?}"
            );
            let mut reached = vec![phase];
            let mut followed = 0;
            while let Some(next) = reached.get(followed).copied() {
                followed += 1;
                for after in leads_to(next) {
                    if !reached.contains(after) {
                        reached.push(*after);
                    }
                }
            }
            assert!(
                reached.contains(&JournalPhase::Reverted),
                "{phase:?} has no way back"
            );
        }
    }

    #[test]
    fn nothing_touched_is_committed_or_given_up_without_the_phases_between() {
        for phase in ALL {
            let next = leads_to(phase);
            let commits = next.contains(&JournalPhase::Committed);
            assert_eq!(commits, phase == JournalPhase::Committing, "{phase:?}");
            let commits_next = next.contains(&JournalPhase::Committing);
            assert_eq!(commits_next, phase == JournalPhase::Verified, "{phase:?}");
            if phase.is_unsettled() {
                assert!(!next.contains(&JournalPhase::Staged), "{phase:?}");
            }
            if phase.is_unproven() || phase == JournalPhase::Committing {
                assert!(next.contains(&JournalPhase::Reverting), "{phase:?}");
                assert!(!next.contains(&JournalPhase::Reverted), "{phase:?}");
            }
        }
    }
}
