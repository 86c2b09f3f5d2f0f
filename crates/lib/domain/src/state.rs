//! The two state machines: of a rollout and of each of its steps.

use crate::named::named;

named! {
    /// Where a rollout stands.
    RolloutState, "rollout state", {
        /// Waits for somebody other than its author.
        PendingApproval = "pending_approval",
        /// Every host fetches its closure; nothing is activated yet.
        Staging = "staging",
        /// Hosts are activated, wave by wave.
        Rolling = "rolling",
        /// Nothing new begins; hosts already under way finish.
        Paused = "paused",
        /// Hosts go back to their priors.
        Reverting = "reverting",
        /// Every host that was not skipped runs the release, and at least one does.
        Succeeded = "succeeded",
        /// Every host that was touched runs its prior again.
        Reverted = "reverted",
        /// Stopped by a person: hosts under way went back, hosts already committed stayed.
        Aborted = "aborted",
        /// Over, with at least one host that failed, or with none that runs the release.
        Failed = "failed",
    }
}

impl RolloutState {
    /// Whether the rollout is over.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Reverted | Self::Aborted | Self::Failed
        )
    }

    /// Whether the machine allows this change.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use RolloutState as R;
        match self {
            R::PendingApproval => matches!(to, R::Staging | R::Aborted),
            R::Staging => matches!(to, R::Rolling | R::Paused | R::Reverting | R::Failed),
            R::Rolling => matches!(to, R::Paused | R::Reverting | R::Succeeded | R::Failed),
            R::Paused => matches!(to, R::Staging | R::Reverting),
            R::Reverting => matches!(to, R::Reverted | R::Aborted | R::Failed),
            R::Succeeded | R::Reverted | R::Aborted | R::Failed => false,
        }
    }
}

named! {
    /// Where one host's part of a rollout stands.
    StepState, "step state", {
        /// Nothing was asked of the host yet.
        Waiting = "waiting",
        /// The host fetches the closure.
        Staging = "staging",
        /// The closure is on the host, whole and trusted.
        Staged = "staged",
        /// The host was told to activate. From here on it counts as out.
        Activating = "activating",
        /// Activated; its checks run.
        Verifying = "verifying",
        /// Its checks passed and the bake time is over; it is told to commit.
        Verified = "verified",
        /// The profile and the boot default are the release's closure.
        Committed = "committed",
        /// The host goes back to its prior.
        Reverting = "reverting",
        /// The host runs its prior: it was put back, or never activated.
        Reverted = "reverted",
        /// Going back failed or could not be confirmed in time: a person must look.
        Stuck = "stuck",
        /// Left out.
        Skipped = "skipped",
    }
}

impl StepState {
    /// Whether nothing more happens to the step unless a person acts, or a stuck host mends.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(
            self,
            Self::Committed | Self::Reverted | Self::Stuck | Self::Skipped
        )
    }

    /// Whether an activation was begun and is neither committed nor taken back.
    #[must_use]
    pub const fn is_in_flight(self) -> bool {
        matches!(self, Self::Activating | Self::Verifying | Self::Verified)
    }

    /// The states in which [`Self::is_fetching`] holds, for queries.
    pub const FETCHING: [Self; 2] = [Self::Waiting, Self::Staging];

    /// Whether the closure is still to be fetched.
    #[must_use]
    pub const fn is_fetching(self) -> bool {
        matches!(self, Self::Waiting | Self::Staging)
    }

    /// Whether the host is being activated or put back just now.
    #[must_use]
    pub const fn is_under_way(self) -> bool {
        self.is_in_flight() || matches!(self, Self::Reverting)
    }

    /// The states in which [`Self::is_out`] holds, for queries.
    pub const OUT: [Self; 5] = [
        Self::Activating,
        Self::Verifying,
        Self::Verified,
        Self::Reverting,
        Self::Stuck,
    ];

    /// Whether the host counts as out because of the rollout.
    ///
    /// A verified host serves, but it counts as out until it has committed. Its agent may still go back on its own
    /// evidence or at the dead-man's deadline.
    #[must_use]
    pub const fn is_out(self) -> bool {
        self.is_in_flight() || matches!(self, Self::Reverting | Self::Stuck)
    }

    /// Whether the machine allows this change.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use StepState as S;
        match self {
            S::Waiting => matches!(to, S::Staging | S::Reverted | S::Skipped),
            S::Staging => matches!(to, S::Staged | S::Waiting | S::Reverted | S::Skipped),
            S::Staged => matches!(to, S::Activating | S::Waiting | S::Reverted | S::Skipped),
            S::Activating => matches!(to, S::Verifying | S::Reverting | S::Reverted | S::Stuck),
            S::Verifying => matches!(to, S::Verified | S::Reverting | S::Reverted | S::Stuck),
            S::Verified => matches!(to, S::Committed | S::Reverting | S::Reverted | S::Stuck),
            S::Committed => matches!(to, S::Reverting),
            S::Reverting => matches!(to, S::Reverted | S::Stuck),
            // A failed host is tried again, or its retry is given up.
            S::Reverted => matches!(to, S::Waiting),
            S::Stuck => matches!(to, S::Reverting | S::Reverted),
            S::Skipped => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_a_terminal_state() {
        for from in RolloutState::ALL.iter().filter(|s| s.is_terminal()) {
            assert!(RolloutState::ALL.iter().all(|to| !from.may_become(*to)), "{from}");
        }
    }

    #[test]
    fn every_open_state_can_end() {
        for start in RolloutState::ALL {
            let mut seen = vec![*start];
            let mut i = 0;
            while i < seen.len() {
                let next = RolloutState::ALL
                    .iter()
                    .filter(|to| seen[i].may_become(**to) && !seen.contains(to));
                let next: Vec<_> = next.copied().collect();
                seen.extend(next);
                i += 1;
            }
            assert!(seen.iter().any(|s| s.is_terminal()), "{start}");
        }
    }

    #[test]
    fn queries_name_every_state_in_which_a_host_is_out_or_fetches() {
        for state in StepState::ALL {
            assert_eq!(StepState::OUT.contains(state), state.is_out(), "{state}");
            assert_eq!(
                StepState::FETCHING.contains(state),
                state.is_fetching(),
                "{state}"
            );
        }
    }

    #[test]
    fn names_round_trip() {
        for state in StepState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
            assert_eq!(serde_json::to_string(state).unwrap(), format!("\"{state}\""));
        }
        for state in RolloutState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        assert!(
            "done"
                .parse::<StepState>()
                .unwrap_err()
                .to_string()
                .contains("`done` is not a step state")
        );
    }
}
