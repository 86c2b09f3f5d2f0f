//! A machine in memory: closures with scripted behaviours.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slipway_domain::agent::Verdict;
use slipway_domain::digest::Digest;
use slipway_domain::host_plan::{PlanEntry, PlannedChange, section};
use slipway_domain::{AttemptId, HostPlan, PlanReport, StorePath};
use slipway_release::{Committed, SignedManifest};
use tokio::time::{Instant, sleep};

use crate::checks::{CheckFinding, CheckRound, ManifestError};
use crate::config::ReleaseTrust;
use crate::door::{Refusal, Runnable};
use crate::hooks::HookManifest;
use crate::job::{Job, JobEnd, JobExit, JobId, JobKind, JobState};
use crate::manifests::{self, AdmittedRelease, ReleaseClaim, ReleaseRefusal};
use crate::nix::{ProfileError, StageError};
use crate::operations::{HostOperations, MachineObservation};
use crate::plan::{ComputedPlan, PlanError};
use crate::runner::RunnerError;

use super::behaviour::{ClosureBehaviour, FakeHook};

/// The truth of the machine; tests read and change it.
#[derive(Debug, Default)]
pub struct FakeHostState {
    /// What runs.
    pub live: Option<StorePath>,
    /// What the next boot runs.
    pub boot_default: Option<StorePath>,
    /// The boot.
    pub boot: u32,
    /// What the boot loader boots once.
    pub boot_once: Option<StorePath>,
    /// Why it cannot be told to.
    pub boot_obstacle: Option<String>,
    /// It was asked to boot again.
    pub goes_down: bool,
    /// The dead-men that every boot has: what they put back, and how many seconds after it.
    pub boot_deadmen: BTreeMap<AttemptId, (StorePath, u32)>,
    /// Closures with a behaviour other than the ordinary one.
    pub behaviours: BTreeMap<StorePath, ClosureBehaviour>,
    /// The dead-men that are armed.
    pub armed: BTreeMap<AttemptId, StorePath>,
    /// When those fire.
    pub deadlines: BTreeMap<AttemptId, Instant>,
    /// What the profile named, now and before.
    pub generations: BTreeSet<StorePath>,
    /// The units that have failed; `None` where there is nobody to ask.
    pub failed_units: Option<BTreeSet<String>>,
    /// What else the plans of switches say that are computed from now on.
    pub mounts: BTreeSet<String>,
    /// Everything that was done, in order.
    pub done: Vec<String>,
    /// The hooks that were begun, in order.
    pub begun: Vec<String>,
    /// Whose releases it takes; without, everybody's.
    pub trust: Option<ReleaseTrust>,
    /// The closures that carry the host's release keys.
    pub keeps_keys: BTreeSet<StorePath>,
    /// The manifests that were fetched.
    pub manifests: HashMap<Digest, SignedManifest>,
    jobs: Vec<FakeJob>,
    tidied: BTreeSet<StorePath>,
}

#[derive(Debug)]
struct FakeJob {
    job: Job,
    ends: Instant,
    exit: Option<JobExit>,
    lost: bool,
}

/// A machine in memory.
#[derive(Debug, Default)]
pub struct FakeHost {
    state: Mutex<FakeHostState>,
}

