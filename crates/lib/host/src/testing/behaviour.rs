//! What becomes of a closure on the machine in memory.

use std::time::Duration;

use slipway_domain::agent::Verdict;

use crate::hooks::{Hook, HookFailure};
use crate::job::Job;

/// What becomes of a closure.
#[derive(Debug, Clone)]
pub struct ClosureBehaviour {
    /// Fetching takes this long.
    pub fetch_seconds: u64,
    /// Why it cannot be fetched.
    pub fetch_fails: Option<String>,
    /// So many times a garbage collection takes it once it was fetched.
    pub vanishes: u32,
    /// Switching takes this long.
    pub switch_seconds: u64,
    /// How long switching may take, as the closure says.
    pub switch_limit_seconds: Option<u32>,
    /// The exit status of `switch-to-configuration test`.
    pub test_exit: i32,
    /// Units that have failed once it is switched to.
    pub failing_units: Vec<&'static str>,
    /// The exit status of `switch-to-configuration boot`.
    pub boot_exit: i32,
    /// What the checks say, one round each.
    pub rounds: Vec<Verdict>,
    /// What they say after that.
    pub last_verdict: Verdict,
    /// What of it runs only after a reboot.
    pub reboot_needs: Vec<String>,
    /// It does not come up when it is booted.
    pub hangs_at_boot: bool,
    /// Its hooks before a switch.
    pub before: Vec<FakeHook>,
    /// Its hooks after a commit.
    pub after: Vec<FakeHook>,
}

/// A hook and how it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeHook {
    /// Its name.
    pub name: &'static str,
    /// How long it takes.
    pub seconds: u64,
    /// How long it may take.
    pub timeout_seconds: u32,
    /// Its exit status.
    pub exit: i32,
    /// What follows when that is not 0.
    pub on_failure: HookFailure,
}

impl FakeHook {
    /// One that succeeds after a second.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            seconds: 1,
            timeout_seconds: 10,
            exit: 0,
            on_failure: HookFailure::Fail,
        }
    }

    pub(super) fn hook(&self) -> Hook {
        Hook {
            name: self.name.to_owned(),
            command: vec![format!("/{}", self.name)],
            timeout_seconds: self.timeout_seconds,
            on_failure: self.on_failure,
        }
    }
}

impl ClosureBehaviour {
    fn hook(&self, name: &str) -> Option<&FakeHook> {
        self.before
            .iter()
            .chain(&self.after)
            .find(|hook| hook.name == name)
    }

    /// How long the job takes, and its exit status.
    pub(super) fn run(&self, job: &Job) -> (Duration, i32) {
        let (seconds, exit) = match (&job.hook, job.id.kind.action()) {
            (Some(hook), _) => self
                .hook(&hook.name)
                .map_or((0, 127), |hook| (hook.seconds, hook.exit)),
            (None, "test") => (self.switch_seconds, self.test_exit),
            (None, _) => (self.switch_seconds, self.boot_exit),
        };
        (Duration::from_secs(seconds), exit)
    }
}

impl Default for ClosureBehaviour {
    fn default() -> Self {
        Self {
            fetch_seconds: 1,
            fetch_fails: None,
            vanishes: 0,
            switch_seconds: 1,
            switch_limit_seconds: None,
            test_exit: 0,
            failing_units: Vec::new(),
            boot_exit: 0,
            rounds: Vec::new(),
            last_verdict: Verdict::Pass,
            reboot_needs: Vec::new(),
            hangs_at_boot: false,
            before: Vec::new(),
            after: Vec::new(),
        }
    }
}