impl FakeHost {
    /// A machine that runs and boots this closure.
    #[must_use]
    pub fn running(closure: &StorePath) -> Self {
        let state = FakeHostState {
            live: Some(closure.clone()),
            boot_default: Some(closure.clone()),
            generations: BTreeSet::from([closure.clone()]),
            ..FakeHostState::default()
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// The truth.
    pub fn state(&self) -> MutexGuard<'_, FakeHostState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a closure its behaviour.
    pub fn set_behaviour(&self, closure: &StorePath, behaviour: ClosureBehaviour) {
        self.state().behaviours.insert(closure.clone(), behaviour);
    }

    /// The power goes and comes back. A closure that does not come up takes another power cycle.
    pub fn reboot(&self) {
        let mut state = self.state();
        Self::settle(&mut state);
        state.boot += 1;
        state.goes_down = false;
        let once = state.boot_once.take();
        let next = once.or_else(|| state.boot_default.clone());
        let hangs = |closure: &StorePath| {
            let behaviour = state.behaviours.get(closure);
            behaviour.is_some_and(|behaviour| behaviour.hangs_at_boot)
        };
        let up = next.filter(|closure| !hangs(closure));
        let default = state.boot_default.clone();
        state.live = up.or(default);
        state.armed.clear();
        state.deadlines.clear();
        for (attempt, (prior, seconds)) in state.boot_deadmen.clone() {
            let deadline = Instant::now() + Duration::from_secs(seconds.into());
            state.armed.insert(attempt, prior);
            state.deadlines.insert(attempt, deadline);
        }
        for job in &mut state.jobs {
            job.lost |= job.exit.is_none();
        }
    }

    /// The closures that were protected when it was last tidied.
    #[must_use]
    pub fn protected(&self) -> BTreeSet<StorePath> {
        self.state().tidied.clone()
    }

    fn named(&self, closure: &StorePath, claim: &ReleaseClaim) -> Result<Option<Committed>, ReleaseRefusal> {
        let state = self.state();
        let Some(trust) = &state.trust else {
            return Ok(None);
        };
        let find = |digest: &Digest| Ok(state.manifests.get(digest).cloned());
        let named = manifests::admit_named(trust, closure, claim, find)?;
        Ok(Some(named.committed))
    }

    fn settle(state: &mut FakeHostState) {
        let now = Instant::now();
        let FakeHostState {
            jobs,
            live,
            behaviours,
            failed_units,
            done,
            boot_once,
            boot_deadmen,
            ..
        } = state;
        for job in jobs
            .iter_mut()
            .filter(|job| job.exit.is_none() && !job.lost && job.ends <= now)
        {
            let closure = job.job.closure.path();
            let behaviour = behaviours.get(closure).cloned().unwrap_or_default();
            let test = job.job.id.kind.action() == "test";
            let (takes, code) = behaviour.run(&job.job);
            let timed_out = takes > job.job.timeout;
            let end = if timed_out {
                JobEnd::TimedOut {
                    seconds: job.job.timeout.as_secs(),
                }
            } else {
                JobEnd::Exited(code)
            };
            if matches!(end, JobEnd::Exited(0)) {
                match (&job.job.once, job.job.id.kind) {
                    (Some(once), JobKind::BootOnce) => {
                        *boot_once = Some(once.closure.clone());
                        let deadman = (once.prior.path().clone(), once.deadman_seconds);
                        boot_deadmen.insert(job.job.id.attempt, deadman);
                    }
                    (_, JobKind::BootClear) => {
                        *boot_once = None;
                        boot_deadmen.remove(&job.job.id.attempt);
                    }
                    _ => {}
                }
            }
            // With 4 it says that all is done, and that units have failed.
            if test && matches!(end, JobEnd::Exited(0 | 4)) {
                *live = Some(closure.clone());
                if let Some(failed) = failed_units {
                    failed.extend(behaviour.failing_units.iter().map(|&unit| unit.to_owned()));
                }
            }
            let what = job
                .job
                .hook
                .as_ref()
                .map_or_else(|| closure.base_name(), |hook| &hook.name);
            done.push(format!("{} {what}", job.job.id.kind.action()));
            job.exit = Some(JobExit {
                end,
                tail: String::new(),
            });
        }
    }
}

impl HostOperations for FakeHost {
    fn observe(&self) -> MachineObservation {
        let mut state = self.state();
        let observed = MachineObservation {
            live: state.live.clone(),
            boot_default: state.boot_default.clone(),
            booted: None,
            boot_id: format!("boot-{}", state.boot),
            trouble: None,
        };
        // What ends now ends just after the look: an old observation says nothing about a job that has ended by now.
        Self::settle(&mut state);
        observed
    }

    async fn fetch(
        &self,
        _attempt: AttemptId,
        closure: &StorePath,
        bound: Duration,
    ) -> Result<(), StageError> {
        let behaviour = self.state().behaviours.get(closure).cloned().unwrap_or_default();
        let takes = Duration::from_secs(behaviour.fetch_seconds);
        sleep(takes.min(bound)).await;
        if takes > bound {
            return Err(StageError::TimedOut {
                closure: closure.clone(),
                seconds: bound.as_secs(),
                tail: String::new(),
            });
        }
        match behaviour.fetch_fails {
            Some(tail) => Err(StageError::Other {
                closure: closure.clone(),
                tail,
            }),
            None => Ok(()),
        }
    }

    fn takes_only_signed(&self) -> bool {
        self.state().trust.is_some()
    }

    fn check_keeps_keys(&self, closure: &StorePath) -> Result<(), ReleaseRefusal> {
        let state = self.state();
        if state.trust.is_none() || state.keeps_keys.contains(closure) {
            return Ok(());
        }
        Err(ReleaseRefusal::KeysGone {
            closure: closure.clone(),
        })
    }

    fn check_named(&self, closure: &StorePath, claim: &ReleaseClaim) -> Result<(), ReleaseRefusal> {
        self.named(closure, claim).map(|_| ())
    }

    async fn admit_release(
        &self,
        closure: &StorePath,
        claim: &ReleaseClaim,
        _bound: Duration,
    ) -> Result<AdmittedRelease, StageError> {
        if let Some(behaviour) = self.state().behaviours.get_mut(closure)
            && behaviour.vanishes > 0
        {
            behaviour.vanishes -= 1;
            return Err(StageError::Vanished {
                closure: closure.clone(),
                tail: String::new(),
            });
        }
        Ok(AdmittedRelease {
            signed: self.named(closure, claim)?,
            runnable: Runnable::unchecked(closure.clone()),
        })
    }

    async fn admit_known(&self, path: &StorePath, recorded: bool) -> Result<Runnable, Refusal> {
        let state = self.state();
        let here = state
            .live
            .iter()
            .chain(&state.boot_default)
            .chain(&state.generations);
        if here.into_iter().any(|known| known == path) || recorded {
            return Ok(Runnable::unchecked(path.clone()));
        }
        Err(Refusal::Stranger {
            path: path.clone(),
            profile: "/profile".into(),
        })
    }

    async fn plan(&self, closure: &StorePath, _within: Duration) -> Result<ComputedPlan, PlanError> {
        let state = self.state();
        let live = state.live.clone().ok_or(PlanError::NoLive)?;
        let mut plan = HostPlan::default();
        let from = PlanEntry {
            before: Some(live.to_string()),
            after: Some(closure.to_string()),
            ..PlanEntry::new("system", PlannedChange::Changed)
        };
        plan.put(section::PACKAGES, [from]);
        plan.put(
            section::MOUNTS,
            state
                .mounts
                .iter()
                .map(|mount| PlanEntry::new(mount, PlannedChange::Added)),
        );
        let report = PlanReport {
            digest: plan.digest(),
            from: live,
            bytes_before: 1,
            bytes_after: 1,
            bytes_new: 0,
        };
        Ok(ComputedPlan { plan, report })
    }

    fn reboot_needs(&self, closure: &StorePath) -> Vec<String> {
        let state = self.state();
        let behaviour = state.behaviours.get(closure);
        behaviour.map_or_else(Vec::new, |behaviour| behaviour.reboot_needs.clone())
    }

    async fn boot_obstacle(&self, closure: &StorePath) -> Option<String> {
        let state = self.state();
        let boots_anyway = state.boot_default.as_ref() == Some(closure);
        state.boot_obstacle.clone().filter(|_| !boots_anyway)
    }

    fn reboot(&self) -> impl Future<Output = Result<(), RunnerError>> + Send {
        let mut state = self.state();
        state.goes_down = true;
        state.done.push("reboot".to_owned());
        std::future::ready(Ok(()))
    }

    fn switch_seconds(&self, closure: &StorePath) -> Option<u32> {
        let state = self.state();
        state
            .behaviours
            .get(closure)
            .and_then(|behaviour| behaviour.switch_limit_seconds)
    }

    fn hooks(&self, closure: &StorePath) -> Result<HookManifest, ManifestError> {
        let state = self.state();
        let hooks = |of: &[FakeHook]| of.iter().map(FakeHook::hook).collect();
        let behaviour = state.behaviours.get(closure);
        Ok(
            behaviour.map_or_else(HookManifest::default, |behaviour| HookManifest {
                before_activate: hooks(&behaviour.before),
                after_commit: hooks(&behaviour.after),
            }),
        )
    }

    fn protect_prior(&self, _attempt: AttemptId, _prior: &StorePath) -> io::Result<()> {
        Ok(())
    }

    fn release_closure(&self, _attempt: AttemptId) {}

    fn arm(
        &self,
        attempt: AttemptId,
        prior: &Runnable,
        seconds: u32,
    ) -> impl Future<Output = Result<(), RunnerError>> + Send {
        let mut state = self.state();
        let prior = prior.path().clone();
        state.done.push(format!("arm {}", prior.base_name()));
        state.armed.insert(attempt, prior);
        let deadline = Instant::now() + Duration::from_secs(seconds.into());
        state.deadlines.insert(attempt, deadline);
        std::future::ready(Ok(()))
    }

    fn disarm(&self, attempt: AttemptId) -> impl Future<Output = ()> + Send {
        let mut state = self.state();
        state.armed.remove(&attempt);
        state.deadlines.remove(&attempt);
        std::future::ready(())
    }

    fn start(&self, job: &Job) -> impl Future<Output = Result<(), RunnerError>> + Send {
        let mut state = self.state();
        let behaviour = state
            .behaviours
            .get(job.closure.path())
            .cloned()
            .unwrap_or_default();
        let takes = behaviour.run(job).0.min(job.timeout);
        if let Some(hook) = &job.hook {
            state
                .begun
                .push(format!("{} {}", job.id.kind.as_str(), hook.name));
        }
        state.jobs.push(FakeJob {
            job: job.clone(),
            ends: Instant::now() + takes,
            exit: None,
            lost: false,
        });
        std::future::ready(Ok(()))
    }

    async fn run_attached(&self, job: &Job) -> JobExit {
        let _ = self.start(job).await;
        loop {
            if let JobState::Ended(exit) = self.job_state(job.id) {
                return exit;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn job_state(&self, id: JobId) -> JobState {
        let mut state = self.state();
        Self::settle(&mut state);
        match state.jobs.iter().find(|job| job.job.id == id) {
            None => JobState::Absent,
            Some(job) => match &job.exit {
                Some(exit) => JobState::Ended(exit.clone()),
                None if job.lost => JobState::Lost,
                None => JobState::Running,
            },
        }
    }

    fn newest_job(&self, kind: JobKind, attempt: AttemptId) -> Option<JobId> {
        let state = self.state();
        let ids = state.jobs.iter().map(|job| job.job.id);
        ids.filter(|id| id.kind == kind && id.attempt == attempt)
            .max_by_key(|id| id.serial)
    }

    fn stop(&self, id: JobId) -> impl Future<Output = ()> + Send {
        let mut state = self.state();
        for job in state.jobs.iter_mut().filter(|job| job.job.id == id) {
            job.lost |= job.exit.is_none();
        }
        std::future::ready(())
    }

    fn set_profile(&self, closure: &Runnable) -> impl Future<Output = Result<(), ProfileError>> + Send {
        let mut state = self.state();
        let closure = closure.path().clone();
        state.done.push(format!("profile {}", closure.base_name()));
        state.generations.insert(closure.clone());
        state.boot_default = Some(closure);
        std::future::ready(Ok(()))
    }

    fn round(&self, closure: &Runnable) -> impl Future<Output = CheckRound> + Send {
        let mut state = self.state();
        let verdict = match state.behaviours.get_mut(closure.path()) {
            Some(behaviour) if !behaviour.rounds.is_empty() => behaviour.rounds.remove(0),
            Some(behaviour) => behaviour.last_verdict,
            None => Verdict::Pass,
        };
        let finding = match verdict {
            Verdict::Pass => CheckFinding::pass(),
            Verdict::Fail => CheckFinding::fail("answered 500"),
            Verdict::Unknown => CheckFinding::unknown("no descriptors"),
        };
        std::future::ready(CheckRound::of([("web".to_owned(), finding)]))
    }

    async fn failed_units(&self) -> Option<BTreeSet<String>> {
        self.state().failed_units.clone()
    }

    fn tidy(&self, closures: &BTreeSet<StorePath>, _attempts: &BTreeSet<AttemptId>) {
        self.state().tidied.clone_from(closures);
    }
}
